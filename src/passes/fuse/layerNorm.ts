import { attr, intAttribute, intsAttribute } from '../../ir/attribute.ts';
import type { GraphEditor } from '../../ir/edit.ts';
import type { Graph, Node, ValueId } from '../../ir/model.ts';
import { readFloats, readIntegers, sizeOf } from '../../ir/numbers.ts';
import { indexOf } from '../../ir/walk.ts';
import { constantOf } from '../support/constants.ts';
import type { Facts } from '../support/facts.ts';
import { isOnnxOp, soleReader } from '../support/graph.ts';

/**
 * Puts LayerNormalization where exporters write (x - mean) / sqrt(variance + epsilon) * scale + bias over the last axis
 * (Ba et al., 2016). Gives how many.
 */
export function fuseLayerNorm(
  graph: Graph,
  facts: Facts,
  editor: GraphEditor,
  allowed: (node: Node) => boolean,
): number {
  let found = 0;
  for (const node of graph.nodes) {
    if (!isOnnxOp(node, 'Add') || !allowed(node)) continue;
    const parts = partsOf(graph, facts, node);
    if (parts === undefined) continue;
    const { x, scale, bias, epsilon } = parts;
    const attributes = new Map([
      ['axis', attr.int(-1)],
      ['epsilon', attr.float(epsilon)],
    ]);
    editor.replaceNode(node.id, [
      { ...node, op: 'LayerNormalization', inputs: [x, scale, bias], attributes },
    ]);
    found += 1;
  }
  return found;
}

interface Parts {
  readonly x: ValueId;
  readonly scale: ValueId;
  readonly bias: ValueId;
  readonly epsilon: number;
}

function partsOf(graph: Graph, facts: Facts, sum: Node): Parts | undefined {
  const maker = (id: ValueId | null | undefined, ...ops: readonly string[]) => {
    const node = id == null ? undefined : indexOf(graph).producer.get(id);
    return node !== undefined && isOnnxOp(node, ...ops) ? node : undefined;
  };
  const [scaledId, bias] = withVector(graph, sum);
  const product = soleReader(graph, scaledId) === sum ? maker(scaledId, 'Mul') : undefined;
  if (product === undefined || bias === undefined) return undefined;
  const [normalId, scale] = withVector(graph, product);
  const quotient = soleReader(graph, normalId) === product ? maker(normalId, 'Div') : undefined;
  const difference = maker(quotient?.inputs[0], 'Sub');
  const root = maker(quotient?.inputs[1], 'Sqrt');
  const shifted = maker(root?.inputs[0], 'Add');
  const x = difference?.inputs[0];
  if (scale === undefined || shifted === undefined || difference === undefined || x == null) return undefined;
  if (!isLastMean(graph, facts, maker(difference.inputs[1], 'ReduceMean'), x)) return undefined;
  const epsilonAt = shifted.inputs.findIndex((id) => isScalar(graph, id));
  const variance = maker(shifted.inputs[1 - epsilonAt], 'ReduceMean');
  const centred = difference.outputs[0] as ValueId;
  const squared = variance?.inputs[0];
  if (epsilonAt < 0 || squared == null || !isSquareOf(graph, squared, centred)) return undefined;
  if (!isLastMean(graph, facts, variance, squared)) return undefined;
  const width = facts.typeOf(x)?.shape?.at(-1);
  const fits = [scale, bias].every((id) => {
    const tensor = constantOf(graph, id);
    return tensor?.dims.length === 1 && tensor.dims[0] === width;
  });
  const epsilon = constantOf(graph, shifted.inputs[epsilonAt]);
  return fits && epsilon !== undefined
    ? { x, scale, bias, epsilon: readFloats(epsilon)[0] as number }
    : undefined;
}

/** What is computed, and the constant beside it. */
function withVector(graph: Graph, node: Node): readonly [ValueId | undefined, ValueId | undefined] {
  const at = node.inputs.findIndex((id) => constantOf(graph, id) !== undefined);
  return at < 0 ? [undefined, undefined] : [node.inputs[1 - at] ?? undefined, node.inputs[at] ?? undefined];
}

function isScalar(graph: Graph, id: ValueId | null): boolean {
  const tensor = constantOf(graph, id);
  return tensor !== undefined && sizeOf(tensor) === 1;
}

/** The mean of a value over its last axis alone, that axis kept. */
function isLastMean(graph: Graph, facts: Facts, node: Node | undefined, of: ValueId): boolean {
  if (node === undefined || node.inputs[0] !== of || intAttribute(node, 'keepdims', 1) !== 1) return false;
  const tensor = constantOf(graph, node.inputs[1]);
  const axes = tensor === undefined ? intsAttribute(node, 'axes') : readIntegers(tensor);
  const rank = facts.typeOf(of)?.shape?.length;
  return axes?.length === 1 && (axes[0] === -1 || (rank !== undefined && axes[0] === rank - 1));
}

function isSquareOf(graph: Graph, id: ValueId, of: ValueId): boolean {
  const node = indexOf(graph).producer.get(id);
  if (node === undefined || node.inputs[0] !== of) return false;
  if (isOnnxOp(node, 'Mul')) return node.inputs[1] === of;
  const power = isOnnxOp(node, 'Pow') ? constantOf(graph, node.inputs[1]) : undefined;
  return power !== undefined && sizeOf(power) === 1 && readFloats(power)[0] === 2;
}
