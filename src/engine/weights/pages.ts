import { bitsOf } from '../../ir/dtype.ts';
import { KerfError } from '../../ir/errors.ts';
import { decodeNumbers, sizeOf } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { ChannelMap, TensorPage } from './reports.ts';

/** Most values of one page: 8 kB on the wire. */
export const pageValues = 1024;
/** Bytes read at a time, a multiple of every element size. */
const pieceBytes = 1 << 20;

const mostRows = 64;
const mostColumns = 48;

/** Elements `offset` and on, `pageValues` of them at most. Throws `KerfError('unsupported' | 'missing-weights')`. */
export function tensorPage(tensor: Tensor, offset: number, count: number): TensorPage {
  const elements = sizeOf(tensor);
  const from = Math.max(0, Math.min(Math.floor(offset), elements));
  const many = Math.max(0, Math.min(Math.floor(count), pageValues, elements - from));
  return { dtype: tensor.dtype, dims: tensor.dims, offset: from, values: numbersAt(tensor, from, many) };
}

function numbersAt(tensor: Tensor, from: number, count: number): Float64Array {
  const bits = bitsOf(tensor.dtype);
  if (bits === 0) throw new KerfError('unsupported', `${tensor.dtype} elements are not numbers`);
  if (tensor.data.missing !== undefined) throw new KerfError('missing-weights', tensor.data.missing);
  const perByte = bits < 8 ? 8 / bits : 1;
  // Sub-byte elements are decoded from the byte that holds the first of them.
  const skipped = from % perByte;
  const start = Math.floor(((from - skipped) * bits) / 8);
  const bytes = tensor.data.read(start, Math.ceil(((skipped + count) * bits) / 8));
  return decodeNumbers(tensor.dtype, bytes, skipped + count).slice(skipped);
}

/**
 * Means of a constant over its channels, read in pieces of 1 MiB. `axis` defaults to the first. Throws
 * `KerfError('unsupported' | 'missing-weights')`.
 */
export function channelMap(tensor: Tensor, axis = 0): ChannelMap {
  const { dims } = tensor;
  const at = dims.length === 0 ? 0 : Math.max(0, Math.min(axis, dims.length - 1));
  const channels = dims[at] ?? 1;
  const inner = dims.slice(at + 1).reduce((product, dim) => product * dim, 1);
  const elements = sizeOf(tensor);
  const perChannel = channels === 0 ? 0 : elements / channels;
  const channelsPerRow = Math.max(1, Math.ceil(channels / mostRows));
  const rows = Math.ceil(channels / channelsPerRow);
  const columns = Math.max(1, Math.min(mostColumns, perChannel));
  const sums = new Float64Array(rows * columns);
  const counts = new Float64Array(rows * columns);
  const min = new Float32Array(rows).fill(Number.POSITIVE_INFINITY);
  const max = new Float32Array(rows).fill(Number.NEGATIVE_INFINITY);
  const zeros = new Float64Array(rows);
  const seen = new Float64Array(rows);
  forEachRun(tensor, elements, (numbers, first) => {
    for (let i = 0; i < numbers.length; i += 1) {
      const index = first + i;
      const channel = Math.floor(index / inner) % channels;
      const within = Math.floor(index / (inner * channels)) * inner + (index % inner);
      const row = Math.floor(channel / channelsPerRow);
      const cell = row * columns + Math.min(columns - 1, Math.floor((within * columns) / perChannel));
      const value = numbers[i] as number;
      seen[row] = (seen[row] as number) + 1;
      if (value === 0) zeros[row] = (zeros[row] as number) + 1;
      if (!Number.isFinite(value)) continue;
      sums[cell] = (sums[cell] as number) + value;
      counts[cell] = (counts[cell] as number) + 1;
      if (value < (min[row] as number)) min[row] = value;
      if (value > (max[row] as number)) max[row] = value;
    }
  });
  return {
    dims,
    axis: at,
    channels,
    channelsPerRow,
    rows,
    columns,
    cells: Float32Array.from(sums, (sum, cell) => sum / (counts[cell] as number)),
    min,
    max,
    zeros: Float32Array.from(zeros, (count, row) => count / Math.max(1, seen[row] as number)),
  };
}

/** Successive runs of a constant's elements as numbers, with the index of each run's first. */
export function forEachRun(
  tensor: Tensor,
  elements: number,
  visit: (numbers: Float64Array, first: number) => void,
): void {
  const bits = bitsOf(tensor.dtype);
  if (bits === 0) throw new KerfError('unsupported', `${tensor.dtype} elements are not numbers`);
  const step = Math.floor((pieceBytes * 8) / bits);
  for (let first = 0; first < elements; first += step)
    visit(numbersAt(tensor, first, Math.min(step, elements - first)), first);
}
