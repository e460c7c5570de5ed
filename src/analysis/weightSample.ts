import type { DType } from '../ir/dtype.ts';
import { bitsOf } from '../ir/dtype.ts';
import { decodeNumbers } from '../ir/numbers.ts';
import { lowerBound } from '../ir/sorted.ts';
import { codesOf, isCounted } from './counting.ts';
import { gramColumns, gramOf, gramRows } from './gram.ts';

/** An output channel that stands out. */
export interface Outlier {
  readonly channel: number;
  /** Its root mean square over the median channel's. */
  readonly ratio: number;
}

/**
 * How many directions a weight uses, from a sample of its rows (output channels) and columns: the participation ratio
 * (Σλ)²/Σλ² of the Gram matrix's eigenvalues, which needs no eigenvalues. `random` is what a matrix of independent
 * numbers of the sample's size has, rows·columns/(rows + columns); far below it there is structure to cut away.
 */
export interface Rank {
  readonly effective: number;
  readonly random: number;
  readonly rows: number;
  readonly columns: number;
}

/** Elements whose squares are summed up: of each channel, and of all. */
const mostPerChannel = 64;
const mostPlaces = 1 << 15;
/** Channels beyond this are sampled too. */
const mostChannels = 1 << 14;
/** A channel stands out when its root mean square is this many times the median's. */
const outlierRatio = 8;
const mostOutliers = 16;

/** Which elements of a weight are looked at; it follows from the shape alone, so results repeat. */
interface Places {
  /** Flat positions, ascending, and where each goes: a channel and, in the sampled rows, a cell; -1 in the others. */
  readonly positions: Float64Array;
  readonly channel: Int32Array;
  readonly cell: Int32Array;
  /** Of the cells. */
  readonly rows: number;
  readonly columns: number;
  /** How many places each channel of the weight has. */
  readonly taken: Int32Array;
}

/** Layers of one model often have equal shapes. */
const plans = new Map<string, Places>();
const mostPlans = 8;

function placesFor(dims: readonly number[], axis: number): Places {
  const key = `${dims.join('×')} ${axis}`;
  let found = plans.get(key);
  if (found === undefined) {
    if (plans.size >= mostPlans) plans.clear();
    found = choosePlaces(dims, axis);
    plans.set(key, found);
  }
  return found;
}

function choosePlaces(dims: readonly number[], axis: number): Places {
  const channels = dims[axis] as number;
  const each = dims.reduce((product, dim) => product * dim, 1) / channels;
  const inner = dims.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  const chosen = spread(channels, mostChannels);
  const rows = new Map(spread(channels, gramRows).map((channel, row) => [channel, row]));
  const columns = Math.min(each, gramColumns);
  const perChannel = Math.max(2, Math.min(mostPerChannel, Math.floor(mostPlaces / chosen.length)));
  const places: { at: number; channel: number; cell: number }[] = [];
  for (const channel of chosen) {
    const row = rows.get(channel);
    spread(each, row === undefined ? perChannel : columns).forEach((element, index) => {
      const at = (Math.floor(element / inner) * channels + channel) * inner + (element % inner);
      places.push({ at, channel, cell: row === undefined ? -1 : row * columns + index });
    });
  }
  places.sort((a, b) => a.at - b.at);
  const taken = new Int32Array(channels);
  for (const { channel } of places) taken[channel] = (taken[channel] as number) + 1;
  return {
    positions: Float64Array.from(places, (place) => place.at),
    channel: Int32Array.from(places, (place) => place.channel),
    cell: Int32Array.from(places, (place) => place.cell),
    rows: rows.size,
    columns,
    taken,
  };
}

/** The places of a weight's sample; `undefined` for vectors and scalars, which have no channels to compare. */
export function samplePlaces(dims: readonly number[], axis: number): Places | undefined {
  const channels = dims[axis] ?? 0;
  const elements = dims.reduce((product, dim) => product * dim, 1);
  if (dims.length < 2 || channels < 2 || elements / channels < 2) return undefined;
  return placesFor(dims, axis);
}

/** Takes the sampled elements out of a run of a weight as its stream passes by. */
export class SampleReader {
  readonly #dtype: DType;
  readonly #positions: Float64Array;
  /** Numbers of the codes of small types. */
  readonly #numbers: Float64Array | undefined;
  readonly #first: number;
  #next: number;
  /** The elements taken so far, in the order of their places. */
  readonly values: Float64Array;

