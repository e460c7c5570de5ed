import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeModelFile } from '../formats/io/models.ts';
import { KerfError } from '../ir/errors.ts';
import type { Model, OnnxModel, TfliteModel, ValueId } from '../ir/model.ts';
import { decodeNumbers, readFloats } from '../ir/numbers.ts';
import type { Calibrator, ObservedRange, Survey, SurveyPlan } from '../passes/pass.ts';
import type { Dataset } from '../runtime/dataset.ts';
import { openDataset } from '../runtime/dataset.ts';
import { inOrder } from '../runtime/inOrder.ts';
import { boundInputs, inputsOf } from '../runtime/modelInputs.ts';
import { randomDataset } from '../runtime/random.ts';
import type { HostTensor, Runner, Session, Tensors } from '../runtime/runner.ts';
import type { JobOptions } from '../runtime/session.ts';
import { withRunner } from '../runtime/session.ts';
import { chunksOf, exposing } from './observe/exposed.ts';
import { countHistograms } from './observe/histograms.ts';
import { withCache } from './observe/cache.ts';
import { requireWeights } from './requireWeights.ts';
import { observeChannels } from './observe/channels.ts';
import { observeCrossMoments, observeMoments } from './observe/moments.ts';
import type { RunSamples, Visit } from './observe/runs.ts';
import { surveyOnnx } from './observe/survey.ts';
import { before } from './observe/runs.ts';
import { mergedRanges } from './observe/merged.ts';
import { withRangeOutputs } from './observe/rangeOutputs.ts';

export interface CalibratorOptions extends JobOptions {
  /** A dataset's path; seeded random inputs without it. */
  readonly data?: string;
  readonly seed: number;
  /** Where observations are kept between runs; nowhere without it. */
  readonly cache?: string;
  /** At most this many samples, from the first on. */
  readonly samples?: number;
  /** Numbers for free dimensions, by name; the others are 1. */
  readonly bind?: Readonly<Record<string, number>>;
}

const mostSamples = 512;
const randomSamples = 32;
const mostSamplesAtOnce = 16;
const bytesAtOnce = 2 ** 20;
/** Where each run gives back as much however many samples it has. */
const largeBytesAtOnce = 2 ** 22;

/**
 * Observes value ranges of models with these inputs. Everything runs in runner processes of its own.
 * Throws `KerfError('bad-dataset' | 'not-found')`; `ranges` also `'runtime-refused' | 'runtime-crashed' | 'cancelled'`.
 */
export function createCalibrator(start: () => Runner, model: Model, options: CalibratorOptions): Calibrator {
  const inputs = boundInputs(inputsOf(model), options.bind);
  const data =
    options.data === undefined
      ? randomDataset(inputs, { seed: options.seed, count: options.samples ?? randomSamples })
      : openDataset(options.data, inputs);
  const samples = Math.min(options.samples ?? mostSamples, data.samples);
  const run: RunSamples = (...wanted) => runSamples({ start, data, samples, options }, ...wanted);
  const calibrator: Calibrator = {
    source: data.source,
    samples,
    async ranges(current, values, momentum) {
      const ranges = constantRanges(current, values);
      const open = values.filter((id) => !ranges.has(id));
      const job = { start, data, samples, options };
      if (open.length > 0) {
        const observe =
          current.dialect === 'onnx'
            ? observeOnnx(job, current, open, momentum)
            : observeTflite(job, current, open, momentum);
        for (const [id, range] of await observe) ranges.set(id, range);
      }
      requireFinite(open, ranges, data.source);
      return ranges;
    },
    histograms: (current, values, ranges) => countHistograms(run, current, values, ranges),
    moments(current, layers, most = samples) {
      const few = Math.min(samples, most);
      const runFew: RunSamples = (...wanted) => runSamples({ start, data, samples: few, options }, ...wanted);
      return observeMoments(runFew, current, layers, few);
    },
    crossMoments: (reference, current, pairs) => observeCrossMoments(run, reference, current, pairs, samples),
    channels: (current, values) => observeChannels(run, current, values),
    survey: async (current, plan) =>
      current.dialect === 'onnx'
        ? survey({ start, data, samples, options }, current, plan)
        : inTurnSurvey(calibrator, current, plan),
  };
  if (options.cache === undefined) return calibrator;
  return withCache(calibrator, { folder: options.cache, dataDigest: () => digestOf(data, samples) });
}

/** All runs in one process. */
async function survey(job: Job, model: OnnxModel, plan: SurveyPlan): Promise<Survey> {
  const { start, data, options } = job;
  const samples = { few: Math.min(plan.few, job.samples), all: job.samples };
  const seen = await withRunner(start, options.signal, async (runner) => {
    // The last bits do not matter here either.
    const over = (first: number, end: number, atOnce?: number): RunSamples => {
      const own = { ...job, first, samples: end, optimization: 'all' as const, runner };
      return (...wanted) => runSamples(atOnce === undefined ? own : { ...own, atOnce }, ...wanted);
    };
    const runs = {
      few: over(0, samples.few, samples.few),
      others: over(samples.few, samples.all),
      all: over(0, samples.all),
    };
    return surveyOnnx({ ...runs, samples }, model, plan);
  });
  const ranges = new Map([...seen.ranges, ...constantRanges(model, plan.ranges)]);
  requireFinite(plan.ranges, ranges, data.source);
  return { ...seen, ranges };
}

