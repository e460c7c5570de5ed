import { intAttribute, intsAttribute, stringAttribute } from '../../../ir/attribute.ts';
import { floatTensor } from '../../../ir/numbers.ts';
import type { Emission, EmitRule } from './emission.ts';
import { constantFloats, refuse } from './emission.ts';
import type { Placed } from './builder.ts';
import { option } from './builder.ts';

interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** top, left, bottom, right */
  readonly pads: readonly number[];
}

function windowOf(emission: Emission, kernel: readonly number[], input: readonly number[]): Window {
  const { node } = emission;
  const strides = intsAttribute(node, 'strides') ?? [1, 1];
  const dilations = intsAttribute(node, 'dilations') ?? [1, 1];
  const auto = stringAttribute(node, 'auto_pad', 'NOTSET');
  const given = intsAttribute(node, 'pads') ?? [0, 0, 0, 0];
  const pads =
    auto === 'NOTSET' || auto === 'VALID' ? given : autoPads(auto, input, kernel, strides, dilations);
  return { kernel, strides, dilations, pads };
}

function autoPads(
  auto: string,
  input: readonly number[],
  kernel: readonly number[],
  strides: readonly number[],
  dilations: readonly number[],
): number[] {
  const before: number[] = [];
  const after: number[] = [];
  [0, 1].forEach((axis) => {
    const total = samePadding(input[axis + 2] as number, kernel, strides, dilations, axis);
    const small = Math.floor(total / 2);
    before.push(auto === 'SAME_LOWER' ? total - small : small);
    after.push(auto === 'SAME_LOWER' ? small : total - small);
  });
  return [...before, ...after];
}

/** Total padding of TFLite's SAME along one axis. */
function samePadding(
  size: number,
  kernel: readonly number[],
  strides: readonly number[],
  dilations: readonly number[],
  axis: number,
): number {
  const stride = strides[axis] as number;
  const reach = ((kernel[axis] as number) - 1) * (dilations[axis] as number) + 1;
  return Math.max(0, (Math.ceil(size / stride) - 1) * stride + reach - size);
}

/** True when TFLite's SAME pads exactly as this window does (SAME puts the odd one behind). */
function isSame(window: Window, input: readonly number[]): boolean {
  return [0, 1].every((axis) => {
    const total = samePadding(
      input[axis + 2] as number,
      window.kernel,
      window.strides,
      window.dilations,
      axis,
    );
    const small = Math.floor(total / 2);
    return window.pads[axis] === small && window.pads[axis + 2] === total - small;
  });
}

/**
 * The NHWC input, padded by an explicit operator when neither SAME nor VALID describes the padding. `fill` is 0 when
 * absent; `mayBeSame` is false where TFLite's SAME would not count the padding.
 */
function padded(
  emission: Emission,
  window: Window,
  { fill, mayBeSame = true }: { fill?: number; mayBeSame?: boolean } = {},
): { value: Placed; same: boolean } {
  const { builder, name } = emission;
  const value = builder.inLayout(emission.input(0), 'nhwc');
  const shape = emission.shape(emission.node.inputs[0]);
  if (window.pads.every((pad) => pad === 0)) return { value, same: false };
  if (mayBeSame && isSame(window, shape)) return { value, same: true };
  const [top, left, bottom, right] = window.pads as [number, number, number, number];
  const pads = builder.integers([0, 0, top, bottom, left, right, 0, 0], [4, 2]);
  const [n, h, w, c] = value.shape as [number, number, number, number];
  const grown = [n, h + top + bottom, w + left + right, c];
  const inputs = fill === undefined ? [value.id, pads] : [value.id, pads, builder.scalar(fill)];
  const op = fill === undefined ? 'PAD' : 'PADV2';
  return { value: builder.emit(op, inputs, grown, `${name}_pad`, [], 'nhwc'), same: false };
}

function nhwc(shape: readonly number[]): number[] {
  const [n, c, h, w] = shape as [number, number, number, number];
  return [n, h, w, c];
}

/** Moves the channel axes of OIHW weights: `[O, kh, kw, I]`, or `[1, kh, kw, C]` for depthwise ones. */
function reordered(weights: Float32Array, dims: readonly number[], depthwise: boolean): Float32Array {
  const [outputs, inputs, height, width] = dims as [number, number, number, number];
  const result = new Float32Array(weights.length);
  let from = 0;
  for (let o = 0; o < outputs; o += 1) {
    for (let i = 0; i < inputs; i += 1) {
      for (let y = 0; y < height; y += 1) {
        for (let x = 0; x < width; x += 1) {
          const to = depthwise ? (y * width + x) * outputs + o : ((o * height + y) * width + x) * inputs + i;
          result[to] = weights[from] as number;
          from += 1;
        }
      }
    }
  }
  return result;
}

