import os from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { Counted, CountTask } from '../../analysis/weightCount.ts';
import type { Printed } from '../../analysis/weightSummary.ts';
import type { CountingLane } from '../../analysis/weightSurvey.ts';
import { counted } from '../../analysis/weightSurvey.ts';
import { FileBytes } from '../../formats/io/openFile.ts';
import type { WireError } from '../protocol.ts';
import { fromWire } from '../wireError.ts';

/** A run of a file for a counting thread, which reads it itself. */
export interface CountRequest {
  readonly file: string;
  /** Tells the file from one that replaced it. */
  readonly stamp: string;
  readonly start: number;
  readonly length: number;
  readonly task: Omit<CountTask, 'data'>;
}

export type CountAnswer = { readonly made: Counted | Printed } | { readonly error: WireError };

interface Thread {
  readonly worker: Worker;
  /** Those who wait for answers, in the order of their requests; `undefined` tells that there will be none. */
  readonly waiting: ((answer: CountAnswer | undefined) => void)[];
  ended: boolean;
}

/** Reading and counting are bound by memory soon. */
const mostLanes = 4;
/** Sending less than this takes as long as counting it. */
const worthSending = 1 << 18;
const idleMs = 10_000;

let modulePath: string | undefined;
let threads: Thread[] = [];
let users = 0;
let idle: NodeJS.Timeout | undefined;

/** Where the bundled entry of the threads lies; beside the engine's own bundle unless told otherwise. */
export function configureCounting(settings: { readonly modulePath: string }): void {
  modulePath = settings.modulePath;
}

/**
 * Calls `use` with one lane in this thread and one for each further processor (at most four in all), whose threads start when
 * they are first needed and stay for a while. A thread that cannot run leaves its work to this one.
 */
export async function withLanes<T>(use: (lanes: readonly CountingLane[]) => Promise<T>): Promise<T> {
  clearTimeout(idle);
  users += 1;
  const others = Math.min(mostLanes, os.availableParallelism()) - 1;
  const lanes = Array.from(
    { length: others },
    (_, index): CountingLane =>
      (task) =>
        inThread(index, task),
  );
  try {
    return await use([countAside, ...lanes]);
  } finally {
    users -= 1;
    if (users === 0) idle = setTimeout(endThreads, idleMs).unref();
  }
}

function endThreads(): void {
  for (const { worker } of threads) void worker.terminate();
  threads = [];
}

/** Counts in this thread, and lets the others' answers in afterwards. */
const countAside: CountingLane = async (task) => {
  const made = counted(task);
  await setImmediate();
  return made;
};

async function inThread(index: number, { data, ...task }: CountTask): Promise<Counted | Printed> {
  if (!(data instanceof FileBytes) || task.to - task.from < worthSending)
    return countAside({ ...task, data });
  const thread = threadAt(index);
  const answer = await new Promise<CountAnswer | undefined>((settle) => {
    if (thread.ended) {
      settle(undefined);
      return;
    }
    thread.waiting.push(settle);
    thread.worker.ref();
    const { path: file, stamp, start, length } = data;
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    thread.worker.postMessage({ file, stamp, start, length, task } satisfies CountRequest);
  });
  if (answer === undefined) return countAside({ ...task, data });
  if ('error' in answer) throw fromWire(answer.error);
  return answer.made;
}

function threadAt(index: number): Thread {
  const known = threads[index];
  if (known !== undefined) return known;
  const worker = new Worker(modulePath ?? join(__dirname, 'counter.cjs'), { execArgv: [] });
  const thread: Thread = { worker, waiting: [], ended: false };
  threads[index] = thread;
  const end = () => {
    thread.ended = true;
    for (const settle of thread.waiting.splice(0)) settle(undefined);
  };
  worker.on('message', (answer: CountAnswer) => {
    thread.waiting.shift()?.(answer);
    // An idle thread does not keep the process alive.
    if (thread.waiting.length === 0) worker.unref();
  });
  worker.on('error', end);
  worker.on('exit', end);
  return thread;
}
