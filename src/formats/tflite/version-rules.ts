import type { DType } from '../../ir/dtype.ts';

/** What the version of an operator depends on. */
export interface Signature {
  readonly inputs: number;
  input(index: number): DType | undefined;
  output(index: number): DType | undefined;
  /** Rank of an input, 0 when unknown. */
  rank(index: number): number;
  perChannel(side: 'input' | 'output', index: number): boolean;
  isQuantized(index: number): boolean;
  /** Scale of an input's or output's per-tensor quantization, 0 without one. */
  scale(side: 'input' | 'output', index: number): number;
  isSparse(index: number): boolean;
  option(name: string): number;
  /** The first two inputs differ in shape and one has more than four dimensions. */
  readonly broadcastsBeyond4: boolean;
  /** The filter has fewer input channels than the input. */
  readonly isGrouped: boolean;
}

type When = (s: Signature) => boolean;
type Rules = readonly (readonly [version: number, when: When])[];

const at =
  (index: number, ...types: DType[]): When =>
  (s) =>
    types.includes(s.input(index) as DType);
const x = (...types: DType[]) => at(0, ...types);
const gives =
  (...types: DType[]): When =>
  (s) =>
    types.includes(s.output(0) as DType);
const both =
  (...conditions: When[]): When =>
  (s) =>
    conditions.every((each) => each(s));
const any =
  (...conditions: When[]): When =>
  (s) =>
    conditions.some((each) => each(s));
const set =
  (option: string): When =>
  (s) =>
    s.option(option) !== 0;
const rankAbove =
  (rank: number): When =>
  (s) =>
    s.rank(0) > rank;
const not =
  (condition: When): When =>
  (s) =>
    !condition(s);

/** Activations of one type, weights of another. */
const meets = (activation: DType, weight: DType, input = 0, weights = 1): When =>
  both(at(input, activation), at(weights, weight), gives(activation));
const hybrid = meets('float32', 'int8');
const perChannelWeights: When = (s) => s.perChannel('input', 1);
const quantized: When = (s) => s.isQuantized(0);
const beyond4: When = (s) => s.broadcastsBeyond4;
const int16: When = both(x('int16'), gives('int16'));

const int8Only: Rules = [[2, x('int8')]];
const int8And16: Rules = [
  [3, x('int16')],
  [2, x('int8')],
];
const pooling: Rules = [
  [3, int16],
  [2, x('int8')],
];
const hybridRnn: Rules = [
  [3, both(at(1, 'int8'), gives('float32'), set('asymmetric_quantize_inputs'))],
  [2, both(at(1, 'int8'), gives('float32'))],
];
const minMax: Rules = [
  [4, int16],
  [3, beyond4],
  [2, x('int8')],
];
const blocks: Rules = [
  [4, x('int16')],
  [3, (s) => s.rank(0) !== 4],
  [2, x('int8')],
];
const padding: Rules = [
  [5, x('bool')],
  [4, rankAbove(4)],
  [3, x('int16')],
  [2, x('int8')],
];
const arg: Rules = [
  [3, x('bool')],
  [2, x('int8')],
];

/**
 * The version that each operator needs, first rule that holds; 1 when none does. A version that is too low is worse
 * than one that is too high: an old runtime would accept the operator and compute garbage.
 */
