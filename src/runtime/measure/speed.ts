import { boundInputs } from '../modelInputs.ts';
import { openDataset } from '../data/dataset.ts';
import { randomDataset } from '../data/random.ts';
import type { Runner } from '../runner.ts';
import type { JobOptions } from '../process/session.ts';
import { withRunner } from '../process/session.ts';
import { median } from './statistics.ts';

interface SpeedOptions extends JobOptions {
  readonly before: string;
  readonly after: string;
  readonly threads?: number;
  readonly provider?: string;
  /** A dataset's path, whose first sample is run; seeded random inputs without it. */
  readonly data?: string;
  readonly bind?: Readonly<Record<string, number>>;
}

/** Two models, timed in turns in one process. */
export interface SpeedReport {
  readonly runtime: string;
  readonly threads: number;
  readonly runs: number;
  /** Median latencies, milliseconds. */
  readonly beforeMs: number;
  readonly afterMs: number;
  /** Median of what each pair of neighbouring runs says: above 1 the second model is faster. */
  readonly speedup: number;
  /** True when it is slower beyond what a busy machine explains. */
  readonly slower: boolean;
}

const budgetMs = 1000;
const leastRuns = 9;
const mostRuns = 200;
/** Pairs of runs of one model against itself scatter by less than this around 1. */
const tolerance = 0.95;

/**
 * Whether pairs of runs (first over second) and the fastest run of each say that the second model is slower. On a busy machine
 * the fastest runs of a few may mislead; then so many pairs have to agree as chance makes one time in twenty.
 */
export function isSlower(ratios: Float64Array, fastest: number): boolean {
  if (!(median(ratios) < tolerance)) return false;
  const below = ratios.filter((ratio) => ratio < 1).length;
  const chance = ratios.length / 2 + 1.645 * (Math.sqrt(ratios.length) / 2);
  return fastest < tolerance || below >= chance;
}

/**
 * A quick comparison of two models: alternating runs for about a second, so that load on the machine disturbs both alike.
 * Throws `KerfError('runtime-refused' | 'runtime-crashed' | 'bad-dataset' | 'cancelled')`.
 */
export async function compareSpeed(start: () => Runner, options: SpeedOptions): Promise<SpeedReport> {
  const { before, after, threads = 1, provider, data, bind, signal } = options;
  options.onProgress?.(0, 'timing before and after in turns');
  return withRunner(start, signal, async (runner) => {
    const jobs = [];
    let runtime = '';
    for (const path of [before, after]) {
      const session = await runner.open(path, { threads, ...(provider !== undefined && { provider }) });
      const inputs = boundInputs(session.info.inputs, bind);
      const samples =
        data === undefined ? randomDataset(inputs, { seed: 0, count: 1 }) : openDataset(data, inputs);
      jobs.push({ session, feeds: samples.feeds(0) });
      runtime = `${session.info.runtime} ${session.info.version}`;
    }
    const trial = await runner.time(jobs, { warmup: 1, runs: 2 });
    const round = trial.reduce((sum, times) => sum + median(times), 0);
    const runs = Math.round(Math.min(mostRuns, Math.max(leastRuns, budgetMs / Math.max(round, 1e-3))));
    const [first = new Float64Array(), second = new Float64Array()] = await runner.time(jobs, {
      warmup: 1,
      runs,
    });
    const ratios = first.map((ms, i) => ms / (second[i] as number));
    const speedup = median(ratios);
    const fastest = Math.min(...first) / Math.min(...second);
    const slower = isSlower(ratios, fastest);
    return { runtime, threads, runs, beforeMs: median(first), afterMs: median(second), speedup, slower };
  });
}
