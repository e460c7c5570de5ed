import { attr, floatAttribute, intAttribute, stringAttribute } from '../../ir/attribute.ts';
import type { ValueId } from '../../ir/model.ts';
import { floatTensor } from '../../ir/numbers.ts';
import type { TfliteEmission } from './tfliteEmission.ts';

/** Builds the ONNX form of one operator; gives the float output, before any fused activation and quantization. */
export type TfliteRule = (emission: TfliteEmission) => ValueId;

const toNchw = attr.ints([0, 3, 1, 2]);
const toNhwc = attr.ints([0, 2, 3, 1]);

function channelsFirst({ builder, name }: TfliteEmission, value: ValueId): ValueId {
  return builder.emit('Transpose', [value], `${name}_nchw`, { perm: toNchw });
}

function channelsLast({ builder, name }: TfliteEmission, value: ValueId): ValueId {
  return builder.emit('Transpose', [value], `${name}_nhwc`, { perm: toNhwc });
}

/** Padding of a window as ONNX wants it: SAME puts the odd pixel behind (TFLite padding rules). */
function pads(
  emission: TfliteEmission,
  kernel: readonly number[],
  strides: readonly number[],
  dilations: readonly number[],
) {
  if (stringAttribute(emission.node, 'padding', 'VALID') !== 'SAME') return [0, 0, 0, 0];
  const input = emission.shapeOf(emission.value(0));
  const totals = [0, 1].map((axis) => {
    const size = input[axis + 1] as number;
    const stride = strides[axis] as number;
    const reach = ((kernel[axis] as number) - 1) * (dilations[axis] as number) + 1;
    return Math.max(0, (Math.ceil(size / stride) - 1) * stride + reach - size);
  });
  const before = totals.map((total) => Math.floor(total / 2));
  return [...before, ...totals.map((total, axis) => total - (before[axis] as number))];
}

function windowAttributes(emission: TfliteEmission, kernel: readonly number[], withDilations: boolean) {
  const { node } = emission;
  const strides = [intAttribute(node, 'stride_h', 1), intAttribute(node, 'stride_w', 1)];
  const dilations = [intAttribute(node, 'dilation_h_factor', 1), intAttribute(node, 'dilation_w_factor', 1)];
  return {
    kernel_shape: attr.ints(kernel),
    strides: attr.ints(strides),
    pads: attr.ints(pads(emission, kernel, strides, withDilations ? dilations : [1, 1])),
    ...(withDilations && { dilations: attr.ints(dilations) }),
  };
}

const conv: TfliteRule = (emission) => {
  const dims = emission.shapeOf(emission.value(1));
  const channels = emission.shapeOf(emission.value(0))[3] as number;
  const attributes = {
    ...windowAttributes(emission, [dims[1] as number, dims[2] as number], true),
    group: attr.int(channels / (dims[3] as number)),
  };
  const inputs = [channelsFirst(emission, emission.float(0)), emission.weights(1, [0, 3, 1, 2], 0)];
  if (emission.has(2)) inputs.push(emission.float(2));
  return channelsLast(emission, emission.builder.emit('Conv', inputs, `${emission.name}_conv`, attributes));
};

const depthwise: TfliteRule = (emission) => {
  const dims = emission.shapeOf(emission.value(1));
  const channels = emission.shapeOf(emission.value(0))[3] as number;
  const attributes = {
    ...windowAttributes(emission, [dims[1] as number, dims[2] as number], true),
    group: attr.int(channels),
  };
  const inputs = [channelsFirst(emission, emission.float(0)), emission.weights(1, [3, 0, 1, 2], 0)];
  if (emission.has(2)) inputs.push(emission.float(2));
  return channelsLast(emission, emission.builder.emit('Conv', inputs, `${emission.name}_conv`, attributes));
};

const fullyConnected: TfliteRule = (emission) => {
  const { builder, name } = emission;
  const weights = emission.shapeOf(emission.value(1));
  const [outputs, inputs] = weights as [number, number];
  const target = emission.shapeOf(emission.output());
  const shaped = (value: ValueId, dims: readonly number[], label: string) =>
    builder.emit('Reshape', [value, builder.int64(`${name}_${label}_dims`, dims)], `${name}_${label}`);
  const source = emission.shapeOf(emission.value(0));
  const flat = source.length === 2 && source[1] === inputs;
  const rows = source.reduce((product, dim) => product * dim, 1) / inputs;
  const operands = [
    flat ? emission.float(0) : shaped(emission.float(0), [rows, inputs], 'rows'),
    emission.weights(1, [0, 1], 0),
  ];
  if (emission.has(2)) operands.push(emission.float(2));
  const product = builder.emit('Gemm', operands, `${name}_gemm`, { transB: attr.int(1) });
  return target.length === 2 && target[1] === outputs ? product : shaped(product, target, 'shaped');
};

function pool(op: 'MaxPool' | 'AveragePool'): TfliteRule {
  return (emission) => {
    const { node } = emission;
    const kernel = [intAttribute(node, 'filter_height', 1), intAttribute(node, 'filter_width', 1)];
    const attributes = windowAttributes(emission, kernel, false);
    const value = channelsFirst(emission, emission.float(0));
    return channelsLast(emission, emission.builder.emit(op, [value], `${emission.name}_pool`, attributes));
  };
}