/** Where values leave the runtime whole, nothing is gained by asking for all at once. */
async function inTurnSurvey(calibrator: Calibrator, model: Model, plan: SurveyPlan): Promise<Survey> {
  return {
    ranges: plan.ranges.length === 0 ? new Map() : await calibrator.ranges(model, plan.ranges),
    channels: await calibrator.channels(model, plan.channels),
    moments: await calibrator.moments(model, plan.moments, plan.few),
  };
}

/** A digest of all that is fed. */
function digestOf(data: Dataset, samples: number): string {
  const hash = createHash('sha256');
  const step = data.batch === 'free' ? 1 : data.batch;
  for (let sample = 0; sample < Math.ceil(samples / step); sample += 1) {
    const feeds = data.feeds(sample * step, step);
    for (const [name, { dtype, dims, data: bytes }] of Object.entries(feeds))
      hash.update(`${name} ${dtype} ${dims.join('x')}\n`).update(bytes);
  }
  return hash.digest('hex');
}

interface Job {
  readonly start: () => Runner;
  readonly data: Dataset;
  /** From `first` on, up to this many. */
  readonly samples: number;
  readonly first?: number;
  /** Samples in one run, where their size allows. */
  readonly atOnce?: number;
  readonly options: CalibratorOptions;
  readonly optimization?: 'basic' | 'all';
  /** The process to run in; one of its own without it. */
  readonly runner?: Runner;
}

/** Masks may hold an infinity, data may not: then nothing has a range. Throws `KerfError('bad-dataset')`. */
function requireFinite(
  values: readonly ValueId[],
  ranges: ReadonlyMap<ValueId, ObservedRange>,
  source: string,
): void {
  const isFinite = ({ min, max }: ObservedRange) => Number.isFinite(min) && Number.isFinite(max);
  const seen = values.flatMap((id) => ranges.get(id) ?? []);
  if (seen.length === 0 || seen.some(isFinite)) return;
  throw new KerfError('bad-dataset', 'with these samples no value of the model stays finite', {
    file: source,
  });
}

function constantRanges(model: Model, values: readonly ValueId[]): Map<ValueId, ObservedRange> {
  const ranges = new Map<ValueId, ObservedRange>();
  for (const id of values) {
    const constant = model.graphs[0].values.get(id)?.constant;
    if (constant !== undefined) ranges.set(id, extent(readFloats(constant)));
  }
  return ranges;
}

async function observeOnnx(
  job: Job,
  model: OnnxModel,
  values: readonly ValueId[],
  momentum: number | undefined,
): Promise<ReadonlyMap<ValueId, ObservedRange>> {
  const { model: observed, outputs } = withRangeOutputs(model, values);
  const merged = mergedRanges(momentum);
  // The last bits of a range do not matter: convolutions may run in the layout that suits them best.
  const fast = { ...job, optimization: 'all' as const };
  await runSamples(fast, [observed], [0, 1], (tensors, _, samples) => {
    for (const [id, { min, max }] of outputs) {
      const smallest = min === undefined ? 0 : scalar(tensors[min], id);
      merged.add(id, { min: smallest, max: scalar(tensors[max], id) });
    }
    merged.endRun(samples);
  });
  return merged.finish();
}

async function observeTflite(
  job: Job,
  model: TfliteModel,
  values: readonly ValueId[],
  momentum: number | undefined,
): Promise<ReadonlyMap<ValueId, ObservedRange>> {
  const fed = new Set(model.graphs[0].inputs);
  const inner = values.filter((id) => !fed.has(id));
  // A model without outputs does not load: when only inputs are asked for, its own outputs stay.
  const chunks = inner.length === 0 ? [model.graphs[0].outputs] : chunksOf(model, inner);
  const infos = new Map(inputsOf(model).map((info) => [info.name, info]));
  const wantedInputs = values.filter((id) => fed.has(id) && infos.get(id)?.quantization === undefined);
  const found = new Map<ValueId, ObservedRange>();
  for (const [index, chunk] of chunks.entries()) {
    const part: [number, number] = [index / chunks.length, (index + 1) / chunks.length];
    const merged = mergedRanges(momentum);
    await runSamples(job, [exposing(model, chunk)], part, (tensors, feeds, samples) => {
      for (const id of chunk) merged.add(id, extent(numbers(tensors[id], id)));
      if (index === 0) for (const id of wantedInputs) merged.add(id, extent(numbers(feeds[id], id)));
      merged.endRun(samples);
    });
    for (const [id, range] of merged.finish()) found.set(id, range);
  }
  return found;
}

