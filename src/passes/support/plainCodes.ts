import { readFloats } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { Grouping } from './grouping.ts';
import type { MadeCodes } from './matrixCodes.ts';
import type { Levels } from './roundingRow.ts';

/** Codes and scales of a weight element by element; `sets` are what its codes may be chosen from. */
export function plainCodes(
  tensor: Tensor,
  grouping: Grouping,
  bits: number,
  sets: readonly Levels[],
): MadeCodes {
  const groups = grouping.dims.reduce((product, dim) => product * dim, 1);
  const { codes, scales } = codesOf(readFloats(tensor), grouping, groups, bits, sets);
  return { bytes: bits === 8 ? new Uint8Array(codes.buffer) : packedInt4(codes), scales };
}

/** Two codes per byte, the first in the low bits. */
function packedInt4(codes: Int8Array): Uint8Array {
  const bytes = new Uint8Array((codes.length + 1) >> 1);
  for (let i = 0; i < bytes.length; i += 1)
    bytes[i] = ((codes[2 * i] as number) & 15) | (((codes[2 * i + 1] ?? 0) & 15) << 4);
  return bytes;
}

/** Shares of the largest magnitude that the largest code may stand for, when clipping may pay. */
export const clippings = [1, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6];
/** With few codes the best shares are small. */
const deepClippings = [...clippings, 0.55, 0.5, 0.45, 0.4, 0.35, 0.3, 0.25, 0.2];
/** Elements of a group, at least, by which its share is chosen. */
const enoughElements = 256;

function codesOf(
  values: Float32Array,
  grouping: Grouping,
  groups: number,
  bits: number,
  sets: readonly Levels[],
) {
  const largest = largestOf(values, grouping, groups);
  const chosen = new Uint8Array(groups);
  const scales =
    bits === 8
      ? largest.map((size) => usableScale(size / 127))
      : bestScales(values, grouping, largest, sets, bits === 4 ? clippings : deepClippings, chosen);
  const { outer, channels, inner } = grouping;
  const codes = new Int8Array(values.length);
  for (let o = 0, at = 0; o < outer; o += 1) {
    const first = grouping.first(o);
    for (let c = 0; c < channels; c += 1) {
      const scale = scales[first + c] as number;
      const set = sets[chosen[first + c] as number] as Levels;
      for (const end = at + inner; at < end; at += 1)
        codes[at] = nearestIn(set, (values[at] as number) / scale);
    }
  }
  return { codes, scales };
}

/** Adding and taking away 1.5 x 2^23 in float32 rounds to the nearest integer, ties to even, as QuantizeLinear does. */
const roundingBias = 12_582_912;

function nearestInteger(value: number): number {
  return Math.fround(Math.fround(value) + roundingBias) - roundingBias;
}

function nearestIn({ low, step, high }: Levels, value: number): number {
  const code = step === 1 ? nearestInteger(value) : low + step * Math.round((value - low) / step);
  return code < low ? low : code > high ? high : code;
}

function largestOf(values: Float32Array, grouping: Grouping, groups: number): Float32Array {
  const { outer, channels, inner } = grouping;
  const largest = new Float32Array(groups);
  for (let o = 0, at = 0; o < outer; o += 1) {
    const first = grouping.first(o);
    for (let c = 0; c < channels; c += 1) {
      let most = largest[first + c] as number;
      for (const end = at + inner; at < end; at += 1) {
        const size = Math.abs(values[at] as number);
        if (size > most) most = size;
      }
      largest[first + c] = most;
    }
  }
  return largest;
}

/** Below the smallest normal float32 the division would lose its precision. */
export const leastScale = 1.2e-38;

export function usableScale(scale: number): number {
  return scale > leastScale ? scale : 1;
}

/** The scale, and the set of codes, that leaves the least squared error in each group; writes the sets to `chosen`. */
export function bestScales(
  values: Float32Array,
  grouping: Grouping,
  largest: Float32Array,
  sets: readonly Levels[],
  shares: readonly number[],
  chosen: Uint8Array,
): Float32Array {
  const least = new Float64Array(largest.length).fill(Number.POSITIVE_INFINITY);
  const best = new Float32Array(largest.length);
  for (const [index, set] of sets.entries()) {
    const top = Math.max(Math.abs(set.low), Math.abs(set.high));
    for (const share of shares) {
      const scales = largest.map((size) => usableScale((share * size) / top));
      const errors = errorsOf(values, grouping, scales, set);
      for (let g = 0; g < best.length; g += 1) {
        if ((errors[g] as number) >= (least[g] as number)) continue;
        least[g] = errors[g] as number;
        best[g] = scales[g] as number;
        chosen[g] = index;
      }
    }
  }
  return best;
}

/** The distance of the rows over which errors are summed up. */
export function acrossOf({ outer, channels, inner }: Grouping, groups: number): number {
  const rows = (outer * channels) / groups;
  return inner > 1 ? 1 : Math.max(1, Math.floor(rows / enoughElements));
}

/** Squared error per group; of large groups, over evenly spread elements. */
function errorsOf(values: Float32Array, grouping: Grouping, scales: Float32Array, set: Levels): Float64Array {
  const { outer, channels, inner } = grouping;
  const errors = new Float64Array(scales.length);
  const along = Math.max(1, Math.floor(inner / enoughElements));
  const across = acrossOf(grouping, scales.length);
  for (let o = 0; o < outer; o += across) {
    const first = grouping.first(o);
    for (let c = 0; c < channels; c += 1) {
      const scale = scales[first + c] as number;
      const start = (o * channels + c) * inner;
      let sum = 0;
      for (let at = start; at < start + inner; at += along) {
        const value = values[at] as number;
        const error = value - scale * nearestIn(set, value / scale);
        sum += error * error;
      }
      errors[first + c] = (errors[first + c] as number) + sum;
    }
  }
  return errors;
}
