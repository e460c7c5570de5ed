import { attr } from '../../../../src/ir/attribute.ts';
import { numberTensor } from '../../../../src/ir/numbers.ts';
import type { OperatorCase } from './build.ts';
import { contribCases } from './contribCases.ts';
import { f32, fed, filled, floats, ints, scalar } from './build.ts';

const microsoft = 'com.microsoft';
const convolution: OperatorCase[] = [
  { op: 'Conv', inputs: [f32(1, 3, 15, 17), filled('float32', [8, 3, 3, 5])] },
  {
    op: 'Conv',
    inputs: [f32(2, 4, 15, 17), filled('float32', [8, 2, 3, 3]), filled('float32', [8])],
    attributes: { group: 2, strides: [2, 3], pads: [1, 0, 2, 1], dilations: [2, 1] },
  },
  {
    op: 'Conv',
    inputs: [f32(1, 2, 9), filled('float32', [4, 2, 4])],
    attributes: { auto_pad: 'SAME_UPPER', strides: [2] },
  },
  {
    op: 'Conv',
    inputs: [f32(1, 2, 9), filled('float32', [4, 2, 4])],
    attributes: { auto_pad: 'VALID', strides: [2] },
  },
  { op: 'Conv', inputs: [f32(1, 1, 5, 6, 7), filled('float32', [2, 1, 2, 3, 2])] },
  {
    op: 'ConvTranspose',
    inputs: [f32(1, 4, 5, 6), filled('float32', [4, 3, 3, 3])],
    attributes: { strides: [2, 2], pads: [1, 1, 1, 1], output_padding: [1, 0] },
  },
  {
    op: 'ConvTranspose',
    inputs: [f32(1, 4, 5, 6), filled('float32', [4, 3, 3, 3])],
    attributes: { strides: [2, 2], output_shape: [10, 12], group: 2 },
  },
  {
    op: 'ConvTranspose',
    inputs: [f32(1, 4, 5, 6), filled('float32', [4, 3, 3, 3])],
    attributes: { strides: [2, 3], auto_pad: 'SAME_UPPER' },
  },
  { op: 'ConvInteger', inputs: [fed('uint8', 1, 3, 9, 9), filled('uint8', [4, 3, 3, 3])], opset: 10 },
  {
    op: 'QLinearConv',
    inputs: [
      fed('uint8', 1, 3, 9, 9),
      scalar('float32', 1),
      scalar('uint8', 0),
      filled('int8', [4, 3, 3, 3]),
      scalar('float32', 1),
      scalar('int8', 0),
      scalar('float32', 1),
      scalar('uint8', 0),
    ],
    attributes: { pads: [1, 1, 1, 1], strides: [2, 2] },
  },
  {
    op: 'FusedConv',
    domain: microsoft,
    inputs: [f32(1, 3, 9, 9), filled('float32', [4, 3, 3, 3]), filled('float32', [4])],
    attributes: { activation: 'Relu', pads: [1, 1, 1, 1] },
  },
];

const pooling: OperatorCase[] = [
  { op: 'MaxPool', inputs: [f32(1, 3, 12, 13)], attributes: { kernel_shape: [3, 2] }, outputs: 2 },
  {
    op: 'MaxPool',
    inputs: [f32(1, 3, 12, 13)],
    attributes: { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1, pads: [1, 1, 1, 1] },
  },
  {
    op: 'MaxPool',
    inputs: [f32(1, 3, 12, 14)],
    attributes: { kernel_shape: [2, 2], strides: [3, 3], ceil_mode: 1 },
  },
  {
    op: 'AveragePool',
    inputs: [f32(1, 3, 12, 13)],
    attributes: { kernel_shape: [3, 3], strides: [2, 2], auto_pad: 'SAME_LOWER' },
  },
  {
    op: 'AveragePool',
    inputs: [f32(1, 3, 7, 7)],
    attributes: {
      kernel_shape: [2, 2],
      strides: [2, 2],
      ceil_mode: 1,
      count_include_pad: 1,
      pads: [0, 0, 1, 1],
    },
    opset: 19,
  },
  { op: 'LpPool', inputs: [f32(1, 3, 12, 13)], attributes: { kernel_shape: [3, 3] } },
  { op: 'GlobalAveragePool', inputs: [f32(2, 3, 5, 6)] },
  { op: 'GlobalMaxPool', inputs: [f32(2, 3, 5)] },
  {
    op: 'MaxUnpool',
    inputs: [f32(1, 1, 2, 2), filled('int64', [1, 1, 2, 2])],
    attributes: { kernel_shape: [2, 2], strides: [2, 2] },
  },
  {
    op: 'RoiAlign',
    inputs: [f32(1, 2, 9, 9), filled('float32', [3, 4]), filled('int64', [3], 0)],
    attributes: { output_height: 4, output_width: 5 },
    opset: 16,
  },
  {
    op: 'QLinearAveragePool',
    domain: microsoft,
    inputs: [
      fed('uint8', 1, 3, 8, 8),
      scalar('float32', 1),
      scalar('uint8', 0),
      scalar('float32', 1),
      scalar('uint8', 0),
    ],
    attributes: { kernel_shape: [2, 2], strides: [2, 2] },
  },
  {
    op: 'NhwcMaxPool',
    domain: microsoft,
    inputs: [fed('uint8', 1, 8, 9, 3)],
    attributes: { kernel_shape: [2, 2], strides: [2, 2] },
  },
  {
    op: 'QLinearGlobalAveragePool',
    domain: microsoft,
    inputs: [
      fed('uint8', 1, 3, 8, 8),
      scalar('float32', 1),
      scalar('uint8', 0),
      scalar('float32', 1),
      scalar('uint8', 0),
    ],
  },
];

