import type { DType } from '../ir/dtype.ts';
import { bitsOf } from '../ir/dtype.ts';
import { decodeNumbers } from '../ir/numbers.ts';

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

const mostRows = 64;
const mostColumns = 128;
/** Elements whose squares are summed up: of each channel, and of all. */
const mostPerChannel = 64;
const mostPlaces = 1 << 15;
/** Channels beyond this are sampled too. */
const mostChannels = 1 << 14;
/** A channel stands out when its root mean square is this many times the median's. */
const outlierRatio = 8;
const mostOutliers = 16;

/** Which elements of a weight are looked at; it follows from the shape alone, so results repeat. */
export interface Places {
  /** Flat positions, ascending, and where each goes: a channel and, for the sampled rows, a column. */
  readonly positions: Float64Array;
  readonly channel: Int32Array;
  readonly column: Int32Array;
  readonly rows: readonly number[];
  readonly columns: number;
  /** Of the weight. */
  readonly channels: number;
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
  const rows = spread(channels, mostRows);
  const isRow = new Set(rows);
  const perChannel = Math.max(2, Math.min(mostPerChannel, Math.floor(mostPlaces / chosen.length)));
  const places: { at: number; channel: number; column: number }[] = [];
  for (const channel of chosen) {
    const row = isRow.has(channel);
    spread(each, row ? mostColumns : perChannel).forEach((element, index) => {
      const at = (Math.floor(element / inner) * channels + channel) * inner + (element % inner);
      places.push({ at, channel, column: row ? index : -1 });
    });
  }
  places.sort((a, b) => a.at - b.at);
  return {
    positions: Float64Array.from(places, (place) => place.at),
    channel: Int32Array.from(places, (place) => place.channel),
    column: Int32Array.from(places, (place) => place.column),
    rows,
    columns: Math.min(each, mostColumns),
    channels,
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
  readonly #values: number[] = [];
  #next: number;

  /** `from`: the first element of the run. */
  constructor(dtype: DType, places: Places, from: number) {
    this.#dtype = dtype;
    this.#positions = places.positions;
    this.#next = firstAtLeast(places.positions, from);
  }

  /** The elements taken so far, in the order of their places. */
  get values(): Float64Array {
    return Float64Array.from(this.#values);
  }

  /** Takes what it wants from a piece whose first byte is the tensor's `offset`. */
  take(piece: Uint8Array, offset: number): void {
    const dtype = this.#dtype;
    const positions = this.#positions;
    const bits = bitsOf(dtype);
    const first = (offset * 8) / bits;
    const limit = first + Math.floor((piece.length * 8) / bits);
    const from = this.#next;
    let to = from;
    while (to < positions.length && (positions[to] as number) < limit) to += 1;
    this.#next = to;
    if (to === from) return;
    const view = viewOf(dtype, piece);
    if (view !== undefined) {
      for (let index = from; index < to; index += 1)
        this.#values.push(view[(positions[index] as number) - first] as number);
      return;
    }
    // The bytes that are wanted go side by side, so that they are decoded at once.
    const width = Math.max(1, bits / 8);
    const packed = Math.max(1, 8 / bits);
    const wanted = new Uint8Array((to - from) * width);
    for (let index = from; index < to; index += 1) {
      const byte = Math.floor((((positions[index] as number) - first) * bits) / 8);
      for (let i = 0; i < width; i += 1) wanted[(index - from) * width + i] = piece[byte + i] as number;
    }
    const numbers = decodeNumbers(dtype, wanted, (to - from) * packed);
    for (let index = from; index < to; index += 1) {
      const within = packed > 1 ? (positions[index] as number) % packed : 0;
      this.#values.push(numbers[(index - from) * packed + within] as number);
    }
  }
}

function firstAtLeast(sorted: Float64Array, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** What the sampled elements say; `values` stand in the order of the places. */
export function sampled(
  places: Places,
  values: Float64Array,
): { outliers: readonly Outlier[]; rank: Rank | null } {
  return { outliers: outliersOf(places, values), rank: rankOf(places, values) };
}

function outliersOf(places: Places, values: Float64Array): readonly Outlier[] {
  const squares = new Float64Array(places.channels);
  const taken = new Int32Array(places.channels);
  values.forEach((value, index) => {
    const channel = places.channel[index] as number;
    squares[channel] = (squares[channel] as number) + value * value;
    taken[channel] = (taken[channel] as number) + 1;
  });
  const sizes: Outlier[] = [];
  squares.forEach((sum, channel) => {
    const count = taken[channel] as number;
    if (count > 0) sizes.push({ channel, ratio: Math.sqrt(sum / count) });
  });
  const sorted = sizes.map((each) => each.ratio).sort((a, b) => a - b);
  const median = sorted[sorted.length >> 1] as number;
  if (!(median > 0)) return [];
  return sizes
    .map(({ channel, ratio }) => ({ channel, ratio: ratio / median }))
    .filter((each) => each.ratio >= outlierRatio)
    .sort((a, b) => b.ratio - a.ratio)
    .slice(0, mostOutliers);
}

function rankOf(places: Places, values: Float64Array): Rank | null {
  const byChannel = new Map(places.rows.map((row) => [row, new Float32Array(places.columns)]));
  values.forEach((value, index) => {
    const column = places.column[index] as number;
    if (column >= 0) (byChannel.get(places.channel[index] as number) as Float32Array)[column] = value;
  });
  const rows = [...byChannel.values()];
  const columns = rows[0]?.length ?? 0;
  let trace = 0;
  let squares = 0;
  rows.forEach((a, i) => {
    for (let j = i; j < rows.length; j += 1) {
      const product = dot(a, rows[j] as Float32Array);
      squares += (i === j ? 1 : 2) * product * product;
      if (i === j) trace += product;
    }
  });
  if (!(squares > 0) || !Number.isFinite(squares)) return null;
  const random = (rows.length * columns) / (rows.length + columns);
  return { effective: (trace * trace) / squares, random, rows: rows.length, columns };
}

/** The numbers of a piece in place, for the usual types. */
function viewOf(dtype: DType, piece: Uint8Array): Float32Array | Int8Array | undefined {
  if (dtype === 'int8') return new Int8Array(piece.buffer, piece.byteOffset, piece.length);
  if (dtype !== 'float32' || piece.byteOffset % 4 !== 0) return undefined;
  return new Float32Array(piece.buffer, piece.byteOffset, piece.length >> 2);
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i += 1) sum += (a[i] as number) * (b[i] as number);
  return sum;
}

/** At most `most` of the numbers below `count`, evenly spread. */
function spread(count: number, most: number): readonly number[] {
  if (count <= most) return Array.from({ length: count }, (_, index) => index);
  return Array.from({ length: most }, (_, index) => Math.floor((index * count) / most));
}
