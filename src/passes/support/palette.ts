import type { Tensor } from '../../ir/tensor.ts';
import { eachPiece, occupied } from './pieces.ts';

/** A few numbers that stand for many. */
export interface Palette {
  /** Ascending. */
  readonly entries: Float64Array;
  /** Zero is an entry of its own, which stands for nothing else. */
  readonly keepsZero: boolean;
  /** Sums over the numbers: of their squares, and of the squared distances to their entries. */
  readonly signal: number;
  readonly noise: number;
}

/** Most rounds of k-means; one-dimensional data settles in far fewer. */
const mostRounds = 200;

/**
 * The palette of at most `size` entries that one-dimensional k-means finds (Lloyd 1982) when it starts from entries spread
 * evenly over the range, as TensorFlow's weight clustering does ("linear" initialization): deterministic, and the tails keep
 * entries of their own. Where exact zeros would fill an entry anyway they keep it, so that pruned weights stay pruned.
 * `undefined` when the numbers have no more than `size` distinct values already, or are not all finite.
 */
export function paletteOf(values: Float32Array, size: number): Palette | undefined {
  const sorted = values.slice().sort();
  if (!sorted.every(Number.isFinite) || distinct(sorted) <= size) return undefined;
  let zeros = 0;
  for (const value of sorted) if (value === 0) zeros += 1;
  const keepsZero = zeros * size >= sorted.length;
  const data = keepsZero ? sorted.filter((value) => value !== 0) : sorted;
  const entries = kMeans(data, keepsZero ? size - 1 : size);
  const settled = values.slice();
  settle({ entries, keepsZero }, settled);
  let [signal, noise] = [0, 0];
  for (let i = 0; i < values.length; i += 1) {
    signal += (values[i] as number) ** 2;
    noise += ((values[i] as number) - (settled[i] as number)) ** 2;
  }
  return { entries, keepsZero, signal, noise };
}

/** Used again for every tensor. */
let tables: { readonly counts: Uint32Array; readonly sums: Float64Array } | undefined;

/** Upper bits of a float32 by which numbers are counted: steps of a two thousandth of the number. */
const countedBits = 20;

/**
 * As `paletteOf` for a large tensor, in one pass over its bytes: numbers that agree in their upper bits are taken for their
 * mean.
 */
export function countedPalette(tensor: Tensor, size: number): Palette | undefined {
  const { counts, sums } = (tables ??= {
    counts: new Uint32Array(1 << countedBits),
    sums: new Float64Array(1 << countedBits),
  });
  counts.fill(0);
  sums.fill(0);
  const some = new Set<number>();
  let [zeros, elements, signal, finite] = [0, 0, 0, true];
  eachPiece(tensor, (floats) => {
    const words = new Uint32Array(floats.buffer, floats.byteOffset, floats.length);
    elements += floats.length;
    for (let i = 0; i < floats.length && some.size <= size; i += 1) some.add(floats[i] as number);
    let [none, squares] = [0, 0];
    for (let i = 0; i < floats.length; i += 1) {
      const value = floats[i] as number;
      if (value === 0) {
        none += 1;
        continue;
      }
      const place = placeOf(words[i] as number) >>> (32 - countedBits);
      counts[place] = (counts[place] as number) + 1;
      sums[place] = (sums[place] as number) + value;
      squares += value * value;
    }
    zeros += none;
    signal += squares;
    finite &&= Number.isFinite(squares);
  });
  if (!finite || some.size <= size) return undefined;
  const keepsZero = zeros * size >= elements;
  const zero = placeOf(0) >>> (32 - countedBits);
  if (!keepsZero) counts[zero] = (counts[zero] as number) + zeros;
  const places = occupied(counts);
  const weights = Float64Array.from(places, (place) => counts[place] as number);
  const means = Float64Array.from(places, (place) => (sums[place] as number) / (counts[place] as number));
  const entries = kMeans(means, keepsZero ? size - 1 : size, weights);
  let noise = signal;
  for (let i = 0, entry = 0; i < means.length; i += 1) {
    const mean = means[i] as number;
    while (entry + 1 < entries.length && mean > boundary(entries, entry)) entry += 1;
    const centre = entries[entry] as number;
    noise += (weights[i] as number) * centre * (centre - 2 * mean);
  }
  return { entries, keepsZero, signal, noise: Math.max(0, noise) };
}