const matmul: OperatorCase[] = [
  { op: 'MatMul', inputs: [f32(2, 1, 3, 4), f32(5, 4, 6)] },
  { op: 'MatMul', inputs: [f32(4), f32(5, 4, 6)] },
  { op: 'MatMul', inputs: [f32(5, 3, 4), f32(4)] },
  { op: 'MatMul', inputs: [f32(4), f32(4)] },
  { op: 'Gemm', inputs: [f32(3, 4), f32(4, 6), f32(6)] },
  { op: 'Gemm', inputs: [f32(4, 3), f32(6, 4)], attributes: { transA: 1, transB: 1 } },
  { op: 'MatMulInteger', inputs: [fed('uint8', 2, 3, 4), filled('uint8', [4, 5])] },
  {
    op: 'QLinearMatMul',
    inputs: [
      fed('uint8', 2, 3, 4),
      scalar('float32', 1),
      scalar('uint8', 0),
      filled('uint8', [4, 5]),
      scalar('float32', 1),
      scalar('uint8', 0),
      scalar('float32', 1),
      scalar('uint8', 0),
    ],
  },
  { op: 'Einsum', inputs: [f32(2, 3, 4), f32(2, 4, 5)], attributes: { equation: 'bij,bjk->bik' } },
  { op: 'Einsum', inputs: [f32(3, 4), f32(4, 5)], attributes: { equation: 'ij, jk' } },
  { op: 'Einsum', inputs: [f32(2, 3, 4)], attributes: { equation: 'abc->ca' } },
  {
    op: 'Einsum',
    inputs: [f32(7, 2, 3, 4), f32(7, 2, 4, 5)],
    attributes: { equation: '...ij,...jk->...ik' },
  },
  {
    op: 'FusedMatMul',
    domain: microsoft,
    inputs: [f32(2, 4, 3), f32(2, 5, 4)],
    attributes: { transA: 1, transB: 1 },
  },
  {
    op: 'MatMulNBits',
    domain: microsoft,
    inputs: [f32(2, 3, 32), filled('uint8', [8, 1, 16]), filled('float32', [8])],
    attributes: { K: 32, N: 8, bits: 4, block_size: 32 },
  },
];

