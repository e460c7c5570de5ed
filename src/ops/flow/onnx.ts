import type { ChannelFlow, FlowTable } from './flow.ts';
import { alike, elementwise, optional, outputsOf, tieBroadcast, unary } from './flow.ts';
import { conv, convTranspose, qlinearConv } from './convolution.ts';
import { einsum, gemm, matmul } from './matmul.ts';
import { concat, depthToSpace, expand, pad, reshape, split, transpose, view } from './movement.ts';
import { onnxNormalization } from './normalization.ts';
import { onnxRecurrent } from './recurrent.ts';
import { onnxArg, onnxQuantize, onnxReduce, pooling, resize } from './reduction.ts';
import { shapeOf } from './shape.ts';
import { gather, slice } from './slicing.ts';

/** Operands 0 and 3 are tensors, the others their encodings. */
const qlinearBinary: ChannelFlow = {
  flow(context) {
    const [y] = outputsOf(context.node);
    for (const index of [0, 3]) {
      const id = optional(context.node, index);
      if (id !== undefined && y !== undefined) tieBroadcast(context, id, y);
    }
  },
};

const lastAxis: ChannelFlow = unary((_, rank) => new Set([rank - 1]));

/** Operators that are not listed hold all of their operands. */
export const onnxFlows: FlowTable = {
  ...alike(
    'Identity Dropout Cast Relu LeakyRelu ThresholdedRelu Elu Celu Selu Sigmoid Tanh HardSigmoid HardSwish Swish ' +
      'Softplus Softsign Mish Gelu Shrink Clip FastGelu QuickGelu Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Ceil ' +
      'Cos Cosh Erf Exp Floor IsInf IsNaN Log Neg Not Reciprocal Round Sign Sin Sinh Sqrt Tan QLinearSigmoid ' +
      'QLinearLeakyRelu CastLike',
    unary(),
  ),
  ...alike(
    'Add Sub Mul Div Pow Min Max Mean Sum Mod PRelu And Or Xor BitShift BitwiseAnd BitwiseOr BitwiseXor Equal Greater ' +
      'GreaterOrEqual Less LessOrEqual Where BiasGelu',
    elementwise,
  ),
  ...alike('QLinearAdd QLinearMul', qlinearBinary),
  ...onnxNormalization,
  QLinearSoftmax: lastAxis,
  Conv: conv,
  FusedConv: conv,
  ConvInteger: conv,
  QLinearConv: qlinearConv,
  ConvTranspose: convTranspose,
  Gemm: gemm,
  FusedGemm: gemm,
  MatMul: matmul,
  Einsum: einsum,
  Concat: concat,
  Split: split,
  Slice: slice,
  Gather: gather,
  Transpose: transpose,
  Reshape: reshape,
  ...alike('Flatten Squeeze Unsqueeze', view),
  Pad: pad,
  Expand: expand,
  ...alike('DepthToSpace SpaceToDepth', depthToSpace),
  ...alike('Resize Upsample', resize),
  ...alike('MaxPool AveragePool LpPool GlobalAveragePool GlobalMaxPool GlobalLpPool', pooling(1)),
  ...alike(
    'ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare',
    onnxReduce,
  ),
  ...alike('ArgMax ArgMin', onnxArg),
  ...alike('QuantizeLinear DequantizeLinear', onnxQuantize),
  ...alike('LSTM GRU RNN', onnxRecurrent),
  Shape: shapeOf,
};
