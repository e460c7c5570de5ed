import type { DType } from '../ir/dtype.ts';
import { bitsOf } from '../ir/dtype.ts';
import { decodeNumbers } from '../ir/numbers.ts';

export const countedValues = 1 << 16;

/** Types that are counted; the others are rare in weights, or have no numbers. */
export function isCounted(dtype: DType): boolean {
  const bits = bitsOf(dtype);
  return dtype !== 'bool' && !dtype.startsWith('complex') && bits > 0 && (bits <= 16 || dtype === 'float32');
}

/** Elements counted by their code: the element itself, the upper half of a float32, or a pair of bytes of smaller types. */
export type Counts = Uint32Array;

/**
 * Statistics by counting: the elements of a tensor are counted by 16 bits of theirs, and everything else follows from the
 * counts. One increment per element (or per two bytes of a smaller type) is all that is done to the stream. For types of at
 * most 16 bits the counts are exact; of float32 they see sign, exponent and seven bits of the mantissa, so that moments are
 * good to a few parts in ten thousand.
 */
export class Tally {
  /** Neighbours are often alike: two tables keep one count from waiting for the other. */
  readonly #table = new Uint32Array(2 * countedValues);

  clear(): void {
    this.#table.fill(0);
  }

  at(code: number): number {
    return (this.#table[code] as number) + (this.#table[code + countedValues] as number);
  }

  /** Adds a piece, which begins on a multiple of four bytes in memory. A last odd byte is counted with a zero after it. */
  add(dtype: DType, piece: Uint8Array): void {
    const words = new Uint32Array(piece.buffer, piece.byteOffset, piece.length >> 2);
    if (dtype === 'float32') {
      countUpper(words, this.#table);
      return;
    }
    countHalves(words, this.#table);
    for (let at = words.length * 4; at < piece.length; at += 2) {
      const code = (piece[at] as number) | ((piece[at + 1] ?? 0) << 8);
      this.#table[code] = (this.#table[code] as number) + 1;
    }
  }

  /** The largest code from `from` up to and without `to` that was counted, or `from` - 1. */
  highest(from: number, to: number): number {
    const table = this.#table;
    let code = to - 1;
    while (code >= from && ((table[code] as number) | (table[code + 65536] as number)) === 0) code -= 1;
    return code;
  }

  /** The smallest code from `from` up to and without `to` that was counted, or `to`. */
  lowest(from: number, to: number): number {
    const table = this.#table;
    let code = from;
    while (code < to && ((table[code] as number) | (table[code + 65536] as number)) === 0) code += 1;
    return code;
  }

  /** Adds what was counted to `sum`. */
  addTo(sum: Counts): void {
    const table = this.#table;
    for (let code = 0; code < countedValues; code += 1)
      sum[code] = (sum[code] as number) + (table[code] as number) + (table[code + 65536] as number);
  }
}

/** Both halves of each word: one load for two codes, four codes in a round (a loop over halves takes a third longer). */
function countHalves(words: Uint32Array, table: Uint32Array): void {
  const { length } = words;
  let i = 0;
  for (; i + 1 < length; i += 2) {
    const x = words[i] as number;
    const y = words[i + 1] as number;
    const a = x & 65535;
    const b = (x >>> 16) | 65536;
    const c = y & 65535;
    const d = (y >>> 16) | 65536;
    table[a] = (table[a] as number) + 1;
    table[b] = (table[b] as number) + 1;
    table[c] = (table[c] as number) + 1;
    table[d] = (table[d] as number) + 1;
  }
  if (i === length) return;
  const last = words[i] as number;
  table[last & 65535] = (table[last & 65535] as number) + 1;
  table[last >>> 16] = (table[last >>> 16] as number) + 1;
}

/** The upper halves of 32-bit numbers. */
function countUpper(words: Uint32Array, table: Uint32Array): void {
  const { length } = words;
  let i = 0;
  for (; i + 3 < length; i += 4) {
    const a = (words[i] as number) >>> 16;
    const b = ((words[i + 1] as number) >>> 16) | 65536;
    const c = (words[i + 2] as number) >>> 16;
    const d = ((words[i + 3] as number) >>> 16) | 65536;
    table[a] = (table[a] as number) + 1;
    table[b] = (table[b] as number) + 1;
    table[c] = (table[c] as number) + 1;
    table[d] = (table[d] as number) + 1;
  }
  for (; i < length; i += 1) {
    const code = (words[i] as number) >>> 16;
    table[code] = (table[code] as number) + 1;
  }
}

/** Distinct numbers with how often they occur, in ascending order; NaN and infinity apart. */
export interface Distribution {
  readonly values: Float64Array;
  readonly counts: Float64Array;
  readonly nonFinite: number;
}

/** What the counts say of the elements. `elements` tells padding from the last elements of packed types. */
export function distributionOf(dtype: DType, table: ArrayLike<number>, elements: number): Distribution {
  const whole = dtype === 'float32' || bitsOf(dtype) === 16;
  const counts: ArrayLike<number> = whole ? table : elementCounts(dtype, byteCounts(table));
  const { numbers, order } = codesOf(dtype);
  // Padding of the last byte or pair is zeros.
  let padding = whole ? 0 : sumOf(counts) - elements;
  const values: number[] = [];
  const found: number[] = [];
  for (const code of order) {
    let count = counts[code] as number;
    if (count === 0) continue;
    const value = numbers[code] as number;
    if (value === 0) {
      const less = Math.min(padding, count);
      padding -= less;
      count -= less;
    }
    if (count === 0) continue;
    if (values.at(-1) === value) found[found.length - 1] = (found.at(-1) as number) + count;
    else {
      values.push(value);
      found.push(count);
    }
  }
  const finite = sumOf(found);
  return {
    values: Float64Array.from(values),
    counts: Float64Array.from(found),
    nonFinite: elements - finite,
  };
}

/** How often each byte occurs, from how often each pair does. */
function byteCounts(table: ArrayLike<number>): Float64Array {
  const counts = new Float64Array(256);
  for (let code = 0; code < countedValues; code += 1) {
    const count = table[code] as number;
    if (count === 0) continue;
    counts[code & 255] = (counts[code & 255] as number) + count;
    counts[code >> 8] = (counts[code >> 8] as number) + count;
  }
  return counts;
}

/** How often each code of a packed type occurs, from how often each byte does. */
function elementCounts(dtype: DType, bytes: Float64Array): Float64Array {
  const bits = bitsOf(dtype);
  if (bits === 8) return bytes;
  const mask = (1 << bits) - 1;
  const counts = new Float64Array(1 << bits);
  bytes.forEach((count, byte) => {
    for (let shift = 0; shift < 8; shift += bits) {
      const code = (byte >> shift) & mask;
      counts[code] = (counts[code] as number) + count;
    }
  });
  return counts;
}

/** The numbers that codes stand for, and the codes of the finite ones in ascending order of their numbers. */
interface Codes {
  readonly numbers: Float64Array;
  readonly order: Uint16Array;
}

const known = new Map<DType, Codes>();

function codesOf(dtype: DType): Codes {
  let codes = known.get(dtype);
  if (codes === undefined) {
    codes = makeCodes(dtype);
    known.set(dtype, codes);
  }
  return codes;
}

function makeCodes(dtype: DType): Codes {
  const count = dtype === 'float32' ? countedValues : 2 ** bitsOf(dtype);
  const numbers = Float64Array.from({ length: count }, (_, code) => numberOf(dtype, code));
  const finite = Array.from({ length: count }, (_, code) => code).filter((code) =>
    Number.isFinite(numbers[code]),
  );
  finite.sort((a, b) => (numbers[a] as number) - (numbers[b] as number));
  return { numbers, order: Uint16Array.from(finite) };
}

const scratch = new Uint8Array(4);
const scratchView = new DataView(scratch.buffer);

function numberOf(dtype: DType, code: number): number {
  // The middle of the float32 numbers whose upper half this is; zero stays zero.
  if (dtype === 'float32')
    scratchView.setUint32(0, code * 65536 + ((code & 0x7fff) === 0 ? 0 : 0x8000), true);
  else scratchView.setUint32(0, code, true);
  return decodeNumbers(dtype, scratch, 1)[0] as number;
}

function sumOf(counts: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < counts.length; i += 1) sum += counts[i] as number;
  return sum;
}
