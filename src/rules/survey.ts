import { bitsOf, isFloat } from '../ir/dtype.ts';
import { forEachPiece } from '../ir/bytes.ts';
import type { Model } from '../ir/model.ts';
import { decodeNumbers, sizeOf } from '../ir/numbers.ts';
import type { Tensor } from '../ir/tensor.ts';
import { graphsOf } from '../ir/walk.ts';
import { isReadable } from '../passes/support/constants.ts';

/** What one look at a constant's elements tells. */
interface Survey {
  readonly nans: number;
  readonly infinities: number;
  readonly min: number;
  readonly max: number;
}

/** Larger constants are left alone: a check may take a moment, not a minute. */
const surveyedBytes = 64 * 2 ** 20;
/** Of all constants of a model together, in the order of the file. */
const surveyedTotal = 512 * 2 ** 20;

const lookedAt = new WeakMap<Model, ReadonlySet<object>>();

/** Whether the rules read a constant of a model: those that come first, up to half a gigabyte. */
export function isLookedAt(model: Model, tensor: Tensor): boolean {
  let chosen = lookedAt.get(model);
  if (chosen === undefined) {
    chosen = chooseData(model);
    lookedAt.set(model, chosen);
  }
  return chosen.has(tensor.data);
}

function chooseData(model: Model): ReadonlySet<object> {
  const chosen = new Set<object>();
  let total = 0;
  for (const graph of graphsOf(model)) {
    for (const { constant } of graph.values.values()) {
      if (constant === undefined || constant.data.length > surveyedBytes || chosen.has(constant.data))
        continue;
      total += constant.data.length;
      if (total > surveyedTotal) return chosen;
      chosen.add(constant.data);
    }
  }
  return chosen;
}
const pieceBytes = 1 << 20;

/** Tensors over the same bytes are looked at once. */
const surveys = new WeakMap<object, Survey | null>();

/** One pass over the elements, kept with the tensor; `undefined` for what cannot be read, has no numbers or is huge. */
export function surveyOf(tensor: Tensor): Survey | undefined {
  let survey = surveys.get(tensor.data);
  if (survey === undefined) {
    survey = canSurvey(tensor) ? lookAt(tensor) : null;
    surveys.set(tensor.data, survey);
  }
  return survey ?? undefined;
}

function canSurvey(tensor: Tensor): boolean {
  if (tensor.strings !== undefined || tensor.dtype.startsWith('complex') || !isReadable(tensor)) return false;
  return bitsOf(tensor.dtype) > 0 && tensor.data.length <= surveyedBytes;
}

function lookAt(tensor: Tensor): Survey {
  let nans = 0;
  let infinities = 0;
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  forEachNumbers(tensor, (numbers) => {
    for (let i = 0; i < numbers.length; i += 1) {
      const value = numbers[i] as number;
      if (value !== value) nans += 1;
      else if (value === Infinity || value === -Infinity) infinities += 1;
      if (value < min) min = value;
      if (value > max) max = value;
    }
  });
  return { nans, infinities, min, max };
}

/** Calls `visit` with the elements of successive pieces and the index of the first. */
function forEachNumbers(tensor: Tensor, visit: (numbers: ArrayLike<number>, start: number) => void): void {
  const width = bitsOf(tensor.dtype);
  const all = sizeOf(tensor);
  let done = 0;
  forEachPiece(tensor.data, pieceBytes, (piece) => {
    const count = Math.min(all - done, Math.floor((piece.length * 8) / width));
    if (count > 0) visit(numbersIn(tensor, piece, count), done);
    done += count;
  });
}

function numbersIn({ dtype }: Tensor, piece: Uint8Array, count: number): ArrayLike<number> {
  if (dtype === 'int8') return new Int8Array(piece.buffer, piece.byteOffset, count);
  if (dtype === 'uint8') return piece;
  if (dtype !== 'float32') return decodeNumbers(dtype, piece, count);
  const aligned = piece.byteOffset % 4 === 0 ? piece : piece.slice();
  return new Float32Array(aligned.buffer, aligned.byteOffset, count);
}

const maxima = new WeakMap<object, Map<string, Float64Array | null>>();

/**
 * The largest |element - zero| of every channel along `axis`; `undefined` where the elements cannot be looked at.
 * NaN counts as infinite.
 */
export function channelMaxima(tensor: Tensor, axis: number, zero = 0): Float64Array | undefined {
  const key = `${axis} ${zero} ${tensor.dims.join()}`;
  let known = maxima.get(tensor.data);
  if (known === undefined) maxima.set(tensor.data, (known = new Map()));
  let found = known.get(key);
  if (found === undefined) {
    found = canSurvey(tensor) && axis < tensor.dims.length ? maximaOf(tensor, axis, zero) : null;
    known.set(key, found);
  }
  return found ?? undefined;
}

function maximaOf(tensor: Tensor, axis: number, zero: number): Float64Array {
  const channels = tensor.dims[axis] as number;
  const inner = tensor.dims.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  const found = new Float64Array(channels);
  const float = isFloat(tensor.dtype);
  forEachNumbers(tensor, (numbers, start) => {
    let channel = Math.floor(start / inner) % channels;
    let left = inner - (start % inner);
    for (let i = 0; i < numbers.length; i += 1) {
      const size = Math.abs((numbers[i] as number) - zero);
      if (size > (found[channel] as number)) found[channel] = size;
      else if (float && size !== size) found[channel] = Infinity;
      left -= 1;
      if (left === 0) {
        left = inner;
        channel = channel + 1 === channels ? 0 : channel + 1;
      }
    }
  });
  return found;
}

/** How many elements hold one of the codes. */
export function countCodes(tensor: Tensor, codes: readonly number[]): number {
  let count = 0;
  if (!canSurvey(tensor)) return 0;
  forEachNumbers(tensor, (numbers) => {
    for (let i = 0; i < numbers.length; i += 1) if (codes.includes(numbers[i] as number)) count += 1;
  });
  return count;
}

/**
 * Weights this much smaller than the largest of their layer are lost in the rounding of float32 sums: weight decay leaves
 * 1e-30 where a channel died.
 */
const vanishing = 1e-12;

/** The channels that contribute something. */
export function livingChannels(maxima: Float64Array): Float64Array {
  const least = vanishing * largestOf(maxima);
  return maxima.filter((each) => each > least);
}

/** The middle one of the channels that contribute something; `undefined` when there is none. */
export function middleChannel(maxima: Float64Array): number | undefined {
  const living = livingChannels(maxima).sort();
  return living[Math.floor(living.length / 2)];
}

/** The largest of many numbers, 0 when there is none: spreading a large array would overflow the stack. */
export function largestOf(numbers: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < numbers.length; i += 1) largest = Math.max(largest, numbers[i] as number);
  return largest;
}