/** The bits of a float32 so that they sort like the numbers. */
function placeOf(bits: number): number {
  // All bits of a negative number are turned, of others the sign alone.
  return (bits ^ ((bits >> 31) | 0x80000000)) >>> 0;
}

function distinct(sorted: Float32Array): number {
  let count = sorted.length === 0 ? 0 : 1;
  for (let i = 1; i < sorted.length; i += 1) if (sorted[i] !== sorted[i - 1]) count += 1;
  return count;
}

/** Entries in ascending order. Clusters of sorted data are runs, so a round costs a binary search per entry. */
function kMeans(sorted: Float32Array | Float64Array, size: number, weights?: Float64Array): Float64Array {
  const first = sorted[0] as number;
  const last = sorted.at(-1) as number;
  const entries = Float64Array.from({ length: size }, (_, i) =>
    size === 1 ? (first + last) / 2 : first + ((last - first) * i) / (size - 1),
  );
  const counts = new Float64Array(sorted.length + 1);
  const sums = new Float64Array(sorted.length + 1);
  for (let i = 0; i < sorted.length; i += 1) {
    const weight = weights === undefined ? 1 : (weights[i] as number);
    counts[i + 1] = (counts[i] as number) + weight;
    sums[i + 1] = (sums[i] as number) + weight * (sorted[i] as number);
  }
  for (let round = 0; round < mostRounds; round += 1) {
    let moved = false;
    let start = 0;
    const bounds = Array.from({ length: size }, (_, i) =>
      i + 1 === size ? sorted.length : firstAbove(sorted, boundary(entries, i)),
    );
    for (const [i, end] of bounds.entries()) {
      // An empty cluster keeps its entry: a neighbour may come back to it.
      if (end > start) {
        const count = (counts[end] as number) - (counts[start] as number);
        const mean = ((sums[end] as number) - (sums[start] as number)) / count;
        if (mean !== entries[i]) moved = true;
        entries[i] = mean;
      }
      start = Math.max(start, end);
    }
    if (!moved) break;
  }
  return entries;
}

/** Up to this number, and with it, the entry before the boundary is the nearest. */
function boundary(entries: Float64Array, index: number): number {
  return ((entries[index] as number) + (entries[index + 1] as number)) / 2;
}

/** Index of the first element above `bound`. */
function firstAbove(sorted: ArrayLike<number>, bound: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as number) > bound) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Replaces numbers by the nearest entries. */
export function settle(
  { entries, keepsZero }: Pick<Palette, 'entries' | 'keepsZero'>,
  values: Float32Array,
): void {
  const bounds = boundsOf(entries);
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i] as number;
    if (keepsZero && value === 0) continue;
    let low = 0;
    let high = bounds.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((bounds[middle] as number) >= value) high = middle;
      else low = middle + 1;
    }
    values[i] = entries[low] as number;
  }
}

function boundsOf(entries: Float64Array): Float64Array {
  return Float64Array.from({ length: entries.length - 1 }, (_, index) => boundary(entries, index));
}

/** As `settle` for millions of numbers: a table says from their upper half where to begin looking. */
export function quickSettle({ entries, keepsZero }: Palette): (values: Float32Array) => void {
  const bounds = boundsOf(entries);
  const begin = new Uint16Array(1 << 16);
  const word = new Uint32Array(1);
  const float = new Float32Array(word.buffer);
  let index = 0;
  for (let place = 0; place < begin.length; place += 1) {
    // The least number of this upper half; those that are none are not there.
    const bits = place << 16;
    word[0] = bits & 0x80000000 ? bits & 0x7fffffff : ~bits;
    while (index < bounds.length && (float[0] as number) > (bounds[index] as number)) index += 1;
    begin[place] = index;
  }
  return (values) => {
    const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
    for (let i = 0; i < values.length; i += 1) {
      const value = values[i] as number;
      if (keepsZero && value === 0) continue;
      let entry = begin[placeOf(words[i] as number) >>> 16] as number;
      while (entry < bounds.length && value > (bounds[entry] as number)) entry += 1;
      values[i] = entries[entry] as number;
    }
  };
}