const elementwise: OperatorCase[] = [
  ...['Add', 'Sub', 'Mul', 'Div', 'Pow'].map((op) => ({ op, inputs: [f32(2, 1, 4), f32(3, 1)] })),
  { op: 'PRelu', inputs: [f32(2, 3, 4), f32(3, 1)] },
  { op: 'Mod', inputs: [fed('int64', 4), ints(3)] },
  { op: 'BitShift', inputs: [fed('uint8', 4), fed('uint8', 1)], attributes: { direction: 'LEFT' } },
  ...['Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual'].map((op) => ({
    op,
    inputs: [f32(2, 1, 4), f32(3, 1)],
  })),
  ...['And', 'Or', 'Xor'].map((op) => ({ op, inputs: [fed('bool', 2, 1), fed('bool', 3)] })),
  { op: 'Not', inputs: [fed('bool', 2, 3)] },
  { op: 'Where', inputs: [fed('bool', 2, 1), f32(3), f32(2, 3)] },
  ...['Sum', 'Mean', 'Max', 'Min'].map((op) => ({ op, inputs: [f32(2, 1, 4), f32(3, 1), f32(1)] })),
  ...[
    'Abs',
    'Neg',
    'Ceil',
    'Floor',
    'Round',
    'Sqrt',
    'Reciprocal',
    'Exp',
    'Log',
    'Sign',
    'Sin',
    'Cos',
    'Erf',
  ].map((op) => ({ op, inputs: [f32(2, 3)] })),
  { op: 'IsNaN', inputs: [f32(2, 3)] },
  { op: 'IsInf', inputs: [f32(2, 3)] },
  { op: 'BitwiseAnd', inputs: [fed('int32', 2, 3), fed('int32', 3)], opset: 18 },
  {
    op: 'QLinearAdd',
    domain: microsoft,
    inputs: [
      fed('uint8', 2, 3),
      scalar('float32', 1),
      scalar('uint8', 0),
      fed('uint8', 3),
      scalar('float32', 1),
      scalar('uint8', 0),
      scalar('float32', 1),
      scalar('uint8', 0),
    ],
  },
];

const activation: OperatorCase[] = [
  ...[
    'Relu',
    'LeakyRelu',
    'ThresholdedRelu',
    'Elu',
    'Celu',
    'Selu',
    'Sigmoid',
    'Tanh',
    'HardSigmoid',
    'HardSwish',
    'Softplus',
    'Softsign',
    'Shrink',
    'Softmax',
    'LogSoftmax',
    'Hardmax',
    'Clip',
  ].map((op) => ({ op, inputs: [f32(2, 3)] })),
  { op: 'Clip', inputs: [f32(2, 3), scalar('float32', 0), scalar('float32', 6)] },
  { op: 'Mish', inputs: [f32(2, 3)], opset: 18 },
  { op: 'Gelu', inputs: [f32(2, 3)], opset: 20 },
  ...['Gelu', 'FastGelu', 'QuickGelu'].map((op) => ({ op, domain: microsoft, inputs: [f32(2, 3)] })),
  { op: 'BiasGelu', domain: microsoft, inputs: [f32(2, 3), f32(3)] },
];

const normalization: OperatorCase[] = [
  {
    op: 'BatchNormalization',
    inputs: [
      f32(2, 3, 4),
      filled('float32', [3]),
      filled('float32', [3]),
      filled('float32', [3]),
      filled('float32', [3]),
    ],
  },
  { op: 'InstanceNormalization', inputs: [f32(2, 3, 4), filled('float32', [3]), filled('float32', [3])] },
  {
    op: 'LayerNormalization',
    inputs: [f32(2, 3, 4), filled('float32', [3, 4]), filled('float32', [3, 4])],
    attributes: { axis: 1 },
    outputs: 3,
  },
  { op: 'LRN', inputs: [f32(1, 5, 4, 4)], attributes: { size: 3 } },
  { op: 'LpNormalization', inputs: [f32(2, 3)] },
  { op: 'MeanVarianceNormalization', inputs: [f32(1, 3, 4, 4)] },
  {
    op: 'GroupNormalization',
    inputs: [f32(1, 4, 6), filled('float32', [4]), filled('float32', [4])],
    attributes: { num_groups: 2 },
    opset: 21,
    irVersion: 10,
  },
  {
    op: 'SkipLayerNormalization',
    domain: microsoft,
    inputs: [f32(1, 3, 8), f32(1, 3, 8), filled('float32', [8]), filled('float32', [8])],
  },
];

