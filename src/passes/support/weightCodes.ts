import type { Bytes } from '../../ir/bytes.ts';
import { memoryBytes } from '../../ir/bytes.ts';
import { byteSize } from '../../ir/dtype.ts';
import { readFloats } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { eagerBytes, madeBytes, stridesOf } from './constants.ts';
import type { ColumnCodes, MadeCodes } from './matrixCodes.ts';
import { matrixCodes } from './matrixCodes.ts';
import type { RowChoice } from './rowCodes.ts';
import { rowCodes } from './rowCodes.ts';
import type { Levels } from './roundingRow.ts';

/**
 * Which elements of a weight share a scale. Row-major, a weight is `outer` times `channels` times `inner` elements, and
 * one at (o, c, i) has the scale number `first(o) + c`.
 */
export interface Grouping {
  /** The scales' dimensions. */
  readonly dims: readonly number[];
  readonly outer: number;
  readonly channels: number;
  readonly inner: number;
  /** Where successive outer indices have the same scales: how many. */
  readonly block?: number;
  first(outer: number): number;
}

/** One scale per index of `axis`. */
export function byChannel(dims: readonly number[], axis: number): Grouping {
  const channels = dims[axis] as number;
  const inner = stridesOf(dims)[axis] as number;
  const outer = dims.slice(0, axis).reduce((product, dim) => product * dim, 1);
  return { dims: [channels], outer, channels, inner, block: outer, first: () => 0 };
}

/** One scale per column and `block` rows of a matrix; the last block of a column may be shorter. */
export function byBlock(dims: readonly [rows: number, columns: number], block: number): Grouping {
  const [rows, columns] = dims;
  return {
    dims: [Math.ceil(rows / block), columns],
    outer: rows,
    channels: columns,
    inner: 1,
    block,
    first: (outer) => Math.floor(outer / block) * columns,
  };
}

export type WeightBits = 1 | 2 | 3 | 4 | 8;

/**
 * Sets of at most 2 to the power of `bits` evenly spaced codes that int8 (8 bits) or int4 (fewer) can store. Below 4
 * bits every code counts: odd numbers are symmetric without a zero, and two sets that have one are not symmetric.
 */
export function levelsOf(bits: WeightBits): readonly Levels[] {
  switch (bits) {
    case 8:
      return [{ low: -127, step: 1, high: 127 }];
    case 4:
      return [{ low: -7, step: 1, high: 7 }];
    case 3:
      return [
        { low: -7, step: 2, high: 7 },
        { low: -4, step: 1, high: 3 },
        { low: -3, step: 1, high: 4 },
      ];
    case 2:
      return [
        { low: -3, step: 2, high: 3 },
        { low: -2, step: 1, high: 1 },
        { low: -1, step: 1, high: 2 },
      ];
    case 1:
      return [{ low: -1, step: 2, high: 1 }];
  }
}

/** As `levelsOf`, for codes that are stored as int8 whatever their number; `most` bits is what the target takes. */
export function int8Levels(bits: number, most: number): readonly Levels[] {
  const top = 2 ** (Math.min(bits, most) - 1) - 1;
  if (bits > 4) return [{ low: -top, step: 1, high: top }];
  if (bits !== 4) return levelsOf(bits as WeightBits);
  return [
    { low: -15, step: 2, high: 15 },
    { low: -8, step: 1, high: 7 },
    { low: -7, step: 1, high: 8 },
  ];
}

/** As `int8Levels` for codes that are stored in four bits. */
export function int4Levels(bits: number): readonly Levels[] {
  if (bits !== 4) return levelsOf(bits as WeightBits);
  return [
    { low: -7, step: 1, high: 7 },
    { low: -8, step: 1, high: 7 },
  ];
}

/** The type in which codes of so many bits are stored. */
export function codeType(bits: WeightBits): 'int8' | 'int4' {
  return bits === 8 ? 'int8' : 'int4';
}

export interface WeightCodes {
  /** int8 or int4; large ones are made when somebody reads them. */
  readonly codes: Tensor;
  /** float32 of the grouping's dimensions; made with the codes. */
  readonly scales: Tensor;
}

/**
 * Codes with one scale per group, without calibration data. At 8 bits the largest magnitude of a group is its largest
 * code; below, each group takes the set of codes and the share of its largest magnitude that leave the least squared
 * error. A group of zeros gets the scale 1.
 */
