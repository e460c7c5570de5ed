import { openDataset } from '../data/dataset.ts';
import { boundInputs } from '../modelInputs.ts';
import { randomDataset } from '../data/random.ts';
import type { BenchReport } from './reports.ts';
import type { LayerTime, Runner, Session, SessionInfo, SessionOptions, Tensors } from '../runner.ts';
import type { JobOptions } from '../process/session.ts';
import { withRunner } from '../process/session.ts';
import { latencyStats, median } from './statistics.ts';

/** Finds the layer that a runtime's operator belongs to; `undefined` when there is no single one. */
type LayerOf = (name: string, time: LayerTime) => string | undefined;

interface BenchmarkOptions extends JobOptions {
  readonly model: string;
  readonly layerOf: LayerOf;
  /** Another model, timed in turns with the first in one process. */
  readonly against?: string;
  readonly againstLayerOf?: LayerOf;
  /** Timed inferences; by default as many as fit into about two seconds per model. */
  readonly runs?: number;
  readonly warmup?: number;
  readonly threads?: number;
  readonly provider?: string;
  /** A dataset's path, whose first sample is run; seeded random inputs without it. */
  readonly data?: string;
  readonly seed?: number;
  /** Numbers for free dimensions, by name; the others are 1. */
  readonly bind?: Readonly<Record<string, number>>;
}

const trialRuns = 5;
const timingBudgetMs = 2000;
const profileBudgetMs = 500;
const leastRuns = 10;
const mostRuns = 10_000;
const mostProfileRuns = 50;

/**
 * Measures latency, load time, peak memory and the time of each layer. Every model gets a fresh process for what
 * belongs to it alone; two models are compared in alternating runs within one process.
 * Throws `KerfError('runtime-refused' | 'runtime-crashed' | 'bad-dataset' | 'cancelled')`.
 */
export async function benchmark(start: () => Runner, options: BenchmarkOptions): Promise<BenchReport> {
  const { model, against, signal, onProgress } = options;
  onProgress?.(0, `loading ${model}`);
  const alone = await withRunner(start, signal, (runner) =>
    measureAlone(runner, model, options.layerOf, options),
  );
  if (against === undefined) return alone;
  onProgress?.(0.4, `loading ${against}`);
  const other = await withRunner(start, signal, (runner) =>
    measureAlone(runner, against, options.againstLayerOf ?? (() => undefined), options),
  );
  onProgress?.(0.7, 'comparing in alternating runs');
  const [own, theirs] = await withRunner(start, signal, (runner) =>
    timeInTurn(runner, options, alone, other),
  );
  return {
    ...alone,
    ...own,
    against: {
      ...other,
      ...theirs,
      speedup: theirs.latencyMs.median / own.latencyMs.median,
    },
  };
}

async function measureAlone(
  runner: Runner,
  path: string,
  layerOf: LayerOf,
  options: BenchmarkOptions,
): Promise<BenchReport> {
  const session = await runner.open(path, sessionOptions(options));
  const { feeds, source } = feedsFor(session, options);
  const trial = await timeOne(runner, session, feeds, { warmup: options.warmup ?? 2, runs: trialRuns });
  const typical = median(trial);
  // The comparison times both models again, in turns; a short run is enough for what is not compared.
  const runs = options.against === undefined ? runsFor(typical, options) : leastRuns;
  const warmup = options.warmup ?? Math.min(20, Math.ceil(runs / 10));
  options.onProgress?.(0.2, `timing ${runs} runs`);
  const times = await timeOne(runner, session, feeds, { warmup, runs });
  const peakRssBytes = await runner.peakRss();
  const profileRuns = clamp(profileBudgetMs / typical, 5, mostProfileRuns);
  options.onProgress?.(0.3, 'timing each layer');
  const layers = await session.profile(feeds, profileRuns);
  return {
    ...about(session.info),
    runs,
    latencyMs: latencyStats(times),
    peakRssBytes,
    ...layerRows(layers, session.info, layerOf),
    inputs: source,
  };
}

async function timeInTurn(
  runner: Runner,
  options: BenchmarkOptions,
  model: BenchReport,
  other: BenchReport,
): Promise<[Pick<BenchReport, 'runs' | 'latencyMs'>, Pick<BenchReport, 'runs' | 'latencyMs'>]> {
  const jobs = [];
  for (const path of [options.model, options.against ?? options.model]) {
    const session = await runner.open(path, sessionOptions(options));
    jobs.push({ session, feeds: feedsFor(session, options).feeds });
  }
  const runs = runsFor(Math.max(model.latencyMs.median, other.latencyMs.median), options);
  const warmup = options.warmup ?? Math.min(20, Math.ceil(runs / 10));
  const [own, theirs] = await runner.time(jobs, { warmup, runs });
  return [
    { runs, latencyMs: latencyStats(own ?? new Float64Array()) },
    { runs, latencyMs: latencyStats(theirs ?? new Float64Array()) },
  ];
}

function sessionOptions({ threads, provider }: BenchmarkOptions): SessionOptions {
  return { ...(threads !== undefined && { threads }), ...(provider !== undefined && { provider }) };
}

function feedsFor({ info }: Session, { data, seed = 0, bind }: BenchmarkOptions) {
  const inputs = boundInputs(info.inputs, bind);
  const dataset = data === undefined ? randomDataset(inputs, { seed, count: 1 }) : openDataset(data, inputs);
  return { feeds: dataset.feeds(0), source: dataset.source };
}

async function timeOne(
  runner: Runner,
  session: Session,
  feeds: Tensors,
  options: { readonly warmup: number; readonly runs: number },
): Promise<Float64Array> {
  const [times] = await runner.time([{ session, feeds }], options);
  return times ?? new Float64Array();
}

function runsFor(typicalMs: number, { runs }: BenchmarkOptions): number {
  return runs ?? clamp(timingBudgetMs / typicalMs, leastRuns, mostRuns);
}

function clamp(value: number, low: number, high: number): number {
  return Math.round(Math.min(Math.max(value, low), high));
}

function about({ runtime, version, provider, threads, loadMs }: SessionInfo) {
  return { runtime: `${runtime} ${version}`, provider, threads, loadMs };
}

/** Layers in execution order with their share, and those that did not run where the rest did. */
function layerRows(
  times: readonly LayerTime[],
  info: SessionInfo,
  layerOf: LayerOf,
): Pick<BenchReport, 'layers' | 'fallback'> {
  const total = times.reduce((sum, time) => sum + time.ms, 0);
  const layers: BenchReport['layers'][number][] = [];
  const fallback: BenchReport['fallback'][number][] = [];
  for (const time of times) {
    const id = layerOf(time.name, time) ?? null;
    layers.push({ id, name: time.name, ms: time.ms, share: total > 0 ? time.ms / total : 0 });
    if (time.provider !== info.provider && id !== null)
      fallback.push({ id, reason: `${time.op} ran on ${time.provider}, not on ${info.provider}` });
  }
  return { layers, fallback };
}
