import type { Bytes } from '../ir/bytes.ts';
import type { DType } from '../ir/dtype.ts';
import { bitsOf } from '../ir/dtype.ts';
import type { Model, ValueId } from '../ir/model.ts';
import { decodeFloats, decodeNumbers, sizeOf } from '../ir/numbers.ts';
import type { Tensor } from '../ir/tensor.ts';
import { graphsOf, indexOf } from '../ir/walk.ts';
import type { WeightRole } from '../ops/operator.ts';
import { operatorOf } from '../ops/registry.ts';
import type { Distribution } from './counting.ts';
import { distributionOf, isCounted, Tally } from './counting.ts';
import type { Outlier, Rank } from './weightSample.ts';
import { SampledMatrix } from './weightSample.ts';

/** Statistics of one stored tensor. Numbers are null where there are none: no finite element, strings, missing bytes. */
export interface WeightStatistics {
  /** Place of the graph in `graphsOf`, and the value there that holds the tensor first. */
  readonly graph: number;
  readonly value: ValueId;
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly elements: number;
  readonly bytes: number;
  readonly min: number | null;
  readonly max: number | null;
  readonly mean: number | null;
  readonly std: number | null;
  readonly zeros: number | null;
  readonly nonFinite: number | null;
  readonly histogram: {
    readonly counts: readonly number[];
    readonly from: number;
    readonly to: number;
  } | null;
  /** Output channels whose root mean square is far above the median channel's, the farthest first. */
  readonly outliers: readonly Outlier[];
  readonly rank: Rank | null;
  /** The value that holds the same type, shape and bytes already. */
  readonly duplicateOf: ValueId | null;
  /** The largest power of two, up to 4096, that divides the tensor's place in its file; null for bytes in memory. */
  readonly alignment: number | null;
}

const pieceBytes = 1 << 18;
const bins = 64;
/** Bytes between two looks at whether the work was cancelled. */
const stepBytes = 32 << 20;
const mostAlignment = 4096;
/** Smaller tensors are not worth a table. */
const fewElements = 4096;

/**
 * Statistics of every stored tensor with numbers, shared bytes once, in one pass over the bytes: 256 KiB are held at a time,
 * whatever the model's size. Only tensors that seem equal to an earlier one are read again, to be sure. `step` is told the
 * share that is done, and may throw to cancel.
 */
export async function surveyWeights(
  model: Model,
  step: (fraction: number) => Promise<void> = async () => {},
): Promise<readonly WeightStatistics[]> {
  const found = storedTensors(model);
  const total = found.reduce((sum, each) => sum + each.tensor.data.length, 0);
  const tally = new Tally();
  const twins = new Map<string, Stored[]>();
  const result: WeightStatistics[] = [];
  let done = 0;
  let told = 0;
  for (const stored of found) {
    const { statistics, print } = look(stored, tally);
    const duplicateOf = print === undefined ? undefined : twinOf(stored, print, twins);
    result.push({ ...statistics, duplicateOf: duplicateOf?.value ?? null });
    done += stored.tensor.data.length;
    if (done - told < stepBytes) continue;
    told = done;
    await step(total === 0 ? 1 : done / total);
  }
  return result;
}

interface Stored {
  readonly graph: number;
  readonly value: ValueId;
  readonly tensor: Tensor;
  readonly role: WeightRole | undefined;
}

function storedTensors(model: Model): readonly Stored[] {
  const seen = new Set<Bytes>();
  const found: Stored[] = [];
  let number = 0;
  for (const graph of graphsOf(model)) {
    for (const [value, { constant }] of graph.values) {
      if (constant === undefined || constant.strings !== undefined || seen.has(constant.data)) continue;
      if (bitsOf(constant.dtype) === 0 || constant.dtype.startsWith('complex')) continue;
      seen.add(constant.data);
      const use = indexOf(graph).uses.get(value)?.[0];
      const roles = use === undefined ? [] : (operatorOf(model, use.node)?.weights?.(use.node, model) ?? []);
      found.push({
        graph: number,
        value,
        tensor: constant,
        role: roles.find((role) => role.input === use?.index),
      });
    }
    number += 1;
  }
  return found;
}

type Draft = Omit<WeightStatistics, 'duplicateOf'>;

