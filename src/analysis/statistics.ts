import type { DType } from '../ir/dtype.ts';
import { bitsOf } from '../ir/dtype.ts';
import { forEachPiece } from '../ir/bytes.ts';
import { KerfError } from '../ir/errors.ts';
import type { Model } from '../ir/model.ts';
import { decodeNumbers, sizeOf } from '../ir/numbers.ts';
import type { Tensor } from '../ir/tensor.ts';
import { weightTensors } from './analyse.ts';
import type { WeightTensor } from './weights.ts';

/** Statistics of one constant. Numbers are `null` where the tensor has no finite element. */
export interface TensorStatistics {
  readonly elements: number;
  readonly min: number | null;
  readonly max: number | null;
  readonly mean: number | null;
  /** Population standard deviation. */
  readonly std: number | null;
  /** Elements stored as exactly zero. */
  readonly zeros: number;
  /** NaN and infinite elements; they are left out of everything else. */
  readonly nonFinite: number;
  readonly histogram: {
    readonly counts: readonly number[];
    readonly from: number;
    readonly to: number;
  } | null;
  /** The first elements. */
  readonly preview: readonly number[];
}

const pieceBytes = 1 << 20;
const binCount = 64;
const previewCount = 64;

/**
 * Minimum, maximum, mean, standard deviation, zeros and a 64-bin histogram, computed over pieces of 1 MiB in two
 * passes, so that memory stays bounded whatever the tensor's size. Strings and complex numbers have no statistics.
 * Throws `KerfError('missing-weights' | 'truncated' | 'io')` when the bytes cannot be read.
 */
export function tensorStatistics(tensor: Tensor): TensorStatistics {
  const elements = sizeOf(tensor);
  if (!isNumeric(tensor.dtype)) {
    const none = { min: null, max: null, mean: null, std: null, zeros: 0, nonFinite: 0 };
    return { elements, ...none, histogram: null, preview: [] };
  }
  requireBytes(tensor, elements);
  const range = firstPass(tensor);
  const { count, sum, ...rest } = range.totals;
  if (count === 0) {
    return {
      elements,
      ...rest,
      min: null,
      max: null,
      mean: null,
      std: null,
      histogram: null,
      preview: range.preview,
    };
  }
  const mean = sum / count;
  const { squares, counts } = secondPass(tensor, mean, rest.min, rest.max);
  return {
    elements,
    ...rest,
    mean,
    std: Math.sqrt(squares / count),
    histogram: { counts, from: rest.min, to: rest.max },
    preview: range.preview,
  };
}

function isNumeric(dtype: DType): boolean {
  return bitsOf(dtype) > 0 && !dtype.startsWith('complex');
}

function requireBytes(tensor: Tensor, elements: number): void {
  const needed = Math.ceil((elements * bitsOf(tensor.dtype)) / 8);
  if (tensor.data.missing !== undefined) throw new KerfError('missing-weights', tensor.data.missing);
  if (tensor.data.length < needed) {
    throw new KerfError(
      'truncated',
      `${tensor.data.length} bytes for ${elements} elements of ${tensor.dtype}`,
    );
  }
}

/** Calls `visit` with the numbers of successive pieces. Sub-byte types are whole in every piece but the last. */
function forEachNumbers(tensor: Tensor, visit: (numbers: ArrayLike<number>) => void): void {
  const width = bitsOf(tensor.dtype);
  let left = sizeOf(tensor);
  forEachPiece(tensor.data, pieceBytes, (piece) => {
    const count = Math.min(left, Math.floor((piece.length * 8) / width));
    left -= count;
    if (count > 0) visit(numbersIn(tensor.dtype, piece, count));
  });
}

function numbersIn(dtype: DType, piece: Uint8Array, count: number): ArrayLike<number> {
  if (dtype === 'float32') {
    const aligned = piece.byteOffset % 4 === 0 ? piece : piece.slice();
    return new Float32Array(aligned.buffer, aligned.byteOffset, count);
  }
  return decodeNumbers(dtype, piece, count);
}

interface Totals {
  min: number;
  max: number;
  sum: number;
  count: number;
  zeros: number;
  nonFinite: number;
}

function firstPass(tensor: Tensor): { totals: Totals; preview: readonly number[] } {
  const totals: Totals = {
    min: Number.POSITIVE_INFINITY,
    max: Number.NEGATIVE_INFINITY,
    sum: 0,
    count: 0,
    zeros: 0,
    nonFinite: 0,
  };
  const preview: number[] = [];
  forEachNumbers(tensor, (numbers) => {
    for (let i = 0; preview.length < previewCount && i < numbers.length; i += 1)
      preview.push(numbers[i] as number);
    addTotals(totals, numbers);
  });
  return { totals, preview };
}

function addTotals(totals: Totals, numbers: ArrayLike<number>): void {
  let { min, max, zeros, nonFinite } = totals;
  // A partial sum per piece keeps the rounding error of long sums small.
  let sum = 0;
  for (let i = 0; i < numbers.length; i += 1) {
    const value = numbers[i] as number;
    if (!Number.isFinite(value)) {
      nonFinite += 1;
      continue;
    }
    if (value < min) min = value;
    if (value > max) max = value;
    if (value === 0) zeros += 1;
    sum += value;
  }
  totals.count += numbers.length - (nonFinite - totals.nonFinite);
  totals.sum += sum;
  Object.assign(totals, { min, max, zeros, nonFinite });
}

function secondPass(
  tensor: Tensor,
  mean: number,
  min: number,
  max: number,
): { squares: number; counts: readonly number[] } {
  const bins = new Float64Array(binCount);
  const scale = max > min ? binCount / (max - min) : 0;
  let squares = 0;
  forEachNumbers(tensor, (numbers) => {
    let sum = 0;
    for (let i = 0; i < numbers.length; i += 1) {
      const value = numbers[i] as number;
      if (!Number.isFinite(value)) continue;
      sum += (value - mean) * (value - mean);
      const bin = Math.min(binCount - 1, Math.floor((value - min) * scale));
      bins[bin] = (bins[bin] as number) + 1;
    }
    squares += sum;
  });
  return { squares, counts: Array.from(bins) };
}

/**
 * Share of the weights' elements that stand for exactly zero (a quantized weight's zero point included), read in
 * pieces. `undefined` when the model has no weights or some cannot be read.
 */
export function sparsityOf(model: Model): number | undefined {
  let zeros = 0;
  let elements = 0;
  for (const weight of weightTensors(model)) {
    const count = sizeOf(weight.tensor);
    if (!isNumeric(weight.tensor.dtype)) continue;
    if (weight.tensor.data.missing !== undefined) return undefined;
    if (weight.tensor.data.length < Math.ceil((count * bitsOf(weight.tensor.dtype)) / 8)) return undefined;
    zeros += zerosOf(weight);
    elements += count;
  }
  return elements === 0 ? undefined : zeros / elements;
}

function zerosOf({ tensor, zero }: WeightTensor): number {
  let zeros = 0;
  forEachNumbers(tensor, (numbers) => {
    for (let i = 0; i < numbers.length; i += 1) if (numbers[i] === zero) zeros += 1;
  });
  return zeros;
}
