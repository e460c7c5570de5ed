import type { Attribute, Model, Node, OnnxModel, ValueId } from '../../ir/model.ts';
import { attr } from '../../ir/attribute.ts';
import { GraphEditor } from '../../ir/edit.ts';
import { withMainGraph } from '../../ir/model.ts';
import { intTensor } from '../../ir/numbers.ts';
import { tensorType } from '../../ir/types.ts';
import type { ChannelMoments, ValueAxis } from '../../passes/pass.ts';
import { factsOf } from '../../passes/support/facts.ts';
import { opsetOf } from '../../passes/support/graph.ts';
import { chunksOf, exposing } from './exposed.ts';
import type { Tensors } from '../../runtime/runner.ts';
import type { RunSamples } from './runs.ts';
import { numbersOf } from './sums.ts';

/** A value and what is known of its channels so far. */
export interface WatchedChannels extends ValueAxis {
  /** Negative numbers are not known before a run. */
  readonly dims: readonly number[];
  readonly seen: Sums;
}

interface Sums {
  /** Numbers per channel. */
  count: number;
  sum: Float64Array;
  squares: Float64Array;
  min: Float64Array;
  max: Float64Array;
}

/** Moments per channel over all samples, in one pass over the data; see `Calibrator.channels`. */
export async function observeChannels(
  run: RunSamples,
  model: Model,
  values: readonly ValueAxis[],
): Promise<ReadonlyMap<ValueId, ChannelMoments>> {
  const watched = watchedChannels(model, values);
  if (watched.length > 0 && model.dialect === 'onnx') await sumOnnx(run, model, watched);
  if (watched.length > 0 && model.dialect === 'tflite') await sumWhole(run, model, watched);
  return new Map(watched.flatMap(({ value, seen }) => (seen.count > 0 ? [[value, momentsOf(seen)]] : [])));
}

/** Those of the values that are float and have that axis. */
export function watchedChannels(model: Model, values: readonly ValueAxis[]): readonly WatchedChannels[] {
  const facts = factsOf(model);
  return values.flatMap(({ value, axis }): WatchedChannels[] => {
    const dims = (facts.typeOf(value)?.shape ?? []).map((dim) => (typeof dim === 'number' ? dim : -1));
    return axis < dims.length && facts.dtypeOf(value) === 'float32'
      ? [{ value, axis, dims, seen: emptySums() }]
      : [];
  });
}

function emptySums(): Sums {
  const none = new Float64Array(0);
  return { count: 0, sum: none, squares: none, min: none, max: none };
}

export function momentsOf({ count, sum, squares, min, max }: Sums): ChannelMoments {
  const mean = sum.map((total) => total / count);
  const variance = squares.map((total, c) => Math.max(0, total / count - (mean[c] as number) ** 2));
  return { count, mean, variance, min, max };
}

function addSums(into: Sums, more: Sums): void {
  into.count += more.count;
  into.sum = sumOf(into.sum, more.sum);
  into.squares = sumOf(into.squares, more.squares);
  addExtremes({ seen: into }, more.min, more.max);
}

/** Widens what is known of the extremes. */
export function addExtremes(
  { seen }: Pick<WatchedChannels, 'seen'>,
  min: Float64Array,
  max: Float64Array,
): void {
  if (seen.min.length === 0) seen.min = min;
  else if (min.length > 0) widen(seen.min, min, Math.min);
  if (seen.max.length === 0) seen.max = max;
  else if (max.length > 0) widen(seen.max, max, Math.max);
}

function widen(into: Float64Array, more: Float64Array, join: (x: number, y: number) => number): void {
  for (let c = 0; c < into.length; c += 1) into[c] = join(into[c] as number, more[c] as number);
}

function sumOf(a: Float64Array, b: Float64Array): Float64Array {
  if (a.length === 0 || b.length === 0) return a.length === 0 ? b : a;
  return a.map((x, c) => x + (b[c] as number));
}

const reductions = [
  ['sum', 'ReduceSum', 13],
  ['squares', 'ReduceSumSquare', 18],
  ['min', 'ReduceMin', 18],
  ['max', 'ReduceMax', 18],
] as const;
type Reduction = (typeof reductions)[number][0];

interface ChannelOutputs {
  readonly shape: ValueId;
  /** Whether sums are those of the means of feature maps, and the shape theirs where `dims` tell the size of a map. */
  readonly pooled: boolean;
  readonly of: Readonly<Partial<Record<Reduction, ValueId>>>;
}

export interface ChannelModel {
  readonly model: OnnxModel;
  readonly outputs: readonly ChannelOutputs[];
}

/**
 * Adds behind each value its shape and the wanted numbers per channel, as outputs beside those in `kept`. Sums of feature maps
 * are taken over about `positions` of their positions.
 */