function elementwise(op: string, count: number): TfliteRule {
  return (emission) => {
    const inputs = Array.from({ length: count }, (_, index) => emission.float(index));
    return emission.builder.emit(op, inputs, `${emission.name}_${op.toLowerCase()}`);
  };
}

/** New dimensions are the stored shape of the output. */
const reshape: TfliteRule = (emission) => {
  const { builder, name } = emission;
  const dims = builder.int64(`${name}_dims`, emission.shapeOf(emission.output()));
  return builder.emit('Reshape', [emission.float(0), dims], `${name}_reshape`);
};

const softmax: TfliteRule = (emission) => {
  const { builder, name, node } = emission;
  const beta = floatAttribute(node, 'beta', 1);
  const value = emission.float(0);
  const scaled =
    beta === 1
      ? value
      : builder.emit(
          'Mul',
          [value, builder.constant(`${name}_beta`, floatTensor([], Float32Array.of(beta)))],
          `${name}_scaled`,
        );
  return builder.emit('Softmax', [scaled], `${name}_softmax`, { axis: attr.int(-1) });
};

function reduce(op: 'ReduceMean' | 'ReduceSum' | 'ReduceMax' | 'ReduceMin'): TfliteRule {
  return (emission) => {
    const { builder, name, node } = emission;
    const axes = builder.int64(`${name}_axes`, emission.integers(1));
    const keepdims = attr.int(intAttribute(node, 'keep_dims', 0));
    return builder.emit(op, [emission.float(0), axes], `${name}_reduce`, { keepdims });
  };
}

const pad: TfliteRule = (emission) => {
  const { builder, name } = emission;
  const amounts = emission.integers(1);
  const before = amounts.filter((_, i) => i % 2 === 0);
  const after = amounts.filter((_, i) => i % 2 === 1);
  const inputs = [emission.float(0), builder.int64(`${name}_pads`, [...before, ...after])];
  if (emission.has(2)) inputs.push(emission.float(2));
  return builder.emit('Pad', inputs, `${name}_pad`);
};

const transpose: TfliteRule = (emission) =>
  emission.builder.emit('Transpose', [emission.float(0)], `${emission.name}_transpose`, {
    perm: attr.ints(emission.integers(1)),
  });

const concatenate: TfliteRule = (emission) => {
  const inputs = emission.node.inputs.map((_, index) => emission.float(index));
  return emission.builder.emit('Concat', inputs, `${emission.name}_concat`, {
    axis: attr.int(intAttribute(emission.node, 'axis', 0)),
  });
};

const leakyRelu: TfliteRule = (emission) =>
  emission.builder.emit('LeakyRelu', [emission.float(0)], `${emission.name}_leaky`, {
    alpha: attr.float(floatAttribute(emission.node, 'alpha', 0)),
  });

/** Quantization itself lies in the tensors, so these only pass the value on. */
const same: TfliteRule = (emission) => emission.float(0);

export function clip(emission: TfliteEmission, value: ValueId, low: number, high: number): ValueId {
  const { builder, name } = emission;
  const bound = (label: string, number: number) =>
    builder.constant(`${name}_${label}`, floatTensor([], Float32Array.of(number)));
  return builder.emit('Clip', [value, bound('low', low), bound('high', high)], `${name}_clip`);
}

export const tfliteRules: Readonly<Record<string, TfliteRule>> = {
  CONV_2D: conv,
  DEPTHWISE_CONV_2D: depthwise,
  FULLY_CONNECTED: fullyConnected,
  MAX_POOL_2D: pool('MaxPool'),
  AVERAGE_POOL_2D: pool('AveragePool'),
  ADD: elementwise('Add', 2),
  SUB: elementwise('Sub', 2),
  MUL: elementwise('Mul', 2),
  DIV: elementwise('Div', 2),
  MAXIMUM: elementwise('Max', 2),
  MINIMUM: elementwise('Min', 2),
  RELU: elementwise('Relu', 1),
  RELU6: (emission) => clip(emission, emission.float(0), 0, 6),
  LEAKY_RELU: leakyRelu,
  LOGISTIC: elementwise('Sigmoid', 1),
  TANH: elementwise('Tanh', 1),
  HARD_SWISH: elementwise('HardSwish', 1),
  EXP: elementwise('Exp', 1),
  SQRT: elementwise('Sqrt', 1),
  NEG: elementwise('Neg', 1),
  ABS: elementwise('Abs', 1),
  SOFTMAX: softmax,
  RESHAPE: reshape,
  SQUEEZE: reshape,
  EXPAND_DIMS: reshape,
  MEAN: reduce('ReduceMean'),
  SUM: reduce('ReduceSum'),
  REDUCE_MAX: reduce('ReduceMax'),
  REDUCE_MIN: reduce('ReduceMin'),
  PAD: pad,
  PADV2: pad,
  TRANSPOSE: transpose,
  CONCATENATION: concatenate,
  QUANTIZE: same,
  DEQUANTIZE: same,
};
