import type { Bytes } from '../../ir/bytes.ts';
import { memoryBytes } from '../../ir/bytes.ts';
import { byteSize } from '../../ir/dtype.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { eagerBytes, madeBytes } from './constants.ts';
import type { Grouping } from './grouping.ts';
import type { ColumnCodes, MadeCodes } from './matrixCodes.ts';
import { matrixCodes } from './matrixCodes.ts';
import { acrossOf, bestScales, clippings, leastScale, plainCodes, usableScale } from './plainCodes.ts';
import type { RowChoice } from './rowCodes.ts';
import { rowCodes } from './rowCodes.ts';
import type { Levels } from './roundingRow.ts';

export type WeightBits = 1 | 2 | 3 | 4 | 8;

/**
 * Sets of at most 2 to the power of `bits` evenly spaced codes that int8 (8 bits) or int4 (fewer) can store. Below 4
 * bits every code counts: odd numbers are symmetric without a zero, and two sets that have one are not symmetric. With
 * `twoBits`, those of 2 bits are what int2 can store.
 */
export function levelsOf(bits: WeightBits, twoBits = false): readonly Levels[] {
  if (twoBits && bits === 2)
    return [
      { low: -2, step: 1, high: 1 },
      { low: -1, step: 2, high: 1 },
    ];
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

/** The type in which codes of so many bits are stored; `twoBits`: in two bits each where they fit. */
export function codeType(bits: WeightBits, twoBits = false): 'int8' | 'int4' | 'int2' {
  return bits === 8 ? 'int8' : twoBits && bits <= 2 ? 'int2' : 'int4';
}

export interface WeightCodes {
  /** int8, int4 or int2; large ones are made when somebody reads them. */
  readonly codes: Tensor;
  /** float32 of the grouping's dimensions; made with the codes. */
  readonly scales: Tensor;
}

/**
 * Codes with one scale per group, without calibration data. At 8 bits the largest magnitude of a group is its largest
 * code; below, each group takes the set of codes and the share of its largest magnitude that leave the least squared
 * error. A group of zeros gets the scale 1. `twoBits` stores codes of at most 2 bits in two.
 */
export function encodeWeight(
  tensor: Tensor,
  grouping: Grouping,
  bits: WeightBits,
  twoBits = false,
  vectors: VectorCodes = { matrixCodes, rowCodes },
): WeightCodes {
  const dtype = codeType(bits, twoBits);
  const groups = grouping.dims.reduce((product, dim) => product * dim, 1);
  const count = tensor.dims.reduce((product, dim) => product * dim, 1);
  const length = byteSize(dtype, count) as number;
  let scales: Uint8Array | undefined;
  const make = () => {
    const made =
      vectorCodes(tensor, grouping, bits, vectors) ??
      plainCodes(tensor, grouping, bits, levelsOf(bits, twoBits));
    scales = new Uint8Array(made.scales.buffer);
    return dtype === 'int2' ? halvedAgain(made.bytes, length) : made.bytes;
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

/** The lower two bits of codes of four, four to a byte. */
function halvedAgain(pairs: Uint8Array, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const lower = (pair: number) => (pair & 3) | ((pair >> 2) & 12);
  for (let i = 0; i < length; i += 1)
    bytes[i] = lower(pairs[2 * i] as number) | (lower(pairs[2 * i + 1] ?? 0) << 4);
  return bytes;
}

/** Ways that take several elements at once. */
interface VectorCodes {
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
