import { GraphEditor } from '../../ir/edit.ts';
import type { Graph, Model, Node, NodeId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { numberTensor, readIntegers, sizeOf } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { indexOf } from '../../ir/walk.ts';
import { operatorOf } from '../../ops/registry.ts';
import type { Repaired } from './repaired.ts';

/**
 * Signed weights whose zero point is not 0: the TFLite specification forbids them, and runtimes that take them disagree on
 * what they mean. Codes move by the zero point, which changes no weight; where a code would leave its range the weight
 * stays as it is.
 */
export function centreWeights(model: Model): Repaired | undefined {
  const graph = model.graphs[0];
  const editor = new GraphEditor(graph, model);
  const changed: NodeId[] = [];
  const stays: NodeId[] = [];
  let count = 0;
  for (const node of graph.nodes) {
    const result =
      model.dialect === 'tflite' ? centreTflite(node, graph, model, editor) : centreOnnx(node, graph, editor);
    if (result === undefined) continue;
    if (!result) {
      stays.push(node.id);
      continue;
    }
    count += 1;
    changed.push(node.id);
  }
  if (count === 0 && stays.length === 0) return undefined;
  const notes = count === 0 ? [] : [`${count} weights have zero point 0 now`];
  if (stays.length > 0)
    notes.push(`weights of ${stays.join(', ')} need codes beyond int8 and keep their zero point`);
  return { model: count === 0 ? model : withMainGraph(model, editor.finish()), changed, notes };
}

/** Whether it could be done; `undefined` when the node has no such weight. */
function centreTflite(node: Node, graph: Graph, model: Model, editor: GraphEditor): boolean | undefined {
  const role = operatorOf(model, node)?.weights?.(node, model)[0];
  const id = role === undefined ? undefined : node.inputs[role.input];
  const value = typeof id === 'string' ? editor.value(id) : undefined;
  const { constant, quantization } = value ?? {};
  if (value === undefined || constant?.dtype !== 'int8' || quantization === undefined) return undefined;
  if (quantization.zeroPoint.every((zero) => zero === 0) || constant.data.missing !== undefined)
    return undefined;
  // Another reader may take the codes for something else.
  if ((indexOf(graph).uses.get(value.id) ?? []).some((use) => use.node !== node)) return undefined;
  const moved = shifted(constant, quantization.zeroPoint, quantization.axis);
  if (moved === undefined) return false;
  const zeroPoint = quantization.zeroPoint.map(() => 0);
  editor.setValue({ ...value, constant: moved, quantization: { ...quantization, zeroPoint } });
  return true;
}

function centreOnnx(node: Node, graph: Graph, editor: GraphEditor): boolean | undefined {
  if (node.op !== 'DequantizeLinear' || node.attributes.has('block_size')) return undefined;
  const [weight, , zero] = node.inputs.map((id) => (id === null ? undefined : graph.values.get(id)));
  if (weight?.constant?.dtype !== 'int8' || zero?.constant?.dtype !== 'int8') return undefined;
  if (weight.constant.data.missing !== undefined || zero.constant.data.missing !== undefined)
    return undefined;
  const points = readIntegers(zero.constant);
  if (points.every((point) => point === 0)) return undefined;
  const uses = indexOf(graph).uses.get(weight.id) ?? [];
  if (uses.some((use) => use.node !== node)) return undefined;
  const moved = shifted(weight.constant, points, axisOf(node, weight.constant));
  if (moved === undefined) return false;
  const codes = editor.addConstant(`${weight.id}_centred`, moved);
  const { dims } = zero.constant;
  const none = editor.addConstant(
    `${zero.id}_zero`,
    numberTensor(
      'int8',
      dims,
      points.map(() => 0),
    ),
  );
  const inputs = node.inputs.map((id, index) => (index === 0 ? codes : index === 2 ? none : id));
  editor.replaceNode(node.id, [{ ...node, inputs }]);
  return true;
}

function axisOf(node: Node, { dims }: Tensor): number {
  const axis = node.attributes.get('axis');
  const given = axis?.kind === 'int' ? Number(axis.value) : 1;
  return given < 0 ? given + dims.length : given;
}

/** The codes less their zero point, or `undefined` when one does not fit. */
function shifted(tensor: Tensor, points: readonly number[], axis: number): Tensor | undefined {
  const codes = readIntegers(tensor);
  const inner = tensor.dims.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  const channels = tensor.dims[axis] ?? 1;
  if (points.length > 1 && points.length !== channels) return undefined;
  const moved = new Int8Array(sizeOf(tensor));
  for (let at = 0; at < moved.length; at += 1) {
    const point = points[points.length === 1 ? 0 : Math.floor(at / inner) % channels] as number;
    const code = (codes[at] as number) - point;
    if (code < -128 || code > 127) return undefined;
    moved[at] = code;
  }
  return numberTensor('int8', tensor.dims, moved);
}