export function withChannelOutputs(
  model: OnnxModel,
  watched: readonly WatchedChannels[],
  wanted: readonly Reduction[],
  kept: readonly ValueId[] = [],
  positions = Number.POSITIVE_INFINITY,
): ChannelModel {
  const [graph] = model.graphs;
  const editor = new GraphEditor(graph, model);
  const added: Node[] = [];
  const add = (
    op: string,
    inputs: readonly ValueId[],
    attributes: readonly (readonly [string, Attribute])[],
  ) => {
    const type = op === 'Shape' ? tensorType('int64') : tensorType('float32');
    const output = editor.addValue(`${inputs[0]}_kerf_${op}`, { type });
    const id = editor.freshNode(`${output}_node`);
    added.push({ id, name: id, op, domain: '', inputs, outputs: [output], attributes: new Map(attributes) });
    return output;
  };
  const outputs = watched.map(({ value, axis, dims }) => {
    const axes = dims.map((_, i) => i).filter((i) => i !== axis);
    const reduce = (from: ValueId, op: string, since: number) => {
      if (axes.length === 0) return add('Identity', [from], []);
      const asInput = opsetOf(model) >= since;
      const inputs = asInput
        ? [editor.addConstant('kerf_axes', intTensor('int64', [axes.length], axes))]
        : [];
      const attributes = asInput ? [] : [['axes', attr.ints(axes)] as const];
      return add(op, [from, ...inputs], [['keepdims', attr.int(0)], ...attributes]);
    };
    const average = (from: ValueId) => add('GlobalAveragePool', [from], []);
    const step = Math.floor(Math.sqrt((mapSize(dims) ?? 0) / positions));
    const grid = [
      ['kernel_shape', attr.ints([1, 1])],
      ['strides', attr.ints([step, step])],
    ] as const;
    let thinned: ValueId | undefined;
    const thin = () => (thinned ??= step > 1 ? add('MaxPool', [value], grid) : value);
    const of: Partial<Record<Reduction, ValueId>> = {};
    // Averages of feature maps are faster than sums, those of squares above all.
    const pooled = dims.length === 4 && axis === 1;
    let small = value;
    for (const [name, op, since] of reductions) {
      if (!wanted.includes(name)) continue;
      if (pooled && (name === 'sum' || name === 'squares')) {
        const mean = average(name === 'sum' ? thin() : add('Mul', [thin(), thin()], []));
        of[name] = reduce(mean, 'ReduceSum', 13);
        if (mapSize(dims) !== undefined) small = mean;
      } else of[name] = reduce(value, op, since);
    }
    // Asking for the shape of a map takes it out of the layout in which convolutions write.
    return { shape: add('Shape', [small], []), pooled, of };
  });
  const last = graph.nodes.at(-1);
  if (last === undefined) editor.insertFirst(added);
  else editor.insertAfter(last.id, added);
  editor.setOutputs([...kept, ...outputs.flatMap(({ shape, of }) => [shape, ...Object.values(of)])]);
  return { model: withMainGraph(model, editor.finish()), outputs };
}

/** Positions of a feature map, where they are known before a run. */
function mapSize([, , height = -1, width = -1]: readonly number[]): number | undefined {
  return height < 0 || width < 0 ? undefined : height * width;
}

/** Adds what one run gave. */
export function addChannelSums(
  watched: readonly WatchedChannels[],
  { outputs }: ChannelModel,
  tensors: Tensors,
): void {
  const none = new Float64Array(0);
  for (const [index, { seen, axis, dims: known }] of watched.entries()) {
    const { shape, pooled, of } = outputs[index] as ChannelOutputs;
    const dims = numbersOf(tensors, shape);
    const perMap = pooled ? (mapSize(known) ?? (dims[2] as number) * (dims[3] as number)) : 1;
    const count = pooled
      ? (dims[0] as number) * perMap
      : dims.reduce((product, dim, i) => (i === axis ? product : product * dim), 1);
    const read = (name: Reduction) => (of[name] === undefined ? none : numbersOf(tensors, of[name]));
    addSums(seen, {
      count,
      sum: read('sum').map((sum) => sum * perMap),
      squares: read('squares').map((sum) => sum * perMap),
      min: read('min'),
      max: read('max'),
    });
  }
}

/** Four numbers per channel and sample leave the runtime. */
async function sumOnnx(
  run: RunSamples,
  model: OnnxModel,
  watched: readonly WatchedChannels[],
): Promise<void> {
  const every = reductions.map(([name]) => name);
  const sums = withChannelOutputs(model, watched, every);
  await run([sums.model], [0, 1], (tensors) => addChannelSums(watched, sums, tensors));
}

/** Values leave the runtime whole and are summed here. */
async function sumWhole(run: RunSamples, model: Model, watched: readonly WatchedChannels[]): Promise<void> {
  const fed = new Set(model.graphs[0].inputs);
  const inner = watched.map(({ value }) => value).filter((id) => !fed.has(id));
  const chunks: (readonly ValueId[])[] = [...chunksOf(model, inner)];
  // A model without outputs does not load: when only inputs are asked for, its own outputs stay.
  if (chunks.length === 0) chunks.push([]);
  for (const [index, chunk] of chunks.entries()) {
    const part = [index / chunks.length, (index + 1) / chunks.length] as const;
    await run([chunk.length === 0 ? model : exposing(model, chunk)], part, (tensors, feeds) => {
      for (const { value, axis, seen } of watched) {
        const source = chunk.includes(value) ? tensors : index === 0 && fed.has(value) ? feeds : undefined;
        const dims = source?.[value]?.dims;
        if (source !== undefined && dims !== undefined)
          addSums(seen, sumsAlong(dims, axis, numbersOf(source, value)));
      }
    });
  }
}

function sumsAlong(dims: readonly number[], axis: number, data: Float64Array): Sums {
  const channels = dims[axis] as number;
  const inner = dims.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  const sums = {
    count: data.length / channels,
    sum: new Float64Array(channels),
    squares: new Float64Array(channels),
    min: new Float64Array(channels).fill(Number.POSITIVE_INFINITY),
    max: new Float64Array(channels).fill(Number.NEGATIVE_INFINITY),
  };
  for (let i = 0; i < data.length; i += 1) {
    const c = Math.floor(i / inner) % channels;
    const x = data[i] as number;
    sums.sum[c] = (sums.sum[c] as number) + x;
    sums.squares[c] = (sums.squares[c] as number) + x * x;
    if (x < (sums.min[c] as number)) sums.min[c] = x;
    if (x > (sums.max[c] as number)) sums.max[c] = x;
  }
  return sums;
}
