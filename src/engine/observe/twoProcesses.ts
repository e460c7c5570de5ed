import { availableParallelism } from 'node:os';
import { analyse } from '../../analysis/analyse.ts';
import type { Model } from '../../ir/model.ts';
import { readAhead } from './readAhead.ts';
import type { RunSamples } from './runs.ts';
import type { Job } from './sampleRuns.ts';
import { runSamples } from './sampleRuns.ts';

/** Multiply-accumulates that take one thread about half a second, several times what a process and a session cost. */
const leastWork = 2e10;
/** The second process holds the weights once more. */
const mostWeightBytes = 2 ** 28;
/** Runs of the first half stay as long as they are without a second. */
const runLength = 16;

/** Where samples are divided into two halves of whole runs. */
export function halfway(first: number, end: number): number {
  return Math.min(end, first + runLength * Math.ceil((end - first) / 2 / runLength));
}

/** Whether so many samples are worth a second process. */
export function isWorthTwo(
  model: Model,
  samples: number,
  bind: Readonly<Record<string, number>> | undefined,
): boolean {
  if (availableParallelism() < 2) return false;
  const { macs, weightBytes } = analyse(model, bind === undefined ? {} : { bind }).totals;
  return macs !== undefined && macs * samples >= leastWork && weightBytes <= mostWeightBytes;
}

/**
 * Two jobs at once, the second in a process of its own, for visits whose result hangs on no order. Each has one thread: two
 * threads of one process wait busily for each other wherever an operator keeps only one of them at work.
 */
export function runsInTwo([one, other]: readonly [Job, Job]): RunSamples {
  return async (...wanted) => {
    const ahead = readAhead(other.data, [other.first ?? 0, other.samples]);
    const halves = await Promise.allSettled([
      runSamples({ ...one, threads: 1 }, ...wanted),
      runSamples({ ...other, data: ahead.data, threads: 1 }, ...wanted),
    ]);
    ahead.stop();
    for (const half of halves) if (half.status === 'rejected') throw half.reason;
  };
}
