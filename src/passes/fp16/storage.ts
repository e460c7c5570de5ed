import { attr } from '../../ir/attribute.ts';
import { GraphEditor } from '../../ir/edit.ts';
import type { Graph, Model, Node, Value } from '../../ir/model.ts';
import { tensorType } from '../../ir/types.ts';
import { sizeOf } from '../../ir/numbers.ts';
import { indexOf } from '../../ir/walk.ts';
import { operatorOf } from '../../ops/registry.ts';
import { halved } from './halves.ts';

/** Below this many elements the conversion operator costs about as many bytes as it saves. */
const smallest = { onnx: 512, tflite: 128 } as const;

export interface StorageResult {
  readonly graph: Graph;
  readonly stored: number;
  readonly clamped: number;
}

/**
 * Stores float32 constants as float16 and converts them back where they are read: Cast in ONNX, DEQUANTIZE in TFLite.
 * Runtimes do that once when they load the model.
 */
export function storeHalves(model: Model, allowed: (node: Node) => boolean): StorageResult {
  const graph = model.graphs[0];
  const editor = new GraphEditor(graph, model);
  let stored = 0;
  let clamped = 0;
  for (const value of graph.values.values()) {
    if (!worthStoring(model, graph, value, allowed) || value.constant === undefined) continue;
    const half = halved(value.constant);
    clamped += half.clamped;
    stored += 1;
    const source = editor.addConstant(`${value.id}_fp16`, half.tensor);
    const { constant, ...rest } = value;
    editor.setValue({ ...rest, type: tensorType('float32', constant.dims) });
    const op = model.dialect === 'onnx' ? 'Cast' : 'DEQUANTIZE';
    const id = editor.freshNode(`${value.id}/${op}`);
    const node: Node = {
      id,
      name: model.dialect === 'onnx' ? id : '',
      op,
      domain: '',
      inputs: [source],
      outputs: [value.id],
      attributes: model.dialect === 'onnx' ? new Map([['to', attr.int(1)]]) : new Map(),
    };
    editor.insertFirst([node]);
  }
  return { graph: editor.finish(), stored, clamped };
}

function worthStoring(model: Model, graph: Graph, value: Value, allowed: (node: Node) => boolean): boolean {
  const { constant } = value;
  if (constant?.dtype !== 'float32' || constant.data.missing !== undefined) return false;
  if (sizeOf(constant) < smallest[model.dialect] || value.variable === true) return false;
  const { uses, isOutput } = indexOf(graph);
  if (isOutput.has(value.id) || graph.inputs.includes(value.id)) return false;
  const readers = uses.get(value.id) ?? [];
  if (readers.length === 0 || !readers.every((use) => allowed(use.node))) return false;
  if (model.dialect === 'onnx') return true;
  // Recurrent kernels of TFLite insist on constant weights, and so do operators that nobody described.
  return readers.every((use) => {
    const operator = operatorOf(model, use.node);
    return operator !== undefined && operator.family !== 'recurrent' && use.node.intermediates === undefined;
  });
}
