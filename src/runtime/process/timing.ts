import { setImmediate } from 'node:timers/promises';
import type { BackendSession, PreparedRun } from './backend.ts';
import type { Tensors } from '../runner.ts';

const yieldEveryMs = 100;

/**
 * Milliseconds of each inference of each job, warm-up left out. Jobs take turns run by run, and the one that goes
 * first changes every round, so that neither profits from a cache that the other warmed.
 */
export async function timeInTurns(
  jobs: readonly { readonly session: BackendSession; readonly feeds: Tensors }[],
  options: { readonly warmup: number; readonly runs: number; readonly stopped: () => boolean },
): Promise<readonly Float64Array[]> {
  const prepared: PreparedRun[] = [];
  for (const { session, feeds } of jobs) prepared.push(await session.prepare(feeds));
  const times = jobs.map(() => new Float64Array(options.runs));
  try {
    let lastYield = performance.now();
    for (let round = -options.warmup; round < options.runs && !options.stopped(); round += 1) {
      // Without a turn of the event loop the process would not notice that its parent has gone.
      if (performance.now() - lastYield > yieldEveryMs) {
        await setImmediate();
        lastYield = performance.now();
      }
      for (let turn = 0; turn < prepared.length; turn += 1) {
        const index = (turn + Math.abs(round)) % prepared.length;
        const start = performance.now();
        await prepared[index]?.run();
        const elapsed = performance.now() - start;
        const row = times[index];
        if (round >= 0 && row !== undefined) row[round] = elapsed;
      }
    }
  } finally {
    for (const each of prepared) each.dispose();
  }
  return times;
}
