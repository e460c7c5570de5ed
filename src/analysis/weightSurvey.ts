import type { Bytes } from '../ir/bytes.ts';
import type { DType } from '../ir/dtype.ts';
import { bitsOf } from '../ir/dtype.ts';
import type { Model, ValueId } from '../ir/model.ts';
import { decodeNumbers, sizeOf } from '../ir/numbers.ts';
import type { Tensor } from '../ir/tensor.ts';
import { graphsOf, indexOf } from '../ir/walk.ts';
import { operatorOf } from '../ops/registry.ts';
import type { Distribution } from './counting.ts';
import type { Counted, CountTask } from './weightCount.ts';
import { countRun, joined, pieceBytes } from './weightCount.ts';
import { samplePlaces, SampleReader } from './weightSample.ts';
import type { Printed, WeightSummary } from './weightSummary.ts';
import { describe, nothing, summarised } from './weightSummary.ts';

/** Statistics of one stored tensor; the summary's numbers are null as well for strings and missing bytes. */
export interface WeightStatistics extends WeightSummary {
  /** Place of the graph in `graphsOf`, and the value there that holds the tensor first. */
  readonly graph: number;
  readonly value: ValueId;
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly elements: number;
  readonly bytes: number;
  /** The value that holds the same type, shape and bytes already. */
  readonly duplicateOf: ValueId | null;
  /** The largest power of two, up to 4096, that divides the tensor's place in its file; null for bytes in memory. */
  readonly alignment: number | null;
}

/** Counts a run of a tensor, here or in another thread; a run that is the whole tensor is also described there. */
export type CountingLane = (task: CountTask) => Promise<Counted | Printed>;

interface SurveyOptions {
  /** Told the share that is done; may throw to cancel. */
  readonly step?: (fraction: number) => Promise<void>;
  /** Ways of counting that work side by side; without any, tensors are counted here one after another. */
  readonly lanes?: readonly CountingLane[];
}

/** Longest run that is counted at once. */
const runBytes = 16 * pieceBytes;
/** Bytes between two looks at whether the work was cancelled. */
const stepBytes = 32 << 20;
const mostAlignment = 4096;
/** Smaller tensors are not worth a table. */
const fewElements = 4096;

/** A lane in the calling thread. */
const countHere: CountingLane = async (task) => counted(task);

/** A run's counts, or what they say when they are all there is. */
export function counted(task: CountTask): Counted | Printed {
  const counts = countRun(task);
  return isWhole(task) ? summarised(task, counts) : counts;
}

function isWhole({ dtype, dims, from, to }: CountTask): boolean {
  return from === 0 && to === neededBytes({ dtype, dims });
}

/**
 * Statistics of every stored tensor with numbers, shared bytes once, in one pass over the bytes: each lane holds 1 MiB at a
 * time, whatever the model's size. Only tensors that seem equal to an earlier one are read again, to be sure. The result does
 * not depend on the lanes. Throws what `step` throws, and `KerfError('io')`.
 */
export async function surveyWeights(
  model: Model,
  { step = async () => {}, lanes = [countHere] }: SurveyOptions = {},
): Promise<readonly WeightStatistics[]> {
  const found = storedTensors(model);
  const printed = await describeAll(found, lanes, step);
  const twins = new Map<string, Stored[]>();
  return found.map((stored, index) => {
    const { print, summary } = printed[index] ?? { print: undefined, summary: nothing };
    const duplicateOf = print === undefined ? undefined : twinOf(stored, print, twins);
    return { ...factsOf(stored), ...summary, duplicateOf: duplicateOf?.value ?? null };
  });
}

interface Stored {
  readonly graph: number;
  readonly value: ValueId;
  readonly tensor: Tensor;
  readonly outputAxis: number | undefined;
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
      const role = roles.find((each) => each.input === use?.index);
      found.push({ graph: number, value, tensor: constant, outputAxis: role?.outputAxis });
    }
    number += 1;
  }
  return found;
}

