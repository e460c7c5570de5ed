import type { DType } from '../ir/dtype.ts';
import { bitsOf } from '../ir/dtype.ts';
import { decodeNumbers } from '../ir/numbers.ts';
import type { Tensor } from '../ir/tensor.ts';

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
interface Places {
  /** Flat positions, ascending, and where each goes: a channel and, for the sampled rows, a column. */
  readonly positions: Float64Array;
  readonly channel: Int32Array;
  readonly column: Int32Array;
  readonly rows: readonly number[];
  readonly columns: number;
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
  };
}

/** Elements of a weight at a few places per output channel, taken as the stream passes by. Memory is bounded. */
export class SampledMatrix {
  readonly #tensor: Tensor;
  readonly #places: Places;
  readonly #squares: Float64Array;
  readonly #taken: Int32Array;
  readonly #rows: ReadonlyMap<number, Float32Array>;
  #next = 0;

  /** `undefined` for vectors and scalars, which have no channels to compare. */
  static of(tensor: Tensor, axis: number): SampledMatrix | undefined {
    const channels = tensor.dims[axis] ?? 0;
    const elements = tensor.dims.reduce((product, dim) => product * dim, 1);
    if (tensor.dims.length < 2 || channels < 2 || elements / channels < 2) return undefined;
    return new SampledMatrix(tensor, placesFor(tensor.dims, axis), channels);
  }

  private constructor(tensor: Tensor, places: Places, channels: number) {
    this.#tensor = tensor;
    this.#places = places;
    this.#squares = new Float64Array(channels);
    this.#taken = new Int32Array(channels);
    this.#rows = new Map(places.rows.map((row) => [row, new Float32Array(places.columns)]));
  }

  /** Takes what it wants from a piece whose first byte is the tensor's `offset`. */
  take(piece: Uint8Array, offset: number): void {
    const { dtype } = this.#tensor;
    const { positions } = this.#places;
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
        this.#put(index, view[(positions[index] as number) - first] as number);
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
      this.#put(index, numbers[(index - from) * packed + within] as number);
    }
  }

  #put(index: number, value: number): void {
    const channel = this.#places.channel[index] as number;
    this.#squares[channel] = (this.#squares[channel] as number) + value * value;
    this.#taken[channel] = (this.#taken[channel] as number) + 1;
    const column = this.#places.column[index] as number;
    if (column >= 0) (this.#rows.get(channel) as Float32Array)[column] = value;
  }

  result(): { outliers: readonly Outlier[]; rank: Rank | null } {
    return { outliers: this.#outliers(), rank: this.#rank() };
  }

  #outliers(): readonly Outlier[] {
    const sizes: Outlier[] = [];
    this.#squares.forEach((sum, channel) => {
      const count = this.#taken[channel] as number;
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

  #rank(): Rank | null {
    const rows = [...this.#rows.values()];
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
