import {
  beyond4,
  both,
  either,
  int16,
  int8And16,
  int8Only,
  not,
  pooling,
  quantized,
  rescales,
  set,
  x,
  type Rules,
} from './versionConditions.ts';

const minMax: Rules = [
  [4, int16],
  [3, beyond4],
  [2, x('int8')],
];
const arg: Rules = [
  [3, x('bool')],
  [2, x('int8')],
];

/** Versions of arithmetic, comparisons and reductions. */
export const arithmeticVersions: Readonly<Record<string, Rules>> = {
  SIGN: [[2, x('int32')]],
  MUL: [
    [7, either(both(x('int16'), not(quantized)), x('uint32'))],
    [6, x('complex64')],
    [5, x('int64')],
    [4, x('int16')],
    [3, rescales],
    [2, x('int8')],
  ],
  ADD: [
    [5, both(x('int16'), not(quantized))],
    [4, x('int64')],
    [3, both(int16, not(set('pot_scale_int16')))],
    [2, x('int8')],
  ],
  SUB: [
    [5, both(int16, not(set('pot_scale_int16')))],
    [4, x('int64')],
    [3, beyond4],
    [2, x('int8')],
  ],
  DIV: [[2, beyond4]],
  MAXIMUM: minMax,
  MINIMUM: minMax,
  FLOOR_DIV: [
    [3, x('int16', 'int8')],
    [2, x('float32')],
  ],
  FLOOR_MOD: [[2, x('int16', 'int8')]],
  TANH: pooling,
  LOGISTIC: pooling,
  ABS: [
    [5, x('int32')],
    [3, both(x('int16'), quantized)],
    [4, x('int16')],
    [2, x('int8', 'uint8')],
  ],
  RELU: [
    [3, x('int16')],
    [2, x('int8', 'uint8')],
  ],
  EQUAL: [
    [4, x('int16')],
    [3, x('string')],
    [2, x('int8')],
  ],
  NOT_EQUAL: [
    [3, x('string')],
    [2, x('int8')],
  ],
  LEAKY_RELU: [[2, x('int16')]],
  MEAN: int8And16,
  REDUCE_MAX: int8And16,
  REDUCE_MIN: int8And16,
  RELU6: int8And16,
  RSQRT: int8And16,
  LESS: int8And16,
  GREATER_EQUAL: int8And16,
  ARG_MAX: arg,
  ARG_MIN: arg,
  SUM: int8Only,
  GREATER: int8Only,
  LESS_EQUAL: int8Only,
  SQUARED_DIFFERENCE: int8Only,
  EXP: [[2, x('int8', 'int16')]],
  LOG: [[2, x('int8', 'int16')]],
  REDUCE_PROD: [[2, x('int8', 'int16')]],
  GELU: [[2, x('int8', 'uint8')]],
};
