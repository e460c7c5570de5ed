import type { TensorInfo } from '../runner.ts';

/** How a sample lies in an input. */
export interface Fit {
  /** Order of the sample's axes. */
  readonly order: readonly number[];
  /** Dimensions of one sample in the input: without the batch axis unless `whole`. */
  readonly dims: readonly number[];
  /** The sample fills the input, batch axis included. */
  readonly whole: boolean;
}

/**
 * Finds how samples of these dimensions fit an input. A given order of axes is tried first; then the sample as it is;
 * then, for pictures, the other layout (height×width×channels or channels×height×width). `undefined`: none fits.
 */
export function fitSample(
  sample: readonly number[],
  input: TensorInfo,
  transpose?: readonly number[],
): Fit | undefined {
  const same = sample.map((_, axis) => axis);
  const orders = transpose === undefined ? [same] : [withoutBatch(transpose, sample.length), same];
  if (transpose === undefined && sample.length === 3) orders.push([2, 0, 1], [1, 2, 0]);
  for (const order of orders) {
    if (order === undefined) continue;
    const dims = order.map((axis) => sample[axis] as number);
    const row = input.dims.length > 0 ? matched(dims, input.dims.slice(1)) : undefined;
    if (row !== undefined) return { order, dims: row, whole: false };
    if (agree(dims, input.dims)) return { order, dims, whole: true };
  }
  return undefined;
}

/** Axes of the sample from axes that count the batch axis; `undefined` when they are no permutation of it. */
function withoutBatch(transpose: readonly number[], rank: number): readonly number[] | undefined {
  const order =
    transpose.length === rank + 1 && transpose[0] === 0
      ? transpose.slice(1).map((axis) => axis - 1)
      : transpose;
  const sorted = [...order].sort((a, b) => a - b);
  return sorted.length === rank && sorted.every((axis, index) => axis === index) ? order : undefined;
}

/** The dimensions a row takes: equal ones, or the input's own when they differ by ones or the sample is a flat list. */
function matched(dims: readonly number[], wanted: readonly number[]): readonly number[] | undefined {
  if (agree(dims, wanted)) return dims;
  if (wanted.some((dim) => dim < 0)) return undefined;
  const flat = dims.length <= 1 && product(dims) === product(wanted);
  return flat || agree(withoutOnes(dims), withoutOnes(wanted)) ? wanted : undefined;
}

function agree(dims: readonly number[], wanted: readonly number[]): boolean {
  return dims.length === wanted.length && wanted.every((dim, axis) => dim < 0 || dim === dims[axis]);
}

function withoutOnes(dims: readonly number[]): readonly number[] {
  return dims.filter((dim) => dim !== 1);
}

function product(dims: readonly number[]): number {
  return dims.reduce((result, dim) => result * dim, 1);
}
