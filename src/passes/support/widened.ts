import { intAttribute } from '../../ir/attribute.ts';
import { memoryBytes } from '../../ir/bytes.ts';
import { GraphEditor } from '../../ir/edit.ts';
import type { Graph, Model, Node, ValueId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { readFloats, sizeOf } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { indexOf } from '../../ir/walk.ts';
import { operatorOf } from '../../ops/registry.ts';
import { eagerBytes, madeBytes, readableConstant } from './constants.ts';
import { isOnnxOp } from './graph.ts';

/** ONNX DataType number of float32 (onnx.proto). */
const float32 = 1;

interface Widened<M extends Model> {
  readonly model: M;
  /** Constants that were stored in 16 bits. */
  readonly widened: number;
}

/**
 * The constants of weighted layers that are stored as float16 or bfloat16 and converted while loading (Cast of ONNX,
 * DEQUANTIZE of TFLite), as float32 in the layers' own inputs, where quantization finds them.
 */
export function withWideWeights<M extends Model>(model: M, wanted: (node: Node) => boolean): Widened<M> {
  const [graph] = model.graphs;
  const { producer, uses, isOutput } = indexOf(graph);
  const editor = new GraphEditor(graph, model);
  const wide = new Map<ValueId, ValueId>();
  const replaced = new Map<ValueId, number>();
  for (const node of graph.nodes) {
    const roles = wanted(node) ? (operatorOf(model, node)?.weights?.(node, model) ?? []) : [];
    const places = new Set(
      roles.flatMap(({ kind, input, bias }) => (kind === 'embedding' ? [] : [input, bias])),
    );
    const inputs = node.inputs.map((id, place) => {
      const stored = id === null || !places.has(place) ? undefined : storedNarrow(graph, producer.get(id));
      if (id === null || stored === undefined) return id;
      replaced.set(id, (replaced.get(id) ?? 0) + 1);
      const known = wide.get(id) ?? editor.addConstant(`${id}_wide`, inFloat32(stored));
      wide.set(id, known);
      return known;
    });
    if (inputs.some((id, place) => id !== node.inputs[place]))
      editor.replaceNode(node.id, [{ ...node, inputs }]);
  }
  if (wide.size === 0) return { model, widened: 0 };
  for (const [id, count] of replaced)
    if (!isOutput.has(id) && (uses.get(id) ?? []).length === count)
      editor.removeNode((producer.get(id) as Node).id);
  // The dialect stays.
  return { model: withMainGraph(model, editor.finish()) as M, widened: wide.size };
}

/** What a conversion to float32 converts, when it is a constant of 16 bits. */
function storedNarrow(graph: Graph, maker: Node | undefined): Tensor | undefined {
  if (maker === undefined) return undefined;
  const converts =
    maker.op === 'DEQUANTIZE' || (isOnnxOp(maker, 'Cast') && intAttribute(maker, 'to', 0) === float32);
  const tensor = converts ? readableConstant(graph, maker.inputs[0]) : undefined;
  return tensor?.dtype === 'float16' || tensor?.dtype === 'bfloat16' ? tensor : undefined;
}

function inFloat32(tensor: Tensor): Tensor {
  const length = 4 * sizeOf(tensor);
  const make = () => {
    const floats = readFloats(tensor);
    return new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength);
  };
  const data = length > eagerBytes ? madeBytes(length, make) : memoryBytes(make());
  return { dtype: 'float32', dims: tensor.dims, data };
}
