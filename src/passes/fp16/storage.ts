import { attr } from '../../ir/attribute.ts';
import { GraphEditor } from '../../ir/edit.ts';
import type { Graph, Model, Node, Value, ValueId } from '../../ir/model.ts';
import { tensorType } from '../../ir/types.ts';
import { sizeOf } from '../../ir/numbers.ts';
import { dataTypeNumber } from '../../ir/onnxDataTypes.ts';
import { indexOf } from '../../ir/walk.ts';
import { operatorOf } from '../../ops/registry.ts';
import { isReadable } from '../support/constants.ts';
import type { HalfType } from './halves.ts';
import { halved } from './halves.ts';

/** Below this many elements the conversion operator costs about as many bytes as it saves. */
const smallest = { onnx: 512, tflite: 128 } as const;

interface StorageResult {
  readonly graph: Graph;
  readonly stored: number;
  readonly clamped: number;
}

/**
 * Stores float32 constants as float16, or bfloat16 where ONNX is told so, and converts them back where they are read: Cast in ONNX, DEQUANTIZE in TFLite.
 * Runtimes do that once when they load the model.
 */
export function storeHalves(
  model: Model,
  allowed: (node: Node) => boolean,
  dtype: HalfType = 'float16',
): StorageResult {
  const graph = model.graphs[0];
  const editor = new GraphEditor(graph, model);
  let stored = 0;
  let clamped = 0;
  const chosen = model.dialect === 'onnx' ? undefined : layerConstants(model, graph, allowed);
  for (const value of graph.values.values()) {
    if (chosen?.has(value.id) === false || value.constant === undefined) continue;
    if (!isMovable(graph, value)) continue;
    if (chosen === undefined && !worthStoring(graph, value, allowed)) continue;
    const half = halved(value.constant, dtype);
    clamped += half.clamped;
    stored += 1;
    const source = editor.addConstant(`${value.id}_${dtype === 'float16' ? 'fp16' : 'bf16'}`, half.tensor);
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
      attributes:
        model.dialect === 'onnx' ? new Map([['to', attr.int(dataTypeNumber('float32'))]]) : new Map(),
    };
    editor.insertFirst([node]);
  }
  return { graph: editor.finish(), stored, clamped };
}

/** A float32 constant that is there and that nobody outside knows by name. */
function isMovable(graph: Graph, value: Value): boolean {
  const { constant, variable } = value;
  if (constant?.dtype !== 'float32' || !isReadable(constant) || variable === true) return false;
  return !indexOf(graph).isOutput.has(value.id) && !graph.inputs.includes(value.id);
}

function worthStoring(graph: Graph, value: Value, allowed: (node: Node) => boolean): boolean {
  const readers = indexOf(graph).uses.get(value.id) ?? [];
  const large = value.constant !== undefined && sizeOf(value.constant) >= smallest.onnx;
  return large && readers.length > 0 && readers.every((use) => allowed(use.node));
}

/**
 * TFLite: weights and biases of whole layers. XNNPACK unpacks a layer when it loads the model only if weight and bias
 * both are float16; otherwise the conversion runs with every inference (measured: 4 to 13 times slower). Recurrent
 * kernels insist on constants.
 */
export function layerConstants(
  model: Model,
  graph: Graph,
  allowed: (node: Node) => boolean,
): ReadonlySet<ValueId> {
  const layers: ReadonlySet<ValueId>[] = [];
  const refused = new Set<ValueId>();
  for (const node of graph.nodes) {
    const roles = operatorOf(model, node)?.weights?.(node, model) ?? [];
    const constants = new Set<ValueId>();
    for (const role of roles) {
      const weight = graph.values.get(node.inputs[role.input] ?? '');
      if (weight?.constant === undefined || !isMovable(graph, weight)) continue;
      if (role.kind === 'recurrent' || role.kind === 'embedding' || !allowed(node)) continue;
      if (sizeOf(weight.constant) < smallest.tflite) continue;
      constants.add(weight.id);
      const bias = role.bias === undefined ? undefined : graph.values.get(node.inputs[role.bias] ?? '');
      if (bias !== undefined && isMovable(graph, bias)) constants.add(bias.id);
    }
    layers.push(constants);
    for (const id of node.inputs) if (id !== null && !constants.has(id)) refused.add(id);
  }
  // A layer that shares a constant with a reader that cannot take float16 stays whole.
  for (let before = -1; before !== refused.size; ) {
    before = refused.size;
    for (const constants of layers) {
      if ([...constants].some((id) => refused.has(id))) for (const id of constants) refused.add(id);
    }
  }
  return new Set(layers.flatMap((constants) => [...constants]).filter((id) => !refused.has(id)));
}
