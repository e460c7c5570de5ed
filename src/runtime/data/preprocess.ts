import { encodeNumbers } from '../../ir/numbers.ts';
import type { DType } from '../../ir/dtype.ts';
import { isFloat } from '../../ir/dtype.ts';
import { resizeBilinear } from './images.ts';
import type { HostTensor, TensorInfo } from '../runner.ts';

/** How the samples of one input are made; the order of the steps is resize, scale, mean, std, transpose. */
export interface InputRecipe {
  readonly array?: string;
  readonly resize?: readonly [number, number];
  /** Order of the axes with the batch axis. */
  readonly transpose?: readonly number[];
  readonly scale?: number;
  readonly mean?: number | readonly number[];
  readonly std?: number | readonly number[];
}

/** Numbers of one sample, without the batch axis. */
export interface Sample {
  readonly dims: readonly number[];
  readonly data: Float64Array;
}

/** Bilinear over the first two axes (height, width) of a picture, `[h, w]` or `[h, w, c]`. */
export function resized({ dims, data }: Sample, [height, width]: readonly [number, number]): Sample {
  const [fromHeight = 1, fromWidth = 1, channels = 1] = dims;
  const from = { height: fromHeight, width: fromWidth, channels };
  return { dims: [height, width, ...dims.slice(2)], data: resizeBilinear(data, from, height, width) };
}

/**
 * `(x * scale - mean) / std`. Lists go along the last axis when it has as many elements, else along the first.
 * Throws a plain `RangeError` when neither fits; the caller knows the place.
 */
export function normalized(sample: Sample, { scale = 1, mean = 0, std = 1 }: InputRecipe): Sample {
  if (scale === 1 && mean === 0 && std === 1) return sample;
  const { dims, data } = sample;
  const means = perChannel(mean, dims, 'mean');
  const stds = perChannel(std, dims, 'std');
  const out = new Float64Array(data.length);
  // Channels that lie apart change every `inner` numbers; all numbers go through this, so nothing is called for one.
  const inner = means.inner === 1 ? stds.inner : means.inner;
  for (let first = 0, block = 0; first < data.length; first += inner, block += 1) {
    const end = Math.min(data.length, first + inner);
    for (let index = first; index < end; index += 1) {
      const ownMean = means.values[(means.inner === 1 ? index : block) % means.values.length] as number;
      const ownStd = stds.values[(stds.inner === 1 ? index : block) % stds.values.length] as number;
      out[index] = ((data[index] as number) * scale - ownMean) / ownStd;
    }
  }
  return { dims, data: out };
}

/** Numbers for channels that change every `inner` elements. */
function perChannel(
  values: number | readonly number[],
  dims: readonly number[],
  what: string,
): { readonly values: readonly number[]; readonly inner: number } {
  if (typeof values === 'number') return { values: [values], inner: 1 };
  if (values.length === 1 || dims.at(-1) === values.length) return { values, inner: 1 };
  if (dims[0] !== values.length)
    throw new RangeError(`${what} has ${values.length} numbers, but the sample is ${dims.join('×')}`);
  return { values, inner: dims.slice(1).reduce((product, dim) => product * dim, 1) };
}

/** Reorders the axes of a sample. */
export function transposed({ dims, data }: Sample, order: readonly number[]): Sample {
  if (order.every((axis, index) => axis === index)) return { dims, data };
  const strides = dims.map((_, axis) => dims.slice(axis + 1).reduce((product, dim) => product * dim, 1));
  const outDims = order.map((axis) => dims[axis] as number);
  const outStrides = order.map((axis) => strides[axis] as number);
  const out = new Float64Array(data.length);
  const position = outDims.map(() => 0);
  const row = outDims.at(-1) ?? 1;
  const step = outStrides.at(-1) ?? 1;
  let source = 0;
  for (let target = 0; target < out.length; target += row) {
    for (let index = 0; index < row; index += 1) out[target + index] = data[source + index * step] as number;
    for (let axis = outDims.length - 2; axis >= 0; axis -= 1) {
      position[axis] = (position[axis] as number) + 1;
      source += outStrides[axis] as number;
      if ((position[axis] as number) < (outDims[axis] as number)) break;
      source -= (outStrides[axis] as number) * (outDims[axis] as number);
      position[axis] = 0;
    }
  }
  return { dims: outDims, data: out };
}

const ranges: Partial<Record<DType, readonly [number, number]>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
  uint16: [0, 65535],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  uint32: [0, 2 ** 32 - 1],
  int64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  uint64: [0, Number.MAX_SAFE_INTEGER],
  int4: [-8, 7],
  uint4: [0, 15],
  bool: [0, 1],
};

/** Smallest and largest value of an integer type (int64: of the exact numbers). */
export function rangeOf(dtype: DType): readonly [number, number] | undefined {
  return ranges[dtype];
}

/** Real values in the input's own element type; integer inputs go through their scale and zero point. */
export function encodeInput(
  info: Pick<TensorInfo, 'dtype' | 'quantization'>,
  dims: readonly number[],
  values: Float64Array,
): HostTensor {
  const { dtype, quantization } = info;
  const range = rangeOf(dtype);
  // One NaN makes every output and every calibrated range meaningless.
  if (hasNaN(values)) throw new RangeError('holds a value that is not a number (NaN)');
  if (isFloat(dtype) || range === undefined) return { dtype, dims, data: encodeNumbers(dtype, values) };
  const { scale, zeroPoint } = quantization ?? { scale: 1, zeroPoint: 0 };
  const [low, high] = range;
  const stored = values.map((value) => Math.min(Math.max(Math.round(value / scale) + zeroPoint, low), high));
  return { dtype, dims, data: encodeNumbers(dtype, stored) };
}

function hasNaN(values: Float64Array): boolean {
  for (let index = 0; index < values.length; index += 1) if (Number.isNaN(values[index])) return true;
  return false;
}