const reduction: OperatorCase[] = [
  ...[
    'ReduceMean',
    'ReduceMax',
    'ReduceMin',
    'ReduceProd',
    'ReduceL1',
    'ReduceL2',
    'ReduceSumSquare',
    'ReduceLogSum',
    'ReduceLogSumExp',
  ].flatMap((op) => [
    { op, inputs: [f32(2, 3, 4)], attributes: { axes: [-1, 0] } },
    { op, inputs: [f32(2, 3, 4)], attributes: { axes: [1], keepdims: 0 } },
    { op, inputs: [f32(2, 3, 4), ints(1)], attributes: { keepdims: 0 }, opset: 18 },
  ]),
  { op: 'ReduceSum', inputs: [f32(2, 3, 4), ints(0, 2)] },
  { op: 'ReduceSum', inputs: [f32(2, 3, 4)], attributes: { keepdims: 0 } },
  { op: 'ReduceSum', inputs: [f32(2, 3, 4)], attributes: { noop_with_empty_axes: 1 } },
  { op: 'ReduceSum', inputs: [f32(2, 3, 4)], attributes: { axes: [1] }, opset: 11 },
  { op: 'ArgMax', inputs: [f32(2, 3, 4)], attributes: { axis: 1 } },
  { op: 'ArgMin', inputs: [f32(2, 3, 4)], attributes: { axis: -1, keepdims: 0 } },
  { op: 'TopK', inputs: [f32(2, 7), ints(3)], attributes: { axis: 1 }, outputs: 2 },
  { op: 'TopK', inputs: [f32(2, 7)], attributes: { axis: 1, k: 2 }, outputs: 2, opset: 9 },
  { op: 'CumSum', inputs: [f32(2, 7), scalar('int64', 1)] },
];

const movement: OperatorCase[] = [
  { op: 'Concat', inputs: [f32(2, 3), f32(2, 5)], attributes: { axis: -1 } },
  { op: 'Split', inputs: [f32(7, 3)], attributes: { axis: 0, num_outputs: 3 }, outputs: 3, opset: 18 },
  { op: 'Split', inputs: [f32(6, 3)], attributes: { axis: 0 }, outputs: 3 },
  { op: 'Split', inputs: [f32(7, 3), ints(2, 5)], outputs: 2 },
  { op: 'Split', inputs: [f32(7, 3)], attributes: { split: [1, 6] }, outputs: 2, opset: 11 },
  { op: 'Slice', inputs: [f32(9, 8, 7), ints(1, -3), ints(100, -1), ints(0, 2), ints(2, 1)] },
  { op: 'Slice', inputs: [f32(9, 8), ints(-1), ints(-1000), ints(0), ints(-3)] },
  { op: 'Slice', inputs: [f32(9, 8), ints(20), ints(2), ints(1), ints(-2)] },
  { op: 'Slice', inputs: [f32(9, 8)], attributes: { starts: [1, 2], ends: [5, 1000] }, opset: 9 },
  { op: 'Slice', inputs: [f32(9, 8)], attributes: { starts: [5], ends: [2], axes: [1] }, opset: 9 },
  { op: 'Pad', inputs: [f32(3, 4), ints(1, 0, 2, 3)] },
  { op: 'Pad', inputs: [f32(3, 4), ints(1, 2), null, ints(-1)], opset: 18 },
  { op: 'Pad', inputs: [f32(3, 4)], attributes: { pads: [0, 1, 0, 1] }, opset: 2 },
  { op: 'Tile', inputs: [f32(3, 4), ints(2, 1)] },
  { op: 'Expand', inputs: [f32(3, 1), ints(2, 1, 6)] },
  { op: 'Transpose', inputs: [f32(2, 3, 4)] },
  { op: 'Transpose', inputs: [f32(2, 3, 4)], attributes: { perm: [1, 2, 0] } },
  { op: 'DepthToSpace', inputs: [f32(1, 8, 2, 3)], attributes: { blocksize: 2 } },
  { op: 'SpaceToDepth', inputs: [f32(1, 2, 4, 6)], attributes: { blocksize: 2 } },
  { op: 'ReverseSequence', inputs: [f32(4, 2, 3), ints(1, 1)] },
  { op: 'Trilu', inputs: [f32(4, 5)] },
  { op: 'Gather', inputs: [f32(5, 3, 2), filled('int64', [2, 4])], attributes: { axis: 1 } },
  { op: 'Gather', inputs: [f32(5, 3), scalar('int64', 1)] },
  { op: 'GatherElements', inputs: [f32(5, 3), filled('int64', [2, 3])] },
  { op: 'GatherND', inputs: [f32(5, 3, 2), filled('int64', [4, 2])] },
  { op: 'GatherND', inputs: [f32(2, 3, 4), filled('int64', [2, 1])], attributes: { batch_dims: 1 } },
  { op: 'ScatterElements', inputs: [f32(5, 3), filled('int64', [2, 3]), f32(2, 3)] },
  { op: 'ScatterND', inputs: [f32(5, 3), filled('int64', [4, 1]), f32(4, 3)] },
  {
    op: 'OneHot',
    inputs: [filled('int64', [2, 3]), scalar('int64', 5), floats(0, 1)],
    attributes: { axis: 1 },
  },
  { op: 'Compress', inputs: [f32(5, 3), filled('bool', [5])], attributes: { axis: 0 } },
  {
    op: 'GridSample',
    inputs: [f32(1, 2, 5, 5), f32(1, 3, 4, 2)],
    attributes: { mode: 'bilinear' },
  },
  { op: 'Col2Im', inputs: [f32(1, 12, 4), ints(3, 3), ints(2, 2)], opset: 18 },
  { op: 'CenterCropPad', inputs: [f32(5, 6), ints(3, 8)], opset: 18 },
  { op: 'AffineGrid', inputs: [f32(2, 2, 3), ints(2, 3, 5, 6)], opset: 20 },
  { op: 'Resize', inputs: [f32(1, 2, 5, 7), null, floats(1, 1, 2, 0.6)] },
  { op: 'Resize', inputs: [f32(1, 2, 5, 7), null, null, ints(1, 2, 8, 9)], attributes: { mode: 'linear' } },
  {
    op: 'Resize',
    inputs: [f32(1, 2, 5, 7), null, null, ints(8, 9)],
    attributes: { axes: [2, 3], keep_aspect_ratio_policy: 'not_larger' },
    opset: 18,
  },
  { op: 'Resize', inputs: [f32(1, 2, 5, 7), floats(1, 1, 2, 2)], opset: 10 },
  { op: 'Upsample', inputs: [f32(1, 2, 5, 7), floats(1, 1, 2, 3)], opset: 9 },
];