  /** `from`, `to`: the elements of the run. */
  constructor(dtype: DType, places: Places, from: number, to: number) {
    this.#dtype = dtype;
    this.#positions = places.positions;
    this.#numbers = isCounted(dtype) && dtype !== 'float32' ? codesOf(dtype).numbers : undefined;
    this.#first = lowerBound(places.positions, from);
    this.#next = this.#first;
    this.values = new Float64Array(lowerBound(places.positions, to) - this.#first);
  }

  /** Takes what it wants from a piece whose first byte is the tensor's `offset`. */
  take(piece: Uint8Array, offset: number): void {
    const bits = bitsOf(this.#dtype);
    const first = (offset * 8) / bits;
    const from = this.#next;
    const to = lowerBound(this.#positions, first + Math.floor((piece.length * 8) / bits));
    this.#next = to;
    if (this.#dtype === 'float32') this.#takeFloats(piece, first, from, to);
    else if (this.#numbers !== undefined) this.#takeCodes(this.#numbers, piece, first, from, to);
    else this.#takeOthers(piece, first, from, to);
  }

  #takeFloats(piece: Uint8Array, first: number, from: number, to: number): void {
    const positions = this.#positions;
    const view = new DataView(piece.buffer, piece.byteOffset, piece.length);
    for (let index = from; index < to; index += 1)
      this.values[index - this.#first] = view.getFloat32(4 * ((positions[index] as number) - first), true);
  }

  #takeCodes(numbers: Float64Array, piece: Uint8Array, first: number, from: number, to: number): void {
    const positions = this.#positions;
    const bits = bitsOf(this.#dtype);
    const mask = 2 ** bits - 1;
    for (let index = from; index < to; index += 1) {
      const at = ((positions[index] as number) - first) * bits;
      const byte = at >>> 3;
      const word = (piece[byte] as number) | (bits === 16 ? (piece[byte + 1] as number) << 8 : 0);
      this.values[index - this.#first] = numbers[(word >>> (at & 7)) & mask] as number;
    }
  }

  /** Elements of whole bytes. */
  #takeOthers(piece: Uint8Array, first: number, from: number, to: number): void {
    const width = bitsOf(this.#dtype) / 8;
    for (let index = from; index < to; index += 1) {
      const byte = ((this.#positions[index] as number) - first) * width;
      const element = piece.subarray(byte, byte + width);
      this.values[index - this.#first] = decodeNumbers(this.#dtype, element, 1)[0] as number;
    }
  }
}

/** What the sampled elements say; `values` stand in the order of the places. */
export function sampled(
  places: Places,
  values: Float64Array,
): { outliers: readonly Outlier[]; rank: Rank | null } {
  return { outliers: outliersOf(places, values), rank: rankOf(places, values) };
}

function outliersOf({ channel: channels, taken }: Places, values: Float64Array): readonly Outlier[] {
  const sizes = new Float64Array(taken.length);
  for (let index = 0; index < values.length; index += 1) {
    const channel = channels[index] as number;
    const value = values[index] as number;
    sizes[channel] = (sizes[channel] as number) + value * value;
  }
  let count = 0;
  const sorted = new Float64Array(taken.length);
  for (let channel = 0; channel < sizes.length; channel += 1) {
    if (taken[channel] === 0) continue;
    sizes[channel] = Math.sqrt((sizes[channel] as number) / (taken[channel] as number));
    sorted[count] = sizes[channel] as number;
    count += 1;
  }
  const median = sorted.subarray(0, count).sort()[count >> 1] as number;
  if (!(median > 0)) return [];
  const outliers: Outlier[] = [];
  for (let channel = 0; channel < sizes.length; channel += 1) {
    const ratio = (sizes[channel] as number) / median;
    if (ratio >= outlierRatio) outliers.push({ channel, ratio });
  }
  return outliers.sort((a, b) => b.ratio - a.ratio).slice(0, mostOutliers);
}

function rankOf({ cell, rows, columns }: Places, values: Float64Array): Rank | null {
  const cells = new Float64Array(rows * columns);
  for (let index = 0; index < values.length; index += 1) {
    const at = cell[index] as number;
    if (at >= 0) cells[at] = values[index] as number;
  }
  const { trace, squares } = gramOf(cells, rows, columns);
  if (!(squares > 0) || !Number.isFinite(squares)) return null;
  const random = (rows * columns) / (rows + columns);
  return { effective: (trace * trace) / squares, random, rows, columns };
}

/** At most `most` of the numbers below `count`, evenly spread. */
function spread(count: number, most: number): readonly number[] {
  if (count <= most) return Array.from({ length: count }, (_, index) => index);
  return Array.from({ length: most }, (_, index) => Math.floor((index * count) / most));
}
