import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KerfError } from '../../ir/errors.ts';
import type { Runner, Session, SessionOptions, Tensors } from '../runner.ts';
import type { FromRunner, RunnerMethod, RunnerParams, RunnerResult, ToRunner } from '../wire.ts';
import { lastLines } from '../text.ts';
import { unpackError } from '../wire.ts';

interface RunnerSettings {
  /** The bundled entry of the runner process, with the folders `litert` and `tflite` beside it. */
  readonly modulePath: string;
}

let settings: RunnerSettings | undefined;

/** Where the runner process is found; by default it lies beside the bundle that runs this code. */
export function configureRunner(changed: RunnerSettings): void {
  settings = changed;
}

interface Call {
  readonly what: string;
  readonly file: string;
  resolve(result: unknown): void;
  reject(error: KerfError): void;
}

/** One life of the runner process: after a crash or a kill, a new one takes its place. */
interface Life {
  readonly child: ChildProcess;
  readonly calls: Map<number, Call>;
  stderr: string;
  ended: KerfError | undefined;
}

const stderrKept = 4000;

/** Forks a runner process when the first model is opened; while nothing runs it does not keep this process alive. */
export function startRunner(): Runner {
  let life: Life | undefined;
  const alive = () => {
    if (life === undefined || life.ended !== undefined) life = startLife();
    return life;
  };
  return {
    async warm() {
      await call(alive(), 'warm', {}, 'loading ONNX Runtime', '');
    },
    async open(modelPath, options) {
      return openSession(alive(), modelPath, options);
    },
    async time(jobs, { warmup, runs }) {
      const [first] = jobs;
      if (first === undefined) return [];
      const own = jobs.map(({ session, feeds }) => ({ ...membership(session), feeds }));
      const home = membership(first.session).life;
      if (own.some((job) => job.life !== home))
        throw new KerfError('internal', 'timed sessions must live in one runner process');
      const file = own.map((job) => job.file).join(' and ');
      const plain = own.map(({ id, feeds }) => ({ session: id, feeds }));
      return call(home, 'time', { jobs: plain, warmup, runs }, 'timing', file);
    },
    async keep(tag, tensors) {
      await call(alive(), 'keep', { tag, tensors }, 'keeping tensors', '');
    },
    async forget(names) {
      await call(alive(), 'forget', { names: names ?? null }, 'forgetting tensors', '');
    },
    async replay(stages, tags) {
      const own = stages.map(({ session, ...rest }) => ({ ...rest, ...membership(session) }));
      const home = own[0]?.life;
      if (home === undefined || own.some((stage) => stage.life !== home))
        throw new KerfError('internal', 'replayed sessions must live in one runner process');
      const plain = own.map(({ id, life: _life, file: _file, ...rest }) => ({ ...rest, session: id }));
      return call(home, 'replay', { stages: plain, tags }, 'running', own[0]?.file ?? '');
    },
    async peakRss() {
      return call(alive(), 'peakRss', {}, 'reading its memory use', '');
    },
    kill() {
      if (life === undefined) return;
      end(life, new KerfError('cancelled', 'the inference was cancelled'));
      life.child.kill('SIGKILL');
    },
  };
}

const members = new WeakMap<Session, { readonly life: Life; readonly id: number; readonly file: string }>();

function membership(session: Session) {
  const found = members.get(session);
  if (found === undefined) throw new KerfError('internal', 'a session of another kind of runner');
  return found;
}

async function openSession(life: Life, file: string, options: SessionOptions): Promise<Session> {
  const { session: id, info } = await call(life, 'open', { path: file, options }, 'loading', file);
  const session: Session = {
    info,
    run: (feeds: Tensors) => call(life, 'run', { session: id, feeds }, 'running', file),
    profile: (feeds, runs) =>
      withFolder((folder) => call(life, 'profile', { session: id, feeds, runs, folder }, 'profiling', file)),
    close: async () => {
      if (life.ended === undefined) await call(life, 'close', { session: id }, 'closing', file);
    },
  };
  members.set(session, { life, id, file });
  return session;
}

/** A temporary folder for what the runtime writes; kept on this side, where a kill of the runner does not matter. */
async function withFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'kerf-profile-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

let lastId = 0;

function call<M extends RunnerMethod>(
  life: Life,
  method: M,
  params: RunnerParams<M>,
  what: string,
  file: string,
): Promise<RunnerResult<M>> {
  return new Promise((resolve, reject) => {
    if (life.ended !== undefined) {
      reject(life.ended);
      return;
    }
    lastId += 1;
    const message: ToRunner = { id: lastId, method, params };
    life.calls.set(lastId, { what, file, resolve: resolve as (result: unknown) => void, reject });
    holdOpen(life, true);
    life.child.send(message, (error) => {
      if (error !== null) crash(life, error.message);
    });
  });
}

function startLife(): Life {
  const modulePath = settings?.modulePath ?? join(__dirname, 'runner.cjs');
  const child = fork(modulePath, [], {
    serialization: 'advanced',
    execArgv: [],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  const life: Life = { child, calls: new Map(), stderr: '', ended: undefined };
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    life.stderr = (life.stderr + text).slice(-stderrKept);
  });
  child.on('message', (message) => settle(life, message as FromRunner));
  child.on('error', (error) => crash(life, error.message));
  // `close` comes after the last of stderr was read, `exit` may come before it.
  child.on('close', (code, signal) =>
    crash(life, signal === null ? `exit code ${code}` : `signal ${signal}`),
  );
  holdOpen(life, false);
  return life;
}

function settle(life: Life, message: FromRunner): void {
  const call = life.calls.get(message.id);
  if (call === undefined) return;
  life.calls.delete(message.id);
  if (life.calls.size === 0) holdOpen(life, false);
  if ('error' in message) call.reject(unpackError(message.error));
  else call.resolve(message.result);
}

function crash(life: Life, how: string): void {
  // Requests are served in order, so the oldest one is what was running.
  const [running] = life.calls.values();
  const during = running === undefined ? '' : ` while ${running.what}`;
  const tail = lastLines(life.stderr, 5);
  const message = `the inference process ended${during} (${how})${tail === '' ? '' : `: ${tail}`}`;
  end(life, new KerfError('runtime-crashed', message, running === undefined ? {} : { file: running.file }));
}

function end(life: Life, error: KerfError): void {
  if (life.ended !== undefined) return;
  life.ended = error;
  for (const call of life.calls.values()) call.reject(error);
  life.calls.clear();
  holdOpen(life, false);
}

function holdOpen({ child }: Life, hold: boolean): void {
  if (hold) {
    child.ref();
    child.channel?.ref();
  } else {
    child.unref();
    child.channel?.unref();
    (child.stderr as { unref?(): void } | null)?.unref?.();
  }
}