export function encodeWeight(
  tensor: Tensor,
  grouping: Grouping,
  bits: WeightBits,
  vectors: VectorCodes = { matrixCodes, rowCodes },
): WeightCodes {
  const dtype = codeType(bits);
  const groups = grouping.dims.reduce((product, dim) => product * dim, 1);
  const count = tensor.dims.reduce((product, dim) => product * dim, 1);
  const length = byteSize(dtype, count) as number;
  let scales: Uint8Array | undefined;
  const make = () => {
    const made = vectorCodes(tensor, grouping, bits, vectors) ?? plainCodes(tensor, grouping, bits);
    scales = new Uint8Array(made.scales.buffer);
    return made.bytes;
  };
  const codes = lazily(length, make);
  const scaleBytes = lazily(4 * groups, () => {
    // Reading any of the codes makes the scales.
    if (scales === undefined) codes.read(0, 1);
    return scales as Uint8Array;
  });
  return {
    codes: { dtype, dims: tensor.dims, data: codes },
    scales: { dtype: 'float32', dims: grouping.dims, data: scaleBytes },
  };

  function lazily(size: number, bytes: () => Uint8Array): Bytes {
    return tensor.data.length > eagerBytes ? madeBytes(size, bytes) : memoryBytes(bytes());
  }
}

/** Ways that take several elements at once. */
export interface VectorCodes {
  readonly matrixCodes: typeof matrixCodes;
  readonly rowCodes: typeof rowCodes;
}

/** `undefined` where codes have gaps, scales change in other ways, or the machine has no vectors. */
function vectorCodes(
  tensor: Tensor,
  grouping: Grouping,
  bits: WeightBits,
  ways: VectorCodes,
): MadeCodes | undefined {
  const columns = columnsOf(tensor, grouping, bits);
  if (columns !== undefined) return ways.matrixCodes(tensor, columns);
  const rows = rowsOf(tensor, grouping, bits);
  return rows && ways.rowCodes(tensor, rows);
}

/** Element by element. */
function plainCodes(tensor: Tensor, grouping: Grouping, bits: WeightBits): MadeCodes {
  const groups = grouping.dims.reduce((product, dim) => product * dim, 1);
  const { codes, scales } = codesOf(readFloats(tensor), grouping, groups, bits);
  return { bytes: bits === 8 ? new Uint8Array(codes.buffer) : packedInt4(codes), scales };
}

/** The columns of a matrix whose codes are all integers between two ends; `undefined` for anything else. */
function columnsOf({ dtype }: Tensor, grouping: Grouping, bits: WeightBits): ColumnCodes | undefined {
  const { outer: rows, channels: columns, inner, block } = grouping;
  const [levels, ...others] = levelsOf(bits);
  const across = acrossOf(
    grouping,
    grouping.dims.reduce((product, dim) => product * dim, 1),
  );
  if (block === undefined || dtype !== 'float32' || inner !== 1 || levels?.step !== 1 || others.length > 0)
    return undefined;
  // Rows that are left out are counted from the first one of all.
  if (block < rows && across > 1) return undefined;
  const shares = bits === 8 ? [1] : clippings;
  return { rows, columns, block, levels, shares, across, packed: bits !== 8, leastScale };
}

/** Rows with a scale each whose codes are all integers between two ends; `undefined` for anything else. */
function rowsOf({ dtype }: Tensor, grouping: Grouping, bits: WeightBits): RowChoice | undefined {
  const { outer, channels: rows, inner: columns, block } = grouping;
  const [levels, ...others] = levelsOf(bits);
  if (block !== 1 || outer !== 1 || columns === 1 || dtype !== 'float32') return undefined;
  if (levels?.step !== 1 || others.length > 0) return undefined;
  const one: Grouping = { dims: [1], outer: 1, channels: 1, inner: columns, first: () => 0 };
  const scaleOf = (row: Float32Array, largest: number) =>
    bits === 8
      ? usableScale(largest / 127)
      : (bestScales(row, one, Float32Array.of(largest), [levels], clippings, new Uint8Array(1))[0] as number);
  return { rows, columns, levels, packed: bits !== 8, scaleOf };
}

/** Two codes per byte, the first in the low bits. */
function packedInt4(codes: Int8Array): Uint8Array {
  const bytes = new Uint8Array((codes.length + 1) >> 1);
  for (let i = 0; i < bytes.length; i += 1)
    bytes[i] = ((codes[2 * i] as number) & 15) | (((codes[2 * i + 1] ?? 0) & 15) << 4);
  return bytes;
}

/** Shares of the largest magnitude that the largest code may stand for, when clipping may pay. */
const clippings = [1, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6];
/** With few codes the best shares are small. */
const deepClippings = [...clippings, 0.55, 0.5, 0.45, 0.4, 0.35, 0.3, 0.25, 0.2];
/** Elements of a group, at least, by which its share is chosen. */
const enoughElements = 256;

function codesOf(values: Float32Array, grouping: Grouping, groups: number, bits: WeightBits) {
  const largest = largestOf(values, grouping, groups);
  const sets = levelsOf(bits);
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
const leastScale = 1.2e-38;

function usableScale(scale: number): number {
  return scale > leastScale ? scale : 1;
}

/** The scale, and the set of codes, that leaves the least squared error in each group; writes the sets to `chosen`. */
function bestScales(
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
function acrossOf({ outer, channels, inner }: Grouping, groups: number): number {
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
