import { createHash } from 'node:crypto';
import { KerfError } from '../ir/errors.ts';
import type { Model, OnnxModel, TfliteModel, ValueId } from '../ir/model.ts';
import { decodeNumbers, readFloats } from '../ir/numbers.ts';
import type { Calibrator, ObservedRange, Survey, SurveyPlan } from '../passes/pass.ts';
import type { Dataset } from '../runtime/data/dataset.ts';
import { openDataset } from '../runtime/data/dataset.ts';
import { boundInputs, inputsOf } from '../runtime/modelInputs.ts';
import { randomDataset } from '../runtime/data/random.ts';
import type { HostTensor, Runner, Tensors } from '../runtime/runner.ts';
import type { JobOptions } from '../runtime/process/session.ts';
import { withRunner } from '../runtime/process/session.ts';
import { chunksOf, exposing } from './observe/exposed.ts';
import { countHistograms } from './observe/histograms.ts';
import { withCache } from './observe/cache.ts';
import { observeChannels } from './observe/channels.ts';
import { observeCrossMoments, observeMoments } from './observe/moments.ts';
import type { RunSamples } from './observe/runs.ts';
import type { Job } from './observe/sampleRuns.ts';
import { runSamples, threadsFor } from './observe/sampleRuns.ts';
import { halfway, isWorthTwo, runsInTwo } from './observe/twoProcesses.ts';
import { onceMore, readAhead } from './observe/readAhead.ts';
import { surveyOnnx } from './observe/survey.ts';
import { mergedRanges } from './observe/merged.ts';
import { withRangeOutputs } from './observe/rangeOutputs.ts';

interface CalibratorOptions extends JobOptions {
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
/**
 * Observes value ranges of models with these inputs. Everything runs in runner processes of its own.
 * Throws `KerfError('bad-dataset' | 'not-found')`; `ranges` also `'runtime-refused' | 'runtime-crashed' | 'cancelled'`.
 */
export function createCalibrator(start: () => Runner, model: Model, options: CalibratorOptions): Calibrator {
  const inputs = boundInputs(inputsOf(model), options.bind);
  const opened =
    options.data === undefined
      ? randomDataset(inputs, { seed: options.seed, count: options.samples ?? randomSamples })
      : openDataset(options.data, inputs);
  const data = onceMore(opened);
  const samples = Math.min(options.samples ?? mostSamples, data.samples);
  const job: Job = { start, data, samples, options, ...threadsFor(model, options.bind) };
  const run = runsOf(job);
  const calibrator: Calibrator = {
    source: data.source,
    samples,
    async ranges(current, values, momentum) {
      const ranges = constantRanges(current, values);
      const open = values.filter((id) => !ranges.has(id));
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
      return observeMoments(runsOf({ ...job, samples: few }), current, layers, few);
    },
    crossMoments: (reference, current, pairs) => observeCrossMoments(run, reference, current, pairs, samples),
    channels: (current, values) => observeChannels(run, current, values),
    survey: async (current, plan) =>
      current.dialect === 'onnx'
        ? survey(job, options.bind, current, plan)
        : inTurnSurvey(calibrator, current, plan),
  };
  if (options.cache === undefined) return calibrator;
  return withCache(calibrator, {
    folder: options.cache,
    dataDigest: () => digestOf(opened, samples, data.keep),
  });
}

/** The samples are made while the process that runs them starts and runs; many are run in two processes. */
async function survey(
  job: Job,
  bind: CalibratorOptions['bind'],
  model: OnnxModel,
  plan: SurveyPlan,
): Promise<Survey> {
  const { start, options } = job;
  const samples = { few: Math.min(plan.few, job.samples), all: job.samples };
  const middle = halfway(samples.few, samples.all);
  const inTwo = isWorthTwo(model, samples.all - middle, bind);
  const seen = await withRunner(start, options.signal, async (runner) => {
    // Loading a model says what is wrong.
    runner.warm().catch(() => undefined);
    const ahead = readAhead(job.data, [0, inTwo ? middle : samples.all]);
    // The last bits do not matter here either.
    const whole = { ...job, optimization: 'all' as const };
    const own = { ...whole, data: ahead.data, runner };
    const few = { ...own, samples: samples.few, atOnce: samples.few };
    const others = { ...own, first: samples.few };
    const halves = [
      { ...others, samples: middle },
      { ...whole, first: middle },
    ] as const;
    try {
      const runs = {
        few: runsOf(few),
        others: inTwo ? runsInTwo(halves) : runsOf(others),
        all: runsOf(own),
      };
      return await surveyOnnx({ ...runs, samples }, model, plan);
    } finally {
      ahead.stop();
    }
  });
  const ranges = new Map([...seen.ranges, ...constantRanges(model, plan.ranges)]);
  requireFinite(plan.ranges, ranges, job.data.source);
  return { ...seen, ranges };
}

function runsOf(job: Job): RunSamples {
  return (...wanted) => runSamples(job, ...wanted);
}

/** Where values leave the runtime whole, nothing is gained by asking for all at once. */
async function inTurnSurvey(calibrator: Calibrator, model: Model, plan: SurveyPlan): Promise<Survey> {
  return {
    ranges: plan.ranges.length === 0 ? new Map() : await calibrator.ranges(model, plan.ranges),
    channels: await calibrator.channels(model, plan.channels),
    moments: await calibrator.moments(model, plan.moments, plan.few),
  };
}

/** A digest of all that is fed; `seen` gets the samples on the way. */
function digestOf(data: Dataset, samples: number, seen: (first: number, feeds: Tensors) => void): string {
  const hash = createHash('sha256');
  const step = data.batch === 'free' ? 1 : data.batch;
  for (let sample = 0; sample < Math.ceil(samples / step); sample += 1) {
    const feeds = data.feeds(sample * step, step);
    seen(sample * step, feeds);
    for (const [name, { dtype, dims, data: bytes }] of Object.entries(feeds))
      hash.update(`${name} ${dtype} ${dims.join('x')}\n`).update(bytes);
  }
  return hash.digest('hex');
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