async function runSamples(
  {
    start,
    data,
    samples: end,
    first: begin = 0,
    atOnce = mostSamplesAtOnce,
    options,
    optimization = 'basic',
    runner: shared,
  }: Job,
  models: readonly [Model, ...Model[]],
  [from, to]: readonly [number, number],
  visit: Visit,
): Promise<void> {
  for (const model of models) requireWeights(model);
  const folder = await mkdtemp(join(tmpdir(), 'kerf-calibration-'));
  const work = async (runner: Runner) => {
    const sessions: Session[] = [];
    for (const [index, model] of models.entries()) {
      const file = join(folder, `model${index}.${model.dialect}`);
      await writeModelFile(model, file);
      // Fusions beyond the basic ones would change the arithmetic behind the observed values.
      sessions.push(await runner.open(file, { optimization }));
    }
    const samples = end - begin;
    const { step, done: firstRun } =
      data.batch === 'free'
        ? await batchFor(data, sessions, { begin, most: Math.min(atOnce, samples) })
        : { step: data.batch };
    const batches = inOrder(Math.ceil(samples / step), async (batch) => {
      if (batch === 0 && firstRun !== undefined) return firstRun;
      const first = begin + batch * step;
      const feeds = data.feeds(first, data.batch === 'free' ? Math.min(step, end - first) : step);
      return inTurn(sessions, feeds);
    });
    let done = 0;
    for await (const { feeds, tensors } of batches) {
      const seen = Math.min(step, samples - done);
      visit(tensors, feeds, seen);
      done += seen;
      const fraction = from + ((to - from) * done) / samples;
      options.onProgress?.(fraction, `calibrating: ${done} of ${samples} samples`);
    }
    await Promise.all(sessions.map((session) => session.close()));
  };
  try {
    await (shared === undefined ? withRunner(start, options.signal, work) : work(shared));
  } catch (error) {
    throw inWordsOfTheReader(error, folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** One run: what was fed, and the outputs of the last model. */
interface Ran {
  readonly feeds: Tensors;
  readonly tensors: Tensors;
}

/** Runs the models one after another, each with the outputs of the one before it beside the samples. */
async function inTurn(sessions: readonly Session[], samples: Tensors): Promise<Ran> {
  let feeds = samples;
  let tensors: Tensors = {};
  for (const [index, session] of sessions.entries()) {
    if (index > 0) {
      const earlier = Object.entries(tensors).map(([name, tensor]) => [before(name), tensor]);
      feeds = { ...samples, ...Object.fromEntries(earlier) };
    }
    const known = session.info.inputs.flatMap(({ name }) => (feeds[name] ? [[name, feeds[name]]] : []));
    tensors = await session.run(Object.fromEntries(known));
  }
  return { feeds, tensors };
}

/** The file that was observed is gone by the time someone reads of it. */
function inWordsOfTheReader(error: unknown, folder: string): unknown {
  if (!KerfError.is(error) || error.file?.startsWith(folder) !== true) return error;
  const message = error.message.replace(` from ${error.file}`, '').replaceAll(error.file, 'the model');
  return new KerfError(
    error.reason,
    `calibration: ${message}`,
    error.place === undefined ? {} : { place: error.place },
  );
}

/**
 * Ranges do not depend on the batch, and one of several samples saves most of the cost of small calls. Many exporters
 * write a batch of 1 into the body of a model whose inputs have a free one; such a model takes one sample at a time.
 * Gives the first run, too, where it came off.
 */
async function batchFor(
  data: Dataset,
  sessions: readonly Session[],
  { begin, most }: { readonly begin: number; readonly most: number },
): Promise<{ readonly step: number; readonly done?: Ran }> {
  const bytes = Object.values(data.feeds(begin)).reduce((sum, tensor) => sum + tensor.data.length, 0);
  const room = most > mostSamplesAtOnce ? largeBytesAtOnce : bytesAtOnce;
  const step = Math.min(most, Math.floor(room / Math.max(bytes, 1)));
  if (step <= 1) return { step: 1 };
  try {
    return { step, done: await inTurn(sessions, data.feeds(begin, step)) };
  } catch (error) {
    if (KerfError.is(error, 'runtime-refused')) return { step: 1 };
    throw error;
  }
}

function scalar(tensor: HostTensor | undefined, id: ValueId): number {
  return numbers(tensor, id)[0] as number;
}

function numbers(tensor: HostTensor | undefined, id: ValueId): Float64Array {
  if (tensor === undefined) throw new KerfError('internal', `the runtime gave no range of ${id}`);
  const count = tensor.dims.reduce((product, dim) => product * dim, 1);
  return decodeNumbers(tensor.dtype, tensor.data, count);
}

function extent(values: ArrayLike<number>): ObservedRange {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index] as number;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return { min, max };
}
