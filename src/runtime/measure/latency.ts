import { openDataset } from '../data/dataset.ts';
import { boundInputs } from '../modelInputs.ts';
import { randomDataset } from '../data/random.ts';
import type { Runner } from '../runner.ts';
import type { JobOptions } from '../process/session.ts';
import { withRunner } from '../process/session.ts';
import { median } from './statistics.ts';

const trialRuns = 5;
const budgetMs = 400;
const mostRuns = 500;

/** Median milliseconds of one inference, from a few hundred milliseconds of runs: enough to rank candidates. */
export function quickLatency(
  start: () => Runner,
  model: string,
  options: JobOptions & {
    readonly data?: string;
    readonly seed?: number;
    /** Numbers for free dimensions, by name; the others are 1. */
    readonly bind?: Readonly<Record<string, number>>;
  },
): Promise<{ readonly medianMs: number; readonly runs: number }> {
  return withRunner(start, options.signal, async (runner) => {
    const session = await runner.open(model, {});
    const inputs = boundInputs(session.info.inputs, options.bind);
    const dataset =
      options.data === undefined
        ? randomDataset(inputs, { seed: options.seed ?? 0, count: 1 })
        : openDataset(options.data, inputs);
    const jobs = [{ session, feeds: dataset.feeds(0) }];
    const [trial] = await runner.time(jobs, { warmup: 3, runs: trialRuns });
    const runs = Math.round(
      Math.min(mostRuns, Math.max(trialRuns, budgetMs / median(trial ?? new Float64Array()))),
    );
    const [times] = await runner.time(jobs, { warmup: Math.ceil(runs / 10), runs });
    return { medianMs: median(times ?? new Float64Array()), runs };
  });
}
