import { intAttribute } from '../../ir/attribute.ts';
import type { GraphEditor } from '../../ir/edit.ts';
import type { Graph, Node } from '../../ir/model.ts';
import { floatTensor, readFloats, readIntegers } from '../../ir/numbers.ts';
import { indexOf } from '../../ir/walk.ts';
import { readableConstant } from '../support/constants.ts';
import { isOnnxOp, soleReader } from '../support/graph.ts';

/** Integers up to here have a float32 of their own, and find back to themselves. */
const exactTo = 2 ** 24;

/**
 * Puts floats in the place of int32 biases behind a DequantizeLinear in Conv. ONNX Runtime makes the same
 * integers of them while loading (WeightBiasQuantization), so a file need not hold them and their scales. A Gemm without
 * an encoded output would leave its integer kernel and stays. Gives how many.
 */
export function floatBiases(graph: Graph, editor: GraphEditor, allowed: (node: Node) => boolean): number {
  const { producer } = indexOf(graph);
  let found = 0;
  for (const node of graph.nodes) {
    if (!isOnnxOp(node, 'Conv') || !allowed(node)) continue;
    const decode = producer.get(node.inputs[2] ?? '');
    if (decode === undefined || soleReader(graph, decode.outputs[0]) !== node) continue;
    const operands = node.inputs.slice(0, 2).map((id) => producer.get(id ?? ''));
    if (!operands.every((one) => one !== undefined && isOnnxOp(one, 'DequantizeLinear'))) continue;
    const floats = decodedBias(graph, decode);
    if (floats === undefined) continue;
    const bias = editor.addConstant(`${decode.inputs[0]}_float`, floatTensor([floats.length], floats));
    editor.replaceNode(node.id, [{ ...node, inputs: [...node.inputs.slice(0, 2), bias] }]);
    editor.removeNode(decode.id);
    found += 1;
  }
  return found;
}

function decodedBias(graph: Graph, decode: Node): Float32Array | undefined {
  if (!isOnnxOp(decode, 'DequantizeLinear') || intAttribute(decode, 'block_size', 0) !== 0) return undefined;
  const [codes, scales, zero] = decode.inputs.map((id) => readableConstant(graph, id));
  if (codes?.dtype !== 'int32' || codes.dims.length !== 1 || scales?.dtype !== 'float32') return undefined;
  if (zero !== undefined && readIntegers(zero).some((value) => value !== 0)) return undefined;
  const integers = readIntegers(codes);
  const factors = readFloats(scales);
  if (factors.length !== 1 && factors.length !== integers.length) return undefined;
  if (integers.some((value) => Math.abs(value) > exactTo)) return undefined;
  return Float32Array.from(integers, (value, i) => value * (factors[factors.length === 1 ? 0 : i] as number));
}