const conv: EmitRule = (emission) => {
  const { node, builder, name, output } = emission;
  const dims = emission.constant(1)?.dims;
  if (dims === undefined) refuse(emission, 'its weights are not constant');
  if (dims.length !== 4)
    refuse(emission, `only two-dimensional convolutions are covered (weights of rank ${dims.length})`);
  const [outputs, , height, width] = dims as [number, number, number, number];
  const group = intAttribute(node, 'group', 1);
  const channels = emission.shape(node.inputs[0])[1] as number;
  const depthwise = group > 1 && group === channels;
  const weights = reordered(constantFloats(emission, 1), dims, depthwise);
  const shape = depthwise ? [1, height, width, outputs] : [outputs, height, width, dims[1] as number];
  const window = windowOf(emission, [height, width], emission.shape(node.inputs[0]));
  const { value, same } = padded(emission, window);
  const bias = emission.has(2) ? constantFloats(emission, 2) : new Float32Array(outputs);
  const operands = [
    value.id,
    builder.constant(`${name}_weights`, floatTensor(shape, weights)),
    builder.constant(`${name}_bias`, floatTensor([outputs], bias)),
  ];
  const attributes = [
    ['padding', option.padding(same)],
    ['stride_h', { kind: 'int', value: window.strides[0] as number }],
    ['stride_w', { kind: 'int', value: window.strides[1] as number }],
    ['dilation_h_factor', { kind: 'int', value: window.dilations[0] as number }],
    ['dilation_w_factor', { kind: 'int', value: window.dilations[1] as number }],
    ['fused_activation_function', option.activation('NONE')],
    ...(depthwise ? ([['depth_multiplier', { kind: 'int', value: outputs / group }]] as const) : []),
  ] as const;
  const op = depthwise ? 'DEPTHWISE_CONV_2D' : 'CONV_2D';
  return builder.emit(op, operands, nhwc(output), name, attributes, 'nhwc');
};

function pool(op: 'MAX_POOL_2D' | 'AVERAGE_POOL_2D'): EmitRule {
  return (emission) => {
    const { node, builder, name, output } = emission;
    const kernel = intsAttribute(node, 'kernel_shape') ?? [];
    if (kernel.length !== 2) refuse(emission, 'only two-dimensional pooling is covered');
    if (intAttribute(node, 'ceil_mode', 0) === 1) refuse(emission, 'ceil_mode is not covered');
    const window = windowOf(emission, kernel, emission.shape(node.inputs[0]));
    if (window.dilations.some((each) => each !== 1)) refuse(emission, 'TFLite has no dilated pooling');
    const average = op === 'AVERAGE_POOL_2D';
    const excludesPad = average && intAttribute(node, 'count_include_pad', 0) === 0;
    if (
      excludesPad &&
      window.pads.some((pad) => pad > 0) &&
      !isSame(window, emission.shape(node.inputs[0]))
    ) {
      refuse(emission, 'its padding is not counted, and is not what SAME gives');
    }
    // TFLite's SAME average leaves padding out; counted padding has to be explicit.
    const { value, same } = average
      ? padded(emission, window, { mayBeSame: excludesPad })
      : padded(emission, window, { fill: -3.4028234663852886e38 });
    const attributes = [
      ['padding', option.padding(same)],
      ['stride_h', { kind: 'int', value: window.strides[0] as number }],
      ['stride_w', { kind: 'int', value: window.strides[1] as number }],
      ['filter_height', { kind: 'int', value: kernel[0] as number }],
      ['filter_width', { kind: 'int', value: kernel[1] as number }],
      ['fused_activation_function', option.activation('NONE')],
    ] as const;
    return builder.emit(op, [value.id], nhwc(output), name, attributes, 'nhwc');
  };
}

const globalAverage: EmitRule = (emission) => {
  const { builder, name, output } = emission;
  const value = builder.inLayout(emission.input(0), 'nhwc');
  if (value.shape.length !== 4) refuse(emission, 'only two-dimensional pooling is covered');
  const attributes = [['keep_dims', { kind: 'bool', value: true }]] as const;
  return builder.emit('MEAN', [value.id, builder.integers([1, 2])], nhwc(output), name, attributes, 'nhwc');
};

export const convolutionRules: Readonly<Record<string, EmitRule>> = {
  Conv: conv,
  MaxPool: pool('MAX_POOL_2D'),
  AveragePool: pool('AVERAGE_POOL_2D'),
  GlobalAveragePool: globalAverage,
};
