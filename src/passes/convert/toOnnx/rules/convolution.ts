import { attr, intAttribute, stringAttribute } from '../../../../ir/attribute.ts';
import type { ValueId } from '../../../../ir/model.ts';
import { roundingScale } from '../../wholeCodes.ts';
import type { Emission, Rule } from '../emission.ts';
import { dynamicallyRounded } from './dynamic.ts';

const toNchw = attr.ints([0, 3, 1, 2]);
const toNhwc = attr.ints([0, 2, 3, 1]);

export function channelsFirst({ builder, name }: Emission, value: ValueId): ValueId {
  return builder.emit('Transpose', [value], `${name}_nchw`, { perm: toNchw });
}

export function channelsLast({ builder, name }: Emission, value: ValueId): ValueId {
  return builder.emit('Transpose', [value], `${name}_nhwc`, { perm: toNhwc });
}

/** Padding of a window as ONNX wants it: SAME puts the odd pixel behind (TFLite padding rules). */
function pads(
  emission: Emission,
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

function windowAttributes(emission: Emission, kernel: readonly number[], withDilations: boolean) {
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

/** `order` takes the filter to outputs, inputs, height, width. */
function convolution(emission: Emission, order: readonly number[], perGroup: number, data: ValueId): ValueId {
  const dims = emission.shapeOf(emission.value(1));
  const channels = emission.shapeOf(emission.value(0))[3] as number;
  const attributes = {
    ...windowAttributes(emission, [dims[1] as number, dims[2] as number], true),
    group: attr.int(channels / perGroup),
  };
  const inputs = [channelsFirst(emission, data), emission.weights(1, order, 0)];
  if (emission.has(2)) inputs.push(emission.operand(2));
  return channelsLast(emission, emission.emit('Conv', inputs, attributes));
}

const conv: Rule = (emission) => {
  const [, height, width, perGroup = 1] = emission.shapeOf(emission.value(1));
  const { node } = emission;
  // A product of pixels with a matrix goes the way of FULLY_CONNECTED.
  const pointwise =
    height === 1 &&
    width === 1 &&
    intAttribute(node, 'stride_h', 1) === 1 &&
    intAttribute(node, 'stride_w', 1) === 1;
  const data = dynamicallyRounded(emission, 0, pointwise ? 'each' : 'all');
  return convolution(emission, [0, 3, 1, 2], perGroup, data);
};

const depthwise: Rule = (emission) =>
  convolution(emission, [3, 0, 1, 2], 1, dynamicallyRounded(emission, 0, 'all'));

/** The stored output size says how much of the full result is cut off: half of it in front. */
const transposeConv: Rule = (emission) => {
  const { node } = emission;
  const [, kernelHeight = 1, kernelWidth = 1] = emission.shapeOf(emission.value(1));
  const [, height = 1, width = 1] = emission.shapeOf(emission.value(2));
  const [, outHeight = 1, outWidth = 1] = emission.shapeOf(emission.output());
  const strides = [intAttribute(node, 'stride_h', 1), intAttribute(node, 'stride_w', 1)] as const;
  const surplus = [
    (height - 1) * strides[0] + kernelHeight - outHeight,
    (width - 1) * strides[1] + kernelWidth - outWidth,
  ];
  const cut = surplus.map((total) => Math.max(0, total));
  const before = cut.map((total) => Math.floor(total / 2));
  const inputs = [channelsFirst(emission, emission.operand(2)), emission.weights(1, [3, 0, 1, 2], 1)];
  if (emission.has(3)) inputs.push(emission.operand(3));
  const made = emission.emit('ConvTranspose', inputs, {
    kernel_shape: attr.ints([kernelHeight, kernelWidth]),
    strides: attr.ints(strides),
    pads: attr.ints([...before, ...cut.map((total, axis) => total - (before[axis] as number))]),
    output_padding: attr.ints(surplus.map((total) => Math.max(0, -total))),
  });
  return channelsLast(emission, made);
};

const fullyConnected: Rule = (emission) => {
  const [outputs, inputs] = emission.shapeOf(emission.value(1)) as [number, number];
  const target = emission.shapeOf(emission.output());
  const source = emission.shapeOf(emission.value(0));
  const flat = source.length === 2 && source[1] === inputs;
  const rows = source.reduce((product, dim) => product * dim, 1) / inputs;
  const data = dynamicallyRounded(emission, 0, 'each');
  const operands = [flat ? data : emission.reshape(data, [rows, inputs]), emission.weights(1, [0, 1], 0)];
  if (emission.has(2)) operands.push(emission.operand(2));
  const product = emission.emit('Gemm', operands, { transB: attr.int(1) });
  return target.length === 2 && target[1] === outputs ? product : emission.reshape(product, target);
};

const batchMatMul: Rule = (emission) => {
  const data = dynamicallyRounded(emission, 0, 'each');
  const operand = (index: number, flag: string) => {
    const value = index === 0 ? data : emission.operand(index);
    if (intAttribute(emission.node, flag, 0) === 0) return value;
    const rank = emission.shapeOf(emission.value(index)).length;
    const order = Array.from({ length: rank }, (_, axis) => axis);
    order.push(...order.splice(rank - 2).reverse());
    return emission.emit('Transpose', [value], { perm: attr.ints(order) });
  };
  return emission.emit('MatMul', [operand(0, 'adj_x'), operand(1, 'adj_y')]);
};

function windowed(emission: Emission, op: string, value: ValueId): ValueId {
  const { node } = emission;
  const kernel = [intAttribute(node, 'filter_height', 1), intAttribute(node, 'filter_width', 1)];
  return emission.emit(op, [value], windowAttributes(emission, kernel, false));
}

const maxPool: Rule = (emission) =>
  channelsLast(emission, windowed(emission, 'MaxPool', channelsFirst(emission, emission.operand(0))));

/** Of codes the mean of whole numbers, see `roundingScale`. */
const averagePool: Rule = (emission) => {
  const codes = emission.codes(0);
  const made = emission.storage();
  const averaged = (value: ValueId) =>
    channelsLast(emission, windowed(emission, 'AveragePool', channelsFirst(emission, value)));
  if (codes === undefined || made === undefined || codes.storage.dtype !== 'uint8')
    return averaged(emission.operand(0));
  const { node, builder, name } = emission;
  const window = intAttribute(node, 'filter_height', 1) * intAttribute(node, 'filter_width', 1);
  const origin = emission.dtypeOf(emission.output()) === 'int8' ? 128 : 0;
  const whole = (scale: number) => ({ scale: Float32Array.of(scale), zeroPoint: [origin], axis: 0 });
  const mean = averaged(builder.dequantize(codes.id, `${name}_whole`, 'uint8', whole(1)));
  emission.setCodes(builder.quantize(mean, name, 'uint8', whole(roundingScale(window))));
  return mean;
};

/** The root of the mean of squares. */
const l2Pool: Rule = (emission) => {
  const value = channelsFirst(emission, emission.operand(0));
  const mean = windowed(emission, 'AveragePool', emission.emit('Mul', [value, value]));
  return channelsLast(emission, emission.emit('Sqrt', [mean]));
};

/** Convolutions, pooling and products. */
export const convolutionRules: Readonly<Record<string, Rule>> = {
  CONV_2D: conv,
  DEPTHWISE_CONV_2D: depthwise,
  TRANSPOSE_CONV: transposeConv,
  FULLY_CONNECTED: fullyConnected,
  BATCH_MATMUL: batchMatMul,
  MAX_POOL_2D: maxPool,
  AVERAGE_POOL_2D: averagePool,
  L2_POOL_2D: l2Pool,
};
