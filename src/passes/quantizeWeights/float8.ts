import { decodeNumbers, floatTensor, readFloats } from '../../ir/numbers.ts';
import { memoryBytes } from '../../ir/bytes.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { Grouping } from '../support/grouping.ts';
import type { WeightCodes } from '../support/weightCodes.ts';

/** The first opset whose DequantizeLinear takes float8, and the IR version that came with it. */
export const float8Opset = 19;
export const float8IrVersion = 9;

const dtype = 'float8e4m3fn';
/** Numbers of the codes 0 to 126, which rise; 127 is not a number, and 128 on are the same below zero. */
const numbers = decodeNumbers(
  dtype,
  Uint8Array.from({ length: 127 }, (_, code) => code),
  127,
);
const largest = numbers.at(-1) as number;

/**
 * Weights as float8e4m3fn with one scale per group, so that the largest magnitude of a group is the largest number of
 * the type, 448 (Micikevicius et al. 2022, "FP8 formats for deep learning"). A group of zeros gets the scale 1.
 */
export function encodeFloat8(tensor: Tensor, { dims, outer, channels, inner, first }: Grouping): WeightCodes {
  const values = readFloats(tensor);
  const groupOf = (at: number) =>
    first(Math.floor(at / (channels * inner))) + (Math.floor(at / inner) % channels);
  if (values.length !== outer * channels * inner) throw new RangeError('the grouping is of another weight');
  const most = new Float32Array(dims.reduce((product, dim) => product * dim, 1));
  values.forEach((value, at) => {
    const group = groupOf(at);
    most[group] = Math.max(most[group] as number, Math.abs(value));
  });
  // Below the smallest normal float32 the division would lose its precision.
  const scales = most.map((size) => (size / largest > 1.2e-38 ? size / largest : 1));
  const codes = Uint8Array.from(values, (value, at) => nearestCode(value / (scales[groupOf(at)] as number)));
  return {
    codes: { dtype, dims: tensor.dims, data: memoryBytes(codes) },
    scales: floatTensor(dims, scales),
  };
}

/** The code of the nearest number, ties to the even code; beyond the largest number, that one. */
export function nearestCode(value: number): number {
  const sign = value < 0 ? 128 : 0;
  const size = Math.abs(value);
  if (size >= largest) return sign + numbers.length - 1;
  let low = 0;
  let high = numbers.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((numbers[middle] as number) <= size) low = middle;
    else high = middle;
  }
  const [below, above] = [size - (numbers[low] as number), (numbers[high] as number) - size];
  return sign + (below < above || (below === above && low % 2 === 0) ? low : high);
}
