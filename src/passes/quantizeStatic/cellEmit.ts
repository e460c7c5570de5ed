import type { GraphEditor } from '../../ir/edit.ts';
import type { Graph, Node, ValueId } from '../../ir/model.ts';
import { numberTensor, readFloats } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { tensorType } from '../../ir/types.ts';
import { readableConstant } from '../support/constants.ts';
import type { Encoding } from '../support/quantization.ts';
import { quantizeBias, quantizeWeight, roundHalfEven } from '../support/quantization.ts';
import { perTensor, symmetric } from '../support/tflite.ts';
import { cellKind, gatesOf, lstmInputs, svdfInputs } from './cells.ts';

/** A recurrent layer that is about to run on integers, with the encodings around it. */
interface IntegerCell {
  readonly editor: GraphEditor;
  readonly graph: Graph;
  readonly node: Node;
  readonly input: Encoding;
  readonly output: Encoding;
  /** The largest magnitude in its state. */
  readonly reach: number;
}

/** Replaces weights, biases and states among `inputs`, and gives what else of the node changes. */
export function encodeCell(cell: IntegerCell, inputs: (ValueId | null)[]): Partial<Node> {
  if (cellKind(cell.node) === 'lstm') return encodeLstm(cell, inputs);
  encodeSvdf(cell, inputs);
  return {};
}

/** Integer bits of a cell state that the kernel's tanh takes: scales from 2^-15 to 2^-9. */
const mostBits = 6;
/** What one unit gives before the projection lies between -1 and 1. */
const hiddenScale = 2 ** -7;

function encodeLstm(cell: IntegerCell, inputs: (ValueId | null)[]): Partial<Node> {
  const { editor, node, input, output, reach } = cell;
  for (const gate of gatesOf(node)) {
    const scales = storeWeight(cell, gate.input, inputs);
    storeWeight(cell, gate.recurrent, inputs);
    storeBias(cell, gate.bias, input.scale, scales, inputs);
  }
  const { projection, projectionBias, hidden, cell: memory } = lstmInputs;
  const projected = node.inputs[projection] != null;
  if (projected) {
    const scales = storeWeight(cell, projection, inputs);
    if (node.inputs[projectionBias] != null) storeBias(cell, projectionBias, hiddenScale, scales, inputs);
  }
  const bits = Math.min(mostBits, Math.max(0, Math.ceil(Math.log2(Math.max(reach, 1e-6)))));
  inputs[hidden] = storeState(cell, hidden, 'int8', output.scale, output.zeroPoint);
  inputs[memory] = storeState(cell, memory, 'int16', 2 ** (bits - 15), 0);
  const gates = ['input', 'forget', 'cell', 'output'].map((name) =>
    editor.addValue(`${node.id}/${name}_intermediate`, { type: tensorType('float32', [0]) }),
  );
  // The kernel takes the hidden state's encoding from the last one, without a projection too.
  const encoding = projected ? perTensor(hiddenScale, 0) : perTensor(output.scale, output.zeroPoint);
  const last = editor.addValue(`${node.id}/hidden_intermediate`, {
    type: tensorType('int8', [0]),
    quantization: encoding,
  });
  return { intermediates: [...gates, last] };
}

/** Time weights of SVDF have ten bits, so that sums over the memory stay within 32. */
const timeLevels = 511;

function encodeSvdf(cell: IntegerCell, inputs: (ValueId | null)[]): void {
  const { editor, graph, node, reach } = cell;
  storeWeight(cell, svdfInputs.feature, inputs);
  const stateScale = Math.fround(Math.max(reach, 1e-6) / 32767);
  inputs[svdfInputs.state] = storeState(cell, svdfInputs.state, 'int16', stateScale, 0);
  const id = node.inputs[svdfInputs.time] as ValueId;
  const tensor = readableConstant(graph, id) as Tensor;
  const numbers = readFloats(tensor);
  const most = numbers.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
  const scale = most > 0 ? Math.fround(most / timeLevels) : 1;
  const codes = numberTensor(
    'int16',
    tensor.dims,
    Float64Array.from(numbers, (value) => roundHalfEven(value / scale)),
  );
  inputs[svdfInputs.time] = editor.addConstant(`${id}_int16`, codes, perTensor(scale, 0));
  if (node.inputs[svdfInputs.bias] == null) return;
  storeBias(cell, svdfInputs.bias, stateScale, Float32Array.of(scale), inputs);
}

/** Puts an int8 weight with one scale in its place. */
function storeWeight({ editor, graph, node }: IntegerCell, index: number, inputs: (ValueId | null)[]) {
  const id = node.inputs[index] as ValueId;
  const { tensor, scales } = quantizeWeight(readableConstant(graph, id) as Tensor, undefined);
  inputs[index] = editor.addConstant(`${id}_int8`, tensor, symmetric(scales, 0));
  return scales;
}

function storeBias(
  { editor, graph, node }: IntegerCell,
  index: number,
  inputScale: number,
  scales: Float32Array,
  inputs: (ValueId | null)[],
): void {
  const id = node.inputs[index] as ValueId;
  const bias = readFloats(readableConstant(graph, id) as Tensor);
  const stored = quantizeBias(bias, inputScale, scales);
  inputs[index] = editor.addConstant(`${id}_int32`, stored.tensor, symmetric(stored.scales, 0));
}

/** The state of a layer in integers; two layers never share one. */
function storeState(
  { editor, graph, node }: IntegerCell,
  index: number,
  dtype: 'int8' | 'int16',
  scale: number,
  zeroPoint: number,
): ValueId {
  const id = node.inputs[index] as ValueId;
  const value = graph.values.get(id);
  const shape = value?.type?.kind === 'tensor' ? value.type.shape : undefined;
  return editor.addValue(`${id}_${dtype}`, {
    type: tensorType(dtype, shape),
    quantization: perTensor(scale, zeroPoint),
    variable: true,
  });
}