function look(stored: Stored, tally: Tally): { statistics: Draft; print: string | undefined } {
  const { tensor, role } = stored;
  const elements = sizeOf(tensor);
  const needed = Math.ceil((elements * bitsOf(tensor.dtype)) / 8);
  const facts = {
    graph: stored.graph,
    value: stored.value,
    dtype: tensor.dtype,
    dims: tensor.dims,
    elements,
    bytes: tensor.data.length,
    alignment: alignmentOf(tensor.data),
  };
  if (tensor.data.missing !== undefined || tensor.data.length < needed || elements === 0) {
    return { statistics: { ...facts, ...nothing }, print: undefined };
  }
  const sample = role === undefined ? undefined : SampledMatrix.of(tensor, role.outputAxis);
  const distribution =
    elements < fewElements ? listed(tensor, elements, sample) : counted(tensor, elements, tally, sample);
  const { outliers, rank } = sample?.result() ?? { outliers: [], rank: null };
  const statistics = { ...facts, ...momentsOf(distribution, elements), outliers, rank };
  return { statistics, print: printOf(tensor, distribution) };
}

const nothing = {
  min: null,
  max: null,
  mean: null,
  std: null,
  zeros: null,
  nonFinite: null,
  histogram: null,
  outliers: [],
  rank: null,
} as const;

function alignmentOf(data: Bytes): number | null {
  const { start } = data;
  if (start === undefined) return null;
  let alignment = 1;
  while (alignment < mostAlignment && start % (2 * alignment) === 0) alignment *= 2;
  return alignment;
}

/**
 * Counts the stream; the extremes of float32 are taken from the pieces that hold the outermost counts. Wide integers and
 * doubles, which are rare, are counted as the nearest float32.
 */
function counted(
  tensor: Tensor,
  elements: number,
  tally: Tally,
  sample: SampledMatrix | undefined,
): Distribution {
  tally.clear();
  const direct = isCounted(tensor.dtype);
  const dtype = direct ? tensor.dtype : 'float32';
  const extremes = dtype === 'float32' ? new Extremes(tally) : undefined;
  forPieces(tensor, elements, (piece, offset) => {
    const numbers = direct ? piece : asFloats(tensor.dtype, piece);
    tally.add(dtype, numbers);
    extremes?.look(numbers);
    sample?.take(piece, offset);
  });
  const distribution = distributionOf(dtype, tally.merged(), elements);
  return extremes === undefined ? distribution : extremes.applied(distribution);
}

function asFloats(dtype: DType, piece: Uint8Array): Uint8Array {
  const floats = decodeFloats(dtype, piece, Math.floor((piece.length * 8) / bitsOf(dtype)));
  return new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength);
}

/** A few numbers, each on its own. */
function listed(tensor: Tensor, elements: number, sample: SampledMatrix | undefined): Distribution {
  const byNumber = new Map<number, number>();
  let nonFinite = 0;
  forPieces(tensor, elements, (piece, offset) => {
    for (const value of decodeNumbers(tensor.dtype, piece, elements)) {
      if (Number.isFinite(value)) byNumber.set(value, (byNumber.get(value) ?? 0) + 1);
      else nonFinite += 1;
    }
    sample?.take(piece, offset);
  });
  const values = Float64Array.from(byNumber.keys()).sort();
  return { values, counts: Float64Array.from(values, (value) => byNumber.get(value) ?? 0), nonFinite };
}

function forPieces(
  tensor: Tensor,
  elements: number,
  visit: (piece: Uint8Array, offset: number) => void,
): void {
  const { data } = tensor;
  const length = Math.ceil((elements * bitsOf(tensor.dtype)) / 8);
  for (let offset = 0; offset < length; offset += pieceBytes) {
    const size = Math.min(pieceBytes, length - offset);
    visit(data.readInto?.(window, offset, size) ?? data.read(offset, size), offset);
  }
}

/** Pieces of files pass through here; what is kept of them is copied. */
const window = new Uint8Array(pieceBytes);

/**
 * Exact smallest and largest number of a float32 stream: a piece is looked through only when it holds a count as far out
 * as any before.
 */
class Extremes {
  readonly #tally: Tally;
  #low = { code: -1, count: 0 };
  #high = { code: -1, count: 0 };
  #min = Number.POSITIVE_INFINITY;
  #max = Number.NEGATIVE_INFINITY;

  constructor(tally: Tally) {
    this.#tally = tally;
  }