const shapes: OperatorCase[] = [
  { op: 'Reshape', inputs: [f32(2, 3, 4), ints(0, -1)] },
  { op: 'Reshape', inputs: [f32(2, 3, 4), ints(4, 3, 2)] },
  { op: 'Reshape', inputs: [f32(0, 3), ints(3, 0)], attributes: { allowzero: 1 } },
  { op: 'Flatten', inputs: [f32(2, 3, 4)] },
  { op: 'Flatten', inputs: [f32(2, 3, 4)], attributes: { axis: 0 } },
  { op: 'Flatten', inputs: [f32(2, 3, 4)], attributes: { axis: -1 } },
  { op: 'Squeeze', inputs: [f32(2, 1, 3, 1), ints(-1)] },
  { op: 'Squeeze', inputs: [f32(2, 1, 3, 1)] },
  { op: 'Squeeze', inputs: [f32(2, 1, 3, 1)], attributes: { axes: [1] }, opset: 11 },
  { op: 'Unsqueeze', inputs: [f32(2, 3), ints(0, -1)] },
  { op: 'Unsqueeze', inputs: [f32(2, 3)], attributes: { axes: [1, 3] }, opset: 11 },
  { op: 'Shape', inputs: [f32(2, 3, 4)] },
  { op: 'Shape', inputs: [f32(2, 3, 4)], attributes: { start: 1, end: -1 } },
  { op: 'Size', inputs: [f32(2, 3)] },
  { op: 'Identity', inputs: [f32(2, 3)] },
  { op: 'Dropout', inputs: [f32(2, 3)], outputs: 2 },
  { op: 'Cast', inputs: [f32(2, 3)], attributes: { to: 10 } },
  { op: 'CastLike', inputs: [f32(2, 3), fed('int32', 1)] },
];

const generators: OperatorCase[] = [
  {
    op: 'Constant',
    inputs: [],
    attributes: { value: attr.tensor(numberTensor('int32', [2, 2], [1, 2, 3, 4])) },
  },
  { op: 'Constant', inputs: [], attributes: { value_floats: attr.floats([1, 2, 3]) } },
  { op: 'Constant', inputs: [], attributes: { value_int: 7 } },
  { op: 'ConstantOfShape', inputs: [ints(2, 3)] },
  {
    op: 'ConstantOfShape',
    inputs: [ints(4)],
    attributes: { value: attr.tensor(numberTensor('int64', [1], [9])) },
  },
  { op: 'Range', inputs: [scalar('int64', 2), scalar('int64', 11), scalar('int64', 4)] },
  { op: 'Range', inputs: [scalar('float32', 5), scalar('float32', 0), scalar('float32', -1.5)] },
  { op: 'EyeLike', inputs: [f32(3, 4)], attributes: { dtype: 7 } },
  { op: 'RandomNormal', inputs: [], attributes: { shape: [2, 3] } },
  { op: 'RandomUniformLike', inputs: [f32(3, 4)] },
  { op: 'HannWindow', inputs: [scalar('int64', 16)] },
  {
    op: 'MelWeightMatrix',
    inputs: [
      scalar('int64', 8),
      scalar('int64', 32),
      scalar('int64', 16000),
      scalar('float32', 0),
      scalar('float32', 8000),
    ],
  },
  { op: 'DFT', inputs: [f32(1, 16, 1)], attributes: { axis: 1, onesided: 1 } },
  { op: 'DFT', inputs: [f32(1, 16, 2)], attributes: { axis: 1 } },
  { op: 'STFT', inputs: [f32(1, 64, 1), scalar('int64', 8), filled('float32', [16])] },
  { op: 'Det', inputs: [f32(2, 3, 3)] },
];

