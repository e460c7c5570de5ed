import { intAttribute } from '../../ir/attribute.ts';
import type { GraphEditor } from '../../ir/edit.ts';
import type { Graph, Node, ValueId } from '../../ir/model.ts';
import { floatTensor, intTensor, sizeOf } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { readableConstant, reshaped, transposed } from '../support/constants.ts';
import type { Facts } from '../support/facts.ts';
import { isOnnxOp } from '../support/graph.ts';
import { quantizeWeight } from '../support/quantization.ts';

/** Where `com.microsoft.DynamicQuantizeLSTM` lives; the only recurrent operator with an integer form there. */
export const lstmDomain = 'com.microsoft';

/** The weights of an LSTM that can be quantized: float32 constants, on a float32 input, time first. */
export function lstmWeights(graph: Graph, facts: Facts, node: Node): readonly [Tensor, Tensor] | undefined {
  if (!isOnnxOp(node, 'LSTM') || intAttribute(node, 'layout', 0) !== 0) return undefined;
  if (facts.dtypeOf(node.inputs[0]) !== 'float32') return undefined;
  const [input, recurrent] = [1, 2].map((place) => readableConstant(graph, node.inputs[place]));
  const isMatrix = (tensor: Tensor | undefined) => tensor?.dtype === 'float32' && tensor.dims.length === 3;
  if (input === undefined || recurrent === undefined || !isMatrix(input) || !isMatrix(recurrent))
    return undefined;
  return [input, recurrent];
}

export function lstmSize([input, recurrent]: readonly [Tensor, Tensor]): number {
  return sizeOf(input) + sizeOf(recurrent);
}

/**
 * Puts ONNX Runtime's DynamicQuantizeLSTM in the place of an LSTM: int8 weights with a scale per gate and unit, inputs and
 * states quantized at every step. It reads both matrices inputs first: [directions, inputs, 4 x units].
 */
export function emitLstm(editor: GraphEditor, node: Node, weights: readonly [Tensor, Tensor]): void {
  const parts = weights.map((tensor, at) => storedGates(editor, node.inputs[at + 1] as ValueId, tensor));
  const inputs = Array.from({ length: 8 }, (_, place) => node.inputs[place] ?? null);
  for (const [at, [codes, scale, zero]] of parts.entries()) {
    inputs[at + 1] = codes;
    inputs.push(scale, zero);
  }
  editor.replaceNode(node.id, [{ ...node, op: 'DynamicQuantizeLSTM', domain: lstmDomain, inputs }]);
}

/** Codes, scales and zero points of [directions, 4 x units, inputs]. */
function storedGates(editor: GraphEditor, id: ValueId, tensor: Tensor): readonly [ValueId, ValueId, ValueId] {
  const [directions, rows, columns] = tensor.dims as readonly [number, number, number];
  const made = quantizeWeight(reshaped(tensor, [directions * rows, columns]), 0);
  const codes = transposed(reshaped(made.tensor, [directions, rows, columns]), [0, 2, 1]);
  const zeros = Array.from(made.scales, () => 0);
  return [
    editor.addConstant(`${id}_quantized`, codes),
    editor.addConstant(`${id}_scale`, floatTensor([directions, rows], made.scales)),
    editor.addConstant(`${id}_zero_point`, intTensor('int8', [directions, rows], zeros)),
  ];
}