export const versionRules: Readonly<Record<string, Rules>> = {
  CONV_2D: [
    [8, both(meets('int16', 'int8'), set('quantized_bias_type'))],
    [7, at(1, 'int4', 'int2')],
    [6, (s) => s.isGrouped],
    [4, both(x('int16'), gives('int16'))],
    [3, meets('int8', 'int8')],
    [5, both(hybrid, perChannelWeights)],
    [2, hybrid],
  ],
  DEPTHWISE_CONV_2D: [
    [7, at(1, 'int4')],
    [5, int16],
    [6, both(hybrid, perChannelWeights)],
    [4, hybrid],
    [3, meets('int8', 'int8')],
    [2, (s) => s.option('dilation_w_factor') !== 1 || s.option('dilation_h_factor') !== 1],
  ],
  TRANSPOSE_CONV: [
    [5, both(meets('int16', 'int8', 2), set('quantized_bias_type'))],
    [4, set('fused_activation_function')],
    [3, (s) => s.input(3) !== undefined],
    [2, at(1, 'int8')],
  ],
  FULLY_CONNECTED: [
    [14, at(1, 'int2')],
    [13, meets('int16', 'int4')],
    [12, both(x('float32'), at(1, 'int8', 'int4'), perChannelWeights)],
    [11, both(meets('int16', 'int8'), set('quantized_bias_type'))],
    [10, at(1, 'int4')],
    [8, (s) => s.isSparse(1)],
    [7, int16],
    [9, both(hybrid, set('asymmetric_quantize_inputs'))],
    [6, (s) => s.inputs === 2],
    [5, set('keep_num_dims')],
    [4, meets('int8', 'int8')],
    [3, hybrid],
    [2, set('weights_format')],
  ],
  BATCH_MATMUL: [
    [3, x('int16')],
    [2, x('int8')],
    [4, both(hybrid, set('asymmetric_quantize_inputs'))],
  ],
  EMBEDDING_LOOKUP: [[4, any(at(1, 'int4', 'int2'), perChannelWeights)]],
  FAKE_QUANT: [[2, set('narrow_range')]],
  GATHER: [
    [7, x('int4')],
    [6, at(1, 'int16')],
    [5, set('batch_dims')],
    [4, x('int16')],
    [3, x('bool')],
    [2, x('int8')],
  ],
  GATHER_ND: [
    [5, x('bool')],
    [4, at(1, 'int16')],
    [3, x('int16')],
    [2, x('string')],
  ],
  SVDF: [
    [3, x('int8')],
    [4, both(hybrid, set('asymmetric_quantize_inputs'))],
    [2, hybrid],
  ],
  LSTM: [
    [5, both(not(set('kernel_type')), meets('int16', 'int8', 0, 2))],
    [4, both(not(set('kernel_type')), meets('float32', 'int8', 0, 2), set('asymmetric_quantize_inputs'))],
    [3, both(not(set('kernel_type')), meets('float32', 'int8', 0, 2))],
    [2, set('kernel_type')],
  ],
  UNIDIRECTIONAL_SEQUENCE_LSTM: [
    [5, meets('int16', 'int8', 0, 2)],
    [4, set('diagonal_recurrent_tensors')],
    [3, both(meets('float32', 'int8', 0, 2), set('asymmetric_quantize_inputs'))],
    [2, meets('float32', 'int8', 0, 2)],
  ],
  BIDIRECTIONAL_SEQUENCE_LSTM: hybridRnn,
  RNN: hybridRnn,
  UNIDIRECTIONAL_SEQUENCE_RNN: hybridRnn,
  BIDIRECTIONAL_SEQUENCE_RNN: hybridRnn,
  SIGN: [[2, x('int32')]],
  MUL: [
    [7, any(both(x('int16'), not(quantized)), x('uint32'))],
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
  MAX_POOL_2D: pooling,
  AVERAGE_POOL_2D: pooling,
  TANH: pooling,
  LOGISTIC: pooling,
  TRANSPOSE: [
    [7, x('int4')],
    [6, rankAbove(5)],
    [5, x('int16')],
    [4, rankAbove(4)],
    [3, x('bool')],
    [2, x('int8')],
  ],
  SPLIT: [
    [4, at(1, 'int16')],
    [3, at(1, 'int32')],
    [2, at(1, 'int8')],
  ],
  SPARSE_TO_DENSE: [
    [3, at(2, 'int8', 'uint8')],
    [2, at(2, 'int64')],
  ],
  SLICE: [
    [6, x('uint32')],
    [5, rankAbove(4)],
    [4, x('int16')],
    [3, x('string')],
    [2, x('int8')],
  ],
  STRIDED_SLICE: [
    [8, set('offset')],
    [7, x('uint32')],
    [6, any(set('ellipsis_mask'), set('new_axis_mask'))],
    [5, x('string')],
    [4, rankAbove(4)],
    [3, x('bool')],
    [2, x('int8')],
  ],
  UNPACK: [
    [4, int16],
    [3, x('bool')],
    [2, x('int8', 'uint8')],
  ],
  PACK: [
    [4, x('uint32')],
    [3, int16],
    [2, x('int8')],
  ],
  DEQUANTIZE: [
    [9, x('float8e4m3fn', 'float8e5m2')],
    [8, x('uint4')],
    [7, x('int2')],
    [6, x('int4')],
    [3, x('int16', 'float16')],
    [5, both(x('int8'), (s) => s.perChannel('input', 0))],
    [2, x('int8')],
  ],
  QUANTIZE: [
    [5, any(x('uint4'), gives('uint4'))],
    [4, any(x('int4'), gives('int4'))],
    [3, (s) => s.perChannel('output', 0)],
    [2, gives('int16')],
  ],
  L2_NORMALIZATION: [[2, gives('int8')]],
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
  REVERSE_V2: [
    [3, x('int8')],
    [2, x('bool')],
  ],
  RESIZE_BILINEAR: [
    [4, x('int16')],
    [3, set('half_pixel_centers')],
    [2, x('int8')],
  ],
  RESIZE_NEAREST_NEIGHBOR: [
    [4, x('int16')],
    [3, any(set('half_pixel_centers'), set('align_corners'))],
    [2, x('int8')],
  ],
  TILE: [
    [3, x('int8')],
    [2, x('string')],
  ],
  SQUEEZE: [[2, x('string')]],
  SPACE_TO_BATCH_ND: blocks,
  BATCH_TO_SPACE_ND: blocks,
  FILL: [
    [4, at(1, 'float16')],
    [3, at(1, 'int8', 'int16')],
    [2, at(1, 'bool', 'string')],
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
  RANGE: [[2, x('int64')]],
  PAD: padding,
  PADV2: padding,
  CONCATENATION: [
    [4, x('uint32')],
    [3, x('int16')],
    [2, x('int8')],
  ],
  SOFTMAX: int8And16,
  MEAN: int8And16,
  MIRROR_PAD: int8And16,
  REDUCE_MAX: int8And16,
  REDUCE_MIN: int8And16,
  RELU6: int8And16,
  RSQRT: int8And16,
  LESS: int8And16,
  GREATER_EQUAL: int8And16,
  ARG_MAX: arg,
  ARG_MIN: arg,
  SELECT: [
    [4, x('uint32')],
    [3, (s) => [0, 1, 2].some((index) => s.rank(index) === 5)],
    [2, x('int8')],
  ],
  SELECT_V2: [[2, x('uint32')]],
  SPACE_TO_DEPTH: int8Only,
  DEPTH_TO_SPACE: int8Only,
  SPLIT_V: int8Only,
  SUM: int8Only,
  LOG_SOFTMAX: int8Only,
  GREATER: int8Only,
  LESS_EQUAL: int8Only,
  SQUARED_DIFFERENCE: int8Only,
  TOPK_V2: [
    [3, (s) => s.input(0) === 'int16' || s.input(1) === 'int16' || s.output(1) === 'int16'],
    [2, x('int8')],
  ],
  EXP: [[2, x('int8', 'int16')]],
  LOG: [[2, x('int8', 'int16')]],
  REDUCE_PROD: [[2, x('int8', 'int16')]],
  DYNAMIC_UPDATE_SLICE: [
    [4, x('int16')],
    [3, x('float16')],
    [2, at(2, 'int64')],
  ],
  BROADCAST_TO: [
    [3, x('int8', 'int16')],
    [2, () => true],
  ],
  CAST: [
    [7, any(x('bfloat16'), gives('bfloat16'))],
    [6, both(x('int4'), gives('float32'))],
    [5, any(x('float64', 'float16'), gives('float64', 'float16'))],
    [4, any(x('uint16'), gives('uint16'))],
    [3, any(x('int8'), gives('int8'))],
    [2, any(x('uint32'), gives('uint32'))],
  ],
  WHERE: [[2, not(x('bool'))]],
  GELU: [[2, x('int8', 'uint8')]],
};

/** The product's rescaling factor is at least 1. */
function rescales(s: Signature): boolean {
  const [a, b, out] = [s.scale('input', 0), s.scale('input', 1), s.scale('output', 0)];
  return a !== 0 && b !== 0 && out !== 0 && (a * b) / out >= 1;
}
