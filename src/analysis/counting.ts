import type { DType } from '../ir/dtype.ts';
import { bitsOf } from '../ir/dtype.ts';
import { decodeNumbers } from '../ir/numbers.ts';
import { countedBits } from './counter.ts';
import { wordValues } from './countKernels.ts';

/** Types that are counted; the others are rare in weights, or have no numbers. */
export function isCounted(dtype: DType): boolean {
  const bits = bitsOf(dtype);
  return dtype !== 'bool' && !dtype.startsWith('complex') && bits > 0 && (bits <= 16 || dtype === 'float32');
}

/** Distinct numbers with how often they occur, in ascending order; NaN and infinity apart. */
export interface Distribution {
  readonly values: Float64Array;
  readonly counts: Float64Array;
  readonly nonFinite: number;
}

/** What the counts say of the elements. `elements` tells padding from the last elements of packed types. */
export function distributionOf(dtype: DType, table: ArrayLike<number>, elements: number): Distribution {
  const whole = countedBits(dtype) === 16;
  const counts = whole ? table : elementCounts(dtype, table);
  const { numbers, order } = codesOf(dtype);
  // Padding of the last byte is zeros.
  let padding = whole ? 0 : sumOf(counts) - elements;
  let last = -1;
  let finite = 0;
  for (let i = 0; i < order.length; i += 1) {
    const code = order[i] as number;
    let count = counts[code] as number;
    if (count === 0) continue;
    const value = numbers[code] as number;
    if (value === 0) {
      const less = Math.min(padding, count);
      padding -= less;
      count -= less;
    }
    if (count === 0) continue;
    finite += count;
    // Zeros of both signs.
    if (last >= 0 && seen[last] === value) times[last] = (times[last] as number) + count;
    else {
      last += 1;
      seen[last] = value;
      times[last] = count;
    }
  }
  return {
    values: seen.slice(0, last + 1),
    counts: times.slice(0, last + 1),
    nonFinite: elements - finite,
  };
}

/** The distribution that is being put together; the next one reuses them. */
const seen = new Float64Array(wordValues);
const times = new Float64Array(wordValues);

/** How often each code of a packed type occurs, from how often each byte does. */
function elementCounts(dtype: DType, bytes: ArrayLike<number>): ArrayLike<number> {
  const bits = bitsOf(dtype);
  if (bits === 8) return bytes;
  const mask = (1 << bits) - 1;
  const counts = new Float64Array(1 << bits);
  for (let byte = 0; byte < bytes.length; byte += 1) {
    for (let shift = 0; shift < 8; shift += bits) {
      const code = (byte >> shift) & mask;
      counts[code] = (counts[code] as number) + (bytes[byte] as number);
    }
  }
  return counts;
}

/** The numbers that the codes of a counted type stand for, and the codes of the finite ones in ascending order of their numbers. */
interface Codes {
  readonly numbers: Float64Array;
  readonly order: Uint16Array;
}

const known = new Map<DType, Codes>();

export function codesOf(dtype: DType): Codes {
  let codes = known.get(dtype);
  if (codes === undefined) {
    codes = makeCodes(dtype);
    known.set(dtype, codes);
  }
  return codes;
}

function makeCodes(dtype: DType): Codes {
  const count = dtype === 'float32' ? wordValues : 2 ** bitsOf(dtype);
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