  look(piece: Uint8Array): void {
    const low = outermost(this.#tally, 'low');
    const high = outermost(this.#tally, 'high');
    const news = [low.code !== this.#low.code || low.count !== this.#low.count];
    news.push(high.code !== this.#high.code || high.count !== this.#high.count);
    this.#low = low;
    this.#high = high;
    if (!news.includes(true)) return;
    const aligned = piece.byteOffset % 4 === 0 ? piece : piece.slice();
    const floats = new Float32Array(aligned.buffer, aligned.byteOffset, aligned.length >> 2);
    [this.#min, this.#max] = extremesOf(floats, this.#min, this.#max);
  }

  /** The distribution with its outermost numbers replaced by the exact ones. */
  applied(distribution: Distribution): Distribution {
    const { values } = distribution;
    if (values.length === 0 || this.#min > this.#max) return distribution;
    const exact = values.map((value) => Math.min(this.#max, Math.max(this.#min, value)));
    exact[0] = this.#min;
    exact[exact.length - 1] = this.#max;
    return { ...distribution, values: exact };
  }
}

/** Smallest and largest finite number, those given included. */
function extremesOf(floats: Float32Array, least: number, most: number): [number, number] {
  const first = floats.find(Number.isFinite);
  if (first === undefined) return [least, most];
  let [min, max] = [Math.min(least, first), Math.max(most, first)];
  for (let i = 0; i < floats.length; i += 1) {
    const value = floats[i] as number;
    if (value < min) min = value === Number.NEGATIVE_INFINITY ? min : value;
    else if (value > max) max = value === Number.POSITIVE_INFINITY ? max : value;
  }
  return [min, max];
}

/** Upper half of the first infinity; finite numbers of one sign lie below it in the order of their magnitude. */
const infinity = 0x7f80;

/** The upper half of the number farthest to one side, and how many have it: magnitudes fall on the way to the other sign. */
function outermost(tally: Tally, side: 'low' | 'high'): { code: number; count: number } {
  const [near, far] = side === 'high' ? [0, 0x8000] : [0x8000, 0];
  const code = tally.highest(near, near + infinity);
  if (code >= near) return { code, count: tally.at(code) };
  for (let other = far; other < far + infinity; other += 1) {
    const count = tally.at(other);
    if (count > 0) return { code: other, count };
  }
  return { code: -1, count: 0 };
}

function momentsOf({ values, counts, nonFinite }: Distribution, elements: number) {
  const finite = elements - nonFinite;
  if (values.length === 0) return { ...nothing, nonFinite, zeros: 0 };
  const min = values[0] as number;
  const max = values.at(-1) as number;
  let sum = 0;
  values.forEach((value, index) => {
    sum += value * (counts[index] as number);
  });
  const mean = sum / finite;
  let squares = 0;
  let zeros = 0;
  const histogram = new Float64Array(bins);
  const scale = max > min ? bins / (max - min) : 0;
  values.forEach((value, index) => {
    const count = counts[index] as number;
    squares += count * (value - mean) ** 2;
    if (value === 0) zeros += count;
    const bin = Math.min(bins - 1, Math.floor((value - min) * scale));
    histogram[bin] = (histogram[bin] as number) + count;
  });
  return {
    min,
    max,
    mean,
    std: Math.sqrt(squares / finite),
    zeros,
    nonFinite,
    histogram: { counts: Array.from(histogram), from: min, to: max },
  };
}

/** Equal tensors have equal prints; others seldom do. */
function printOf(tensor: Tensor, { values, counts }: Distribution): string {
  let hash = 0;
  for (let i = 0; i < values.length; i += 1) {
    hash = Math.imul(hash ^ (Math.fround(values[i] as number) * 1e6), 0x01000193) ^ (counts[i] as number);
  }
  return [tensor.dtype, tensor.dims.join('×'), values[0], values.at(-1), values.length, hash].join(' ');
}

function twinOf(stored: Stored, print: string, twins: Map<string, Stored[]>): Stored | undefined {
  const candidates = twins.get(print) ?? [];
  const twin = candidates.find((other) => sameBytes(stored.tensor.data, other.tensor.data));
  if (twin === undefined) twins.set(print, [...candidates, stored]);
  return twin;
}

function sameBytes(a: Bytes, b: Bytes): boolean {
  if (a.length !== b.length) return false;
  for (let offset = 0; offset < a.length; offset += pieceBytes) {
    const [left, right] = [a.read(offset, pieceBytes), b.read(offset, pieceBytes)];
    for (let i = 0; i < left.length; i += 1) if (left[i] !== right[i]) return false;
  }
  return true;
}