const recurrent: OperatorCase[] = [
  {
    op: 'LSTM',
    inputs: [f32(5, 2, 3), filled('float32', [1, 16, 3]), filled('float32', [1, 16, 4])],
    attributes: { hidden_size: 4 },
    outputs: 3,
  },
  {
    op: 'LSTM',
    inputs: [f32(5, 2, 3), filled('float32', [2, 16, 3]), filled('float32', [2, 16, 4])],
    attributes: { hidden_size: 4, direction: 'bidirectional' },
    outputs: 3,
  },
  {
    op: 'GRU',
    inputs: [f32(5, 2, 3), filled('float32', [1, 12, 3]), filled('float32', [1, 12, 4])],
    attributes: { hidden_size: 4 },
    outputs: 2,
  },
  {
    op: 'RNN',
    inputs: [f32(5, 2, 3), filled('float32', [1, 4, 3]), filled('float32', [1, 4, 4])],
    attributes: { hidden_size: 4 },
    outputs: 2,
  },
];

const quantization: OperatorCase[] = [
  { op: 'QuantizeLinear', inputs: [f32(2, 3), scalar('float32', 1), scalar('int8', 0)] },
  { op: 'QuantizeLinear', inputs: [f32(2, 3), scalar('float32', 1)] },
  {
    op: 'DequantizeLinear',
    inputs: [fed('int8', 2, 3), floats(1, 2, 3), { constant: numberTensor('int8', [3], [0, 0, 0]) }],
    attributes: { axis: 1 },
  },
  { op: 'DynamicQuantizeLinear', inputs: [f32(2, 3)], outputs: 3 },
  { op: 'QuantizeLinear', domain: microsoft, inputs: [f32(2, 3), scalar('float32', 1), scalar('uint16', 0)] },
];

const attention: OperatorCase[] = [
  {
    op: 'Attention',
    domain: microsoft,
    inputs: [f32(1, 5, 8), filled('float32', [8, 24]), filled('float32', [24])],
    attributes: { num_heads: 2 },
  },
  {
    op: 'MultiHeadAttention',
    domain: microsoft,
    inputs: [f32(1, 5, 8), f32(1, 7, 8), f32(1, 7, 8)],
    attributes: { num_heads: 2 },
  },
  {
    op: 'GroupQueryAttention',
    domain: microsoft,
    inputs: [
      f32(1, 5, 64),
      f32(1, 5, 32),
      f32(1, 5, 32),
      f32(1, 2, 0, 16),
      f32(1, 2, 0, 16),
      { constant: numberTensor('int32', [1], [4]) },
      scalar('int32', 5),
    ],
    attributes: { num_heads: 4, kv_num_heads: 2 },
    outputs: 3,
  },
  { op: 'Attention', inputs: [f32(1, 2, 5, 4), f32(1, 2, 7, 4), f32(1, 2, 7, 6)], opset: 23, irVersion: 11 },
  {
    op: 'Attention',
    inputs: [f32(1, 5, 8), f32(1, 7, 4), f32(1, 7, 4)],
    attributes: { q_num_heads: 4, kv_num_heads: 2 },
    opset: 23,
    irVersion: 11,
  },
  { op: 'RMSNormalization', inputs: [f32(2, 3, 4), filled('float32', [4])], opset: 23, irVersion: 11 },
];

/** Static cases only: results whose sizes depend on data are tested by name. */
export const cases: readonly OperatorCase[] = [
  ...convolution,
  ...pooling,
  ...matmul,
  ...elementwise,
  ...activation,
  ...normalization,
  ...reduction,
  ...movement,
  ...shapes,
  ...generators,
  ...recurrent,
  ...quantization,
  ...attention,
  ...contribCases,
];
