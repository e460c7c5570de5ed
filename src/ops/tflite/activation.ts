import type { Operator } from '../operator.ts';
import { perInput, perOutput, sameAsFirst, tflite } from './kit.ts';

/** Operations per element, counted as for the ONNX operators of the same meaning. */
const activations: readonly (readonly [name: string, operations: number])[] = [
  ['RELU', 1],
  ['RELU_N1_TO_1', 2],
  ['RELU_0_TO_1', 2],
  ['RELU6', 2],
  ['LEAKY_RELU', 2],
  ['ELU', 3],
  ['LOGISTIC', 4],
  ['TANH', 1],
  ['HARD_SWISH', 5],
  ['GELU', 5],
  ['SOFTMAX', 5],
  ['LOG_SOFTMAX', 5],
  ['STABLEHLO_LOGISTIC', 4],
  ['STABLEHLO_TANH', 1],
];

export const activationOperators: readonly Operator[] = [
  ...activations.map(([name, operations]) =>
    tflite(name, 'activation', sameAsFirst, { cost: perOutput(operations), inPlace: true }),
  ),
  tflite('PRELU', 'activation', sameAsFirst, { cost: perOutput(2) }),
  tflite('L2_NORMALIZATION', 'normalization', sameAsFirst, { cost: perInput(3), inPlace: true }),
  tflite('LOCAL_RESPONSE_NORMALIZATION', 'normalization', sameAsFirst, { cost: perInput(6) }),
];
