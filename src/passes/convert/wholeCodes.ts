import type { Graph, Node } from '../../ir/model.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { readFloats } from '../../ir/numbers.ts';
import { indexOf } from '../../ir/walk.ts';
import { isBuiltin, readableConstant } from '../support/constants.ts';

/**
 * Integer kernels of TFLite average the codes themselves and round halves away from zero (LiteRT,
 * integer_ops/pooling.h); ONNX rounds halves to even. So the codes are read as whole numbers, with the scale 1 from the
 * file's own zero on, and the mean is rounded through this scale: smaller than 1 by less than a window of so many
 * pixels tells apart. Halves move away from zero, nothing else does.
 */
export function roundingScale(window: number): number {
  return 1 - 2 ** -9 / Math.max(64, window);
}

/** The pairs of Q and DQ around means of whole codes: they say how to round, not what the codes mean. */
export function pairsOfWholeCodes(graph: Graph): ReadonlySet<Node> {
  const { producer, uses } = indexOf(graph);
  const around = new Set<Node>();
  const above = (node: Node | undefined): Node | undefined =>
    node?.op === 'Transpose' ? above(producer.get(node.inputs[0] as string)) : node;
  const below = (node: Node): Node | undefined => {
    const [next, ...others] = uses.get(node.outputs[0] as string) ?? [];
    if (next === undefined || others.length > 0) return undefined;
    return next.node.op === 'Transpose' ? below(next.node) : next.node;
  };
  const scale = (node: Node): number | undefined => {
    const tensor: Tensor | undefined = readableConstant(graph, node.inputs[1]);
    return tensor === undefined ? undefined : readFloats(tensor)[0];
  };
  for (const node of graph.nodes) {
    if (!isBuiltin(node) || (node.op !== 'AveragePool' && node.op !== 'Resize')) continue;
    const [from, to] = [above(producer.get(node.inputs[0] as string)), below(node)];
    if (from?.op !== 'DequantizeLinear' || to?.op !== 'QuantizeLinear') continue;
    const made = scale(to) ?? 0;
    if (scale(from) === 1 && made < 1 && made > 1 - 2 ** -14) around.add(from).add(to);
  }
  return around;
}
