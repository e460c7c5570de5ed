import type { Dialect } from '../../ir/model.ts';

/** One sentence per operator, under its ONNX name; TFLite names lead to the same sentences. */
const sentences: Readonly<Record<string, string>> = {
  Conv: 'Slides a window of weights over the input: every output channel is a weighted sum over all taps and input channels of its group.',
  DepthwiseConv:
    'A convolution with one filter per channel: little arithmetic per byte, so memory decides its speed.',
  ConvTranspose:
    'The gradient of a convolution used forward: spreads every input over a window, for upsampling.',
  Gemm: 'alpha · A × B + beta · C: a fully connected layer with its bias.',
  MatMul: 'Matrix product over the last two axes, broadcast over the others.',
  BatchNormalization:
    'Subtracts the mean and divides by the deviation per channel, then scales and shifts; at inference it is affine and can be folded into the layer before it.',
  LayerNormalization: 'Normalizes over the last axes of each sample, then scales and shifts.',
  InstanceNormalization: 'Normalizes every channel of every sample by its own statistics.',
  Relu: 'max(0, x).',
  Relu6: 'min(max(0, x), 6).',
  Clip: 'Limits values to a range; between 0 and 6 it is ReLU6.',
  LeakyRelu: 'x where positive, alpha · x elsewhere.',
  PRelu: 'x where positive, a learned slope times x elsewhere.',
  Elu: 'x where positive, alpha · (exp x - 1) elsewhere.',
  Sigmoid: '1 / (1 + exp -x).',
  HardSigmoid: 'A piecewise linear sigmoid, cheap without exponentials.',
  HardSwish: 'x · hardsigmoid(x), the activation of MobileNetV3.',
  Tanh: 'Hyperbolic tangent.',
  Gelu: 'x times the normal distribution function of x.',
  Softmax: 'Exponentials normalized to sum 1 along an axis.',
  LogSoftmax: 'Logarithm of softmax, computed stably.',
  Add: 'Element by element sum, with broadcasting.',
  Sub: 'Element by element difference, with broadcasting.',
  Mul: 'Element by element product, with broadcasting.',
  Div: 'Element by element quotient, with broadcasting.',
  Pow: 'Element by element power.',
  MaxPool: 'The largest value of every window.',
  AveragePool: 'The mean of every window.',
  GlobalAveragePool: 'The mean over all positions of every channel.',
  ReduceMean: 'The mean over some axes.',
  ReduceSum: 'The sum over some axes.',
  ReduceMax: 'The largest value over some axes.',
  Concat: 'Joins tensors along an axis; copies all of them.',
  Split: 'Cuts a tensor along an axis.',
  Slice: 'A part of a tensor, with steps.',
  Gather: 'Rows picked by index.',
  Reshape: 'The same elements under other dimensions; nothing moves.',
  Flatten: 'Reshape to two dimensions.',
  Squeeze: 'Drops dimensions of size 1.',
  Unsqueeze: 'Inserts dimensions of size 1.',
  Transpose: 'Changes the order of the axes; copies the whole tensor.',
  Pad: 'Adds elements around a tensor.',
  Resize: 'Scales the spatial axes by interpolation.',
  DepthToSpace: 'Moves channels into blocks of pixels.',
  SpaceToDepth: 'Moves blocks of pixels into channels.',
  Cast: 'Converts to another element type.',
  Identity: 'The input under another name.',
  Dropout: 'At inference the input; in training it drops elements at random.',
  Constant: 'A constant in the graph.',
  Shape: 'The dimensions as a tensor.',
  Expand: 'Repeats a tensor to a larger shape.',
  Where: 'Picks from two tensors by a condition.',
  QuantizeLinear: 'round(x / scale) + zero point, limited to the integer type.',
  DequantizeLinear: '(q - zero point) · scale.',
  DynamicQuantizeLinear: 'Finds scale and zero point of the tensor at run time and quantizes it.',
  QLinearConv: 'A convolution on integers with scales for input, weight and output.',
  LSTM: 'A recurrent layer with input, output and forget gates and a cell state.',
  GRU: 'A recurrent layer with update and reset gates.',
  If: 'Runs one of two bodies.',
  Loop: 'Runs a body until a condition fails.',
  Scan: 'Runs a body over the slices of a sequence.',
  TopK: 'The largest elements and where they stood.',
  NonMaxSuppression: 'Keeps the best of overlapping boxes.',
  Erf: 'The error function, inside of GELU.',
};

const tfliteNames: Readonly<Record<string, string>> = {
  CONV_2D: 'Conv',
  DEPTHWISE_CONV_2D: 'DepthwiseConv',
  TRANSPOSE_CONV: 'ConvTranspose',
  FULLY_CONNECTED: 'Gemm',
  BATCH_MATMUL: 'MatMul',
  RELU: 'Relu',
  RELU6: 'Relu6',
  LOGISTIC: 'Sigmoid',
  HARD_SWISH: 'HardSwish',
  MAX_POOL_2D: 'MaxPool',
  AVERAGE_POOL_2D: 'AveragePool',
  MEAN: 'ReduceMean',
  SUM: 'ReduceSum',
  REDUCE_MAX: 'ReduceMax',
  CONCATENATION: 'Concat',
  STRIDED_SLICE: 'Slice',
  EXPAND_DIMS: 'Unsqueeze',
  RESIZE_BILINEAR: 'Resize',
  RESIZE_NEAREST_NEIGHBOR: 'Resize',
  QUANTIZE: 'QuantizeLinear',
  DEQUANTIZE: 'DequantizeLinear',
  LEAKY_RELU: 'LeakyRelu',
  LOG_SOFTMAX: 'LogSoftmax',
  UNIDIRECTIONAL_SEQUENCE_LSTM: 'LSTM',
  WHILE: 'Loop',
  TOPK_V2: 'TopK',
  SELECT_V2: 'Where',
};

/** What an operator does, in a sentence; `undefined` for operators without one. */
export function operatorSentence(op: string, dialect: Dialect): string | undefined {
  if (dialect === 'onnx') return sentences[op];
  const plain = op
    .toLowerCase()
    .split('_')
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1))
    .join('');
  return sentences[tfliteNames[op] ?? plain];
}

/** Where the operator is specified; opened only when somebody clicks. */
export function operatorPage(op: string, domain: string, dialect: Dialect): string | undefined {
  if (domain !== '' && domain !== 'ai.onnx') return undefined;
  if (dialect === 'onnx') return `https://onnx.ai/onnx/operators/onnx__${op}.html`;
  return `https://ai.google.dev/edge/litert/conversion/tensorflow/ops_compatibility`;
}
