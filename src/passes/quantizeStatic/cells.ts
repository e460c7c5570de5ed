import { intAttribute, stringAttribute } from '../../ir/attribute.ts';
import type { Node, TfliteModel } from '../../ir/model.ts';
import { readableConstant } from '../support/constants.ts';
import { factsOf } from '../support/facts.ts';

/** Recurrent operators of TFLite that have a full-integer kernel. */
type CellKind = 'lstm' | 'svdf';

const gateNames = ['input', 'forget', 'cell', 'output'] as const;
type GateName = (typeof gateNames)[number];

/** Where one gate of an LSTM has its numbers among the operator's inputs. */
interface Gate {
  readonly name: GateName;
  readonly input: number;
  readonly recurrent: number;
  readonly bias: number;
}

/** Inputs of UNIDIRECTIONAL_SEQUENCE_LSTM (TensorFlow Lite, `lstm_shared.h`). */
export const lstmInputs = { projection: 16, projectionBias: 17, hidden: 18, cell: 19 } as const;
/** Inputs of SVDF. */
export const svdfInputs = { feature: 1, time: 2, bias: 3, state: 4 } as const;

/** The gates a layer has; with coupled input and forget gates the first is missing. */
export function gatesOf(node: Node): readonly Gate[] {
  return gateNames
    .map((name, i) => ({ name, input: 1 + i, recurrent: 5 + i, bias: 12 + i }))
    .filter(({ input }) => node.inputs[input] != null);
}

export function cellKind(node: Node): CellKind | undefined {
  if (node.domain !== '') return undefined;
  if (node.op === 'UNIDIRECTIONAL_SEQUENCE_LSTM') return 'lstm';
  return node.op === 'SVDF' ? 'svdf' : undefined;
}

/**
 * Why a recurrent layer has no full-integer form, or none that is written here; `undefined` when it has one. The kernels
 * are those of TensorFlow Lite's `unidirectional_sequence_lstm.cc` and `svdf.cc`.
 */
export function cellRefusal(model: TfliteModel, node: Node): string | undefined {
  const [graph] = model.graphs;
  const kind = cellKind(node);
  if (node.op === 'LSTM') return 'the form of LSTM for single steps is not written in integers';
  if (kind === undefined) return `TensorFlow Lite has no full-integer kernel for ${node.op}`;
  const isFloat = (index: number) => readableConstant(graph, node.inputs[index])?.dtype === 'float32';
  if (kind === 'svdf') {
    const { feature, time, bias } = svdfInputs;
    if (activationOf(node) !== 'RELU') return 'integer kernels of SVDF take RELU only';
    return [feature, time].every(isFloat) && (node.inputs[bias] == null || isFloat(bias))
      ? undefined
      : 'weights of SVDF are not float constants';
  }
  if (range(9, 11).some((index) => node.inputs[index] != null)) return 'it has peepholes';
  if (range(20, 23).some((index) => node.inputs[index] != null)) return 'it has layer normalization';
  if (activationOf(node) !== 'TANH') return 'integer kernels of LSTM take TANH only';
  if (intAttribute(node, 'diagonal_recurrent_tensors', 0) !== 0) return 'its recurrent weights are diagonal';
  const { projection, projectionBias } = lstmInputs;
  const weights = gatesOf(node).flatMap((gate) => [gate.input, gate.recurrent, gate.bias]);
  const others = [projection, projectionBias].filter((index) => node.inputs[index] != null);
  return [...weights, ...others].every(isFloat) ? undefined : 'its weights are not float constants';
}

function activationOf(node: Node): string {
  return stringAttribute(node, 'fused_activation_function', 'NONE');
}

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

export interface LstmSizes {
  readonly timeMajor: boolean;
  readonly batch: number;
  readonly steps: number;
  readonly inputs: number;
  readonly units: number;
  /** Width of the result; with a projection another than `units`. */
  readonly outputs: number;
}

/** Sizes of an LSTM; `undefined` where the file leaves one open. */
export function lstmSizes(model: TfliteModel, node: Node): LstmSizes | undefined {
  const [graph] = model.graphs;
  const [gate] = gatesOf(node);
  const dims = factsOf(model).dimsOf(node.inputs[0]);
  const weights = gate && readableConstant(graph, node.inputs[gate.input]);
  const recurrent = gate && readableConstant(graph, node.inputs[gate.recurrent]);
  if (dims?.length !== 3 || weights === undefined || recurrent === undefined) return undefined;
  const timeMajor = intAttribute(node, 'time_major', 0) !== 0;
  const [first, second, inputs] = dims as [number, number, number];
  return {
    timeMajor,
    batch: timeMajor ? second : first,
    steps: timeMajor ? first : second,
    inputs,
    units: weights.dims[0] as number,
    outputs: recurrent.dims[1] as number,
  };
}