function factsOf({ graph, value, tensor }: Stored) {
  const { dtype, dims, data } = tensor;
  return {
    graph,
    value,
    dtype,
    dims,
    elements: sizeOf(tensor),
    bytes: data.length,
    alignment: alignmentOf(data),
  };
}

function alignmentOf(data: Bytes): number | null {
  const { start } = data;
  if (start === undefined) return null;
  let alignment = 1;
  while (alignment < mostAlignment && start % (2 * alignment) === 0) alignment *= 2;
  return alignment;
}

function neededBytes({ dtype, dims }: Pick<Tensor, 'dtype' | 'dims'>): number {
  return Math.ceil((dims.reduce((product, dim) => product * dim, 1) * bitsOf(dtype)) / 8);
}

/** One run of a tensor among all of them: the tensor's place, and the run's among the tensor's runs. */
interface Run {
  readonly index: number;
  readonly part: number;
  readonly parts: number;
  readonly task: CountTask;
}

/** What each tensor says, `undefined` for those that cannot be read. The lanes take runs as they become free. */
async function describeAll(
  found: readonly Stored[],
  lanes: readonly CountingLane[],
  step: (fraction: number) => Promise<void>,
): Promise<readonly (Printed | undefined)[]> {
  const results: (Printed | undefined)[] = found.map(() => undefined);
  const open = new Map<number, Counted[]>();
  const runs = found.flatMap(runsOf);
  const total = runs.reduce((sum, { task }) => sum + task.to - task.from, 0);
  const state = { next: 0, done: 0, told: 0, stopped: false };
  const finish = ({ index, part, parts, task }: Run, made: Counted | Printed) => {
    if ('print' in made) {
      results[index] = made;
      return;
    }
    const counts = open.get(index) ?? [];
    counts[part] = made;
    open.set(index, counts);
    if (Object.keys(counts).length < parts) return;
    open.delete(index);
    results[index] = summarised(task, joined(counts));
  };
  const work = async (lane: CountingLane) => {
    while (!state.stopped && state.next < runs.length) {
      const run = runs[state.next] as Run;
      state.next += 1;
      finish(run, sizeOf(run.task) < fewElements ? listed(run.task) : await lane(run.task));
      state.done += run.task.to - run.task.from;
      if (state.done - state.told < stepBytes) continue;
      state.told = state.done;
      await step(state.done / total);
    }
  };
  const ends = lanes.map((lane) =>
    work(lane).catch((error: unknown) => {
      state.stopped = true;
      throw error;
    }),
  );
  // Nothing of this may go on when the caller hears of it.
  const failed = (await Promise.allSettled(ends)).find((end) => end.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return results;
}

function runsOf({ tensor, outputAxis }: Stored, index: number): readonly Run[] {
  const { dtype, dims, data } = tensor;
  const length = neededBytes(tensor);
  if (data.missing !== undefined || data.length < length) return [];
  const parts = Math.ceil(length / runBytes);
  return Array.from({ length: parts }, (_, part) => {
    const [from, to] = [part * runBytes, Math.min(length, (part + 1) * runBytes)];
    return { index, part, parts, task: { dtype, dims, outputAxis, data, from, to } };
  });
}

/** A few numbers, each on its own. */
function listed(task: CountTask): Printed {
  const { dtype, dims, outputAxis, data, to } = task;
  const byNumber = new Map<number, number>();
  let nonFinite = 0;
  const piece = data.read(0, to);
  for (const value of decodeNumbers(dtype, piece, sizeOf(task))) {
    if (Number.isFinite(value)) byNumber.set(value, (byNumber.get(value) ?? 0) + 1);
    else nonFinite += 1;
  }
  const values = Float64Array.from(byNumber.keys()).sort();
  const counts = Float64Array.from(values, (value) => byNumber.get(value) ?? 0);
  const distribution: Distribution = { values, counts, nonFinite };
  const places = outputAxis === undefined ? undefined : samplePlaces(dims, outputAxis);
  const sample = places && new SampleReader(dtype, places, 0, sizeOf(task));
  sample?.take(piece, 0);
  return describe(task, distribution, sample?.values ?? new Float64Array(0));
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
