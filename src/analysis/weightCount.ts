import type { Bytes } from '../ir/bytes.ts';
import type { DType } from '../ir/dtype.ts';
import { bitsOf } from '../ir/dtype.ts';
import { decodeFloats } from '../ir/numbers.ts';
import type { Counts } from './counting.ts';
import { countedValues, isCounted, Tally } from './counting.ts';
import { samplePlaces, SampleReader } from './weightSample.ts';

/** Whole pieces only begin runs, so that packed elements and sampled places stay together. */
export const pieceBytes = 1 << 20;

/** A run of a tensor's bytes: `from` is a multiple of `pieceBytes`. */
export interface CountTask {
  readonly dtype: DType;
  readonly dims: readonly number[];
  /** The axis of output channels where the tensor is a weight. */
  readonly outputAxis: number | undefined;
  readonly data: Bytes;
  readonly from: number;
  readonly to: number;
}

/** What counting saw of a run, or of several together. */
export interface Counted {
  readonly table: Counts;
  /** Exact for float32, which the table only sees roughly; infinite where there is no finite number. */
  readonly min: number;
  readonly max: number;
  /** Sampled elements in the order of their places. */
  readonly samples: Float64Array;
}

/** The type by whose codes elements are counted: wide integers and doubles, which are rare, as the nearest float32. */
export function countedAs(dtype: DType): DType {
  return isCounted(dtype) ? dtype : 'float32';
}

const tally = new Tally();
/** Pieces of files pass through here; what is kept of them is copied. */
const window = new Uint8Array(pieceBytes);

/** Counts a run piece by piece; memory stays bounded by one. Throws `KerfError('io' | 'truncated')`. */
export function countRun({ dtype, dims, outputAxis, data, from, to }: CountTask): Counted {
  tally.clear();
  const as = countedAs(dtype);
  const extremes = as === 'float32' ? new Extremes(tally) : undefined;
  const places = outputAxis === undefined ? undefined : samplePlaces(dims, outputAxis);
  const sample = places && new SampleReader(dtype, places, (from * 8) / bitsOf(dtype));
  for (let offset = from; offset < to; offset += pieceBytes) {
    const size = Math.min(pieceBytes, to - offset);
    const piece = pieceOf(data, offset, size);
    const numbers = as === dtype ? piece : asFloats(dtype, piece);
    tally.add(as, numbers);
    extremes?.look(numbers);
    sample?.take(piece, offset);
  }
  const table = new Uint32Array(countedValues);
  tally.addTo(table);
  const { min, max } = extremes ?? noExtremes;
  return { table, min, max, samples: sample?.values ?? new Float64Array(0) };
}

const noExtremes = { min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY };

/** Runs of one tensor in their order as one. */
export function joined(runs: readonly Counted[]): Counted {
  if (runs.length === 1) return runs[0] as Counted;
  const table = new Uint32Array(countedValues);
  for (const run of runs)
    for (let code = 0; code < countedValues; code += 1)
      table[code] = (table[code] as number) + (run.table[code] as number);
  const samples = new Float64Array(runs.reduce((sum, run) => sum + run.samples.length, 0));
  let at = 0;
  for (const run of runs) {
    samples.set(run.samples, at);
    at += run.samples.length;
  }
  return {
    table,
    min: Math.min(...runs.map((run) => run.min)),
    max: Math.max(...runs.map((run) => run.max)),
    samples,
  };
}

/** A piece on a multiple of four bytes in memory. */
function pieceOf(data: Bytes, offset: number, size: number): Uint8Array {
  const piece = data.readInto?.(window, offset, size) ?? data.read(offset, size);
  return piece.byteOffset % 4 === 0 ? piece : piece.slice();
}

function asFloats(dtype: DType, piece: Uint8Array): Uint8Array {
  const floats = decodeFloats(dtype, piece, Math.floor((piece.length * 8) / bitsOf(dtype)));
  return new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength);
}

/** Upper half of the first infinity; finite numbers of one sign lie below it in the order of their magnitude. */
const infinity = 0x7f80;
const negative = 0x8000;
const none = -1;

/**
 * Exact smallest and largest finite number of a float32 stream: a piece is looked through only when it holds a count as far
 * out as any before, and only for elements with that upper half.
 */
class Extremes {
  readonly #tally: Tally;
  #low = { code: none, count: 0 };
  #high = { code: none, count: 0 };
  min = Number.POSITIVE_INFINITY;
  max = Number.NEGATIVE_INFINITY;

  constructor(tally: Tally) {
    this.#tally = tally;
  }

  /** Looks at a piece that was counted last. */
  look(piece: Uint8Array): void {
    const low = this.#outermost(negative, 0);
    const high = this.#outermost(0, negative);
    const lower = low.code !== this.#low.code || low.count !== this.#low.count ? low.code : none;
    const higher = high.code !== this.#high.code || high.count !== this.#high.count ? high.code : none;
    this.#low = low;
    this.#high = high;
    if (lower !== none || higher !== none) this.#search(piece, lower, higher);
  }

  #search(piece: Uint8Array, low: number, high: number): void {
    const words = new Uint32Array(piece.buffer, piece.byteOffset, piece.length >> 2);
    const floats = new Float32Array(piece.buffer, piece.byteOffset, piece.length >> 2);
    let { min, max } = this;
    for (let i = 0; i < words.length; i += 1) {
      const code = (words[i] as number) >>> 16;
      if (code !== low && code !== high) continue;
      const value = floats[i] as number;
      if (value < min) min = value;
      if (value > max) max = value;
    }
    this.min = min;
    this.max = max;
  }

  /**
   * The upper half of the number farthest to one side, and how many have it: the largest magnitude of the sign whose codes
   * begin at `near`, else the smallest of the other sign's.
   */
  #outermost(near: number, far: number): { code: number; count: number } {
    const tally = this.#tally;
    const farthest = tally.highest(near, near + infinity);
    if (farthest >= near) return { code: farthest, count: tally.at(farthest) };
    const least = tally.lowest(far, far + infinity);
    return least < far + infinity ? { code: least, count: tally.at(least) } : noCode;
  }
}

const noCode = { code: none, count: 0 };
