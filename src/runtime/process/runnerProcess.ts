// Entry of the runner process: holds inference sessions, does one request at a time, ends with its parent.
import { readFileSync } from 'node:fs';
import { KerfError } from '../../ir/errors.ts';
import type { BackendSession } from './backend.ts';
import { loadOrt } from '../onnx/onnxruntime.ts';
import { openModel } from './open.ts';
import { createReplay } from './replay.ts';
import { timeInTurns } from './timing.ts';
import type { FromRunner, RunnerApi, RunnerMethod, ToRunner } from '../wire.ts';
import { packError } from '../wire.ts';

const sessions = new Map<number, BackendSession>();
const replay = createReplay(sessionOf);
let lastSession = 0;

function sessionOf(id: number): BackendSession {
  const session = sessions.get(id);
  if (session === undefined) throw new KerfError('internal', `session ${id} is closed`);
  return session;
}

type Served = {
  [M in RunnerMethod]: (
    params: Parameters<RunnerApi[M]>[0],
  ) => Promise<ReturnType<RunnerApi[M]>> | ReturnType<RunnerApi[M]>;
};

const served: Served = {
  warm() {
    loadOrt();
    return null;
  },
  async open({ path, options }) {
    const session = await openModel(path, options);
    lastSession += 1;
    sessions.set(lastSession, session);
    return { session: lastSession, info: session.info };
  },
  run: ({ session, feeds }) => sessionOf(session).run(feeds),
  profile: ({ session, feeds, runs, folder }) => sessionOf(session).profile(feeds, runs, folder),
  time: ({ jobs, warmup, runs }) =>
    timeInTurns(
      jobs.map((job) => ({ session: sessionOf(job.session), feeds: job.feeds })),
      { warmup, runs, stopped: () => !process.connected },
    ),
  replay: ({ stages, tags }) => replay.run(stages, tags),
  keep({ tag, tensors }) {
    replay.keep(tag, tensors);
    return null;
  },
  forget({ names }) {
    replay.forget(names);
    return null;
  },
  peakRss: () => peakRss(),
  async close({ session }) {
    await sessionOf(session).close();
    sessions.delete(session);
    return null;
  },
};

/** Peak resident set in bytes. Linux keeps the parent's peak in `ru_maxrss` across fork, so the kernel's own line is read there. */
function peakRss(): number {
  if (process.platform === 'linux') {
    const line = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
    if (line?.[1] !== undefined) return Number(line[1]) * 1024;
  }
  return process.resourceUsage().maxRSS * 1024;
}

async function serve({ id, method, params }: ToRunner): Promise<void> {
  let reply: FromRunner;
  try {
    const run = served[method] as (params: unknown) => unknown;
    reply = { id, result: await run(params) };
  } catch (error) {
    reply = { id, error: packError(error) };
  }
  if (process.connected) process.send?.(reply);
}

let last: Promise<void> = Promise.resolve();
process.on('message', (message) => {
  last = last.then(() => serve(message as ToRunner));
});
process.on('disconnect', () => process.exit());
