import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { KerfError } from '../ir/errors.ts';
import type { CallOptions, Engine, FromEngine, Method, Params, Result, ToEngine } from './protocol.ts';
import { fromWire } from './wireError.ts';

interface ForkOptions {
  /** The bundled engine, `dist/engine.cjs`. */
  readonly modulePath: string;
  /** Called when the process dies unasked; the next call starts a new one, which knows none of the old handles. */
  readonly onCrash?: (detail: string) => void;
}

interface Pending {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: KerfError) => void;
  readonly onProgress: CallOptions['onProgress'];
}

const stderrKept = 4000;

/** The engine in a child process of its own, so that nothing it does can block or crash the caller. */
export function forkEngine(options: ForkOptions): Engine {
  const pending = new Map<number, Pending>();
  let child: ChildProcess | undefined;
  let disposed = false;
  let nextId = 1;

  const start = (): ChildProcess => {
    const started = fork(options.modulePath, [], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      execArgv: [],
    });
    let stderr = '';
    started.stderr?.on('data', (data: Buffer) => {
      stderr = (stderr + data.toString()).slice(-stderrKept);
    });
    started.on('message', (message: FromEngine) => receive(message, pending));
    started.on('exit', (code, signal) => {
      if (child === started) child = undefined;
      const detail = `the engine process ended (${signal ?? `exit code ${code}`})\n${stderr}`.trim();
      for (const call of pending.values()) call.reject(new KerfError('runtime-crashed', detail));
      pending.clear();
      if (!disposed) options.onCrash?.(detail);
    });
    return started;
  };

  return {
    call<M extends Method>(method: M, params: Params<M>, { onProgress, signal }: CallOptions = {}) {
      if (disposed) return Promise.reject(new KerfError('cancelled', 'the engine was shut down'));
      if (signal?.aborted) return Promise.reject(new KerfError('cancelled', 'cancelled'));
      child ??= start();
      const process = child;
      const id = nextId++;
      const cancel = () => post(process, { kind: 'cancel', id });
      signal?.addEventListener('abort', cancel);
      return new Promise<Result<M>>((resolve, reject) => {
        pending.set(id, { resolve: resolve as (result: unknown) => void, reject, onProgress });
        post(process, { kind: 'call', id, method, params });
      }).finally(() => signal?.removeEventListener('abort', cancel));
    },
    dispose() {
      disposed = true;
      child?.disconnect();
    },
  };
}

function post(child: ChildProcess, message: ToEngine): void {
  if (child.connected) child.send(message);
}

function receive(message: FromEngine, pending: Map<number, Pending>): void {
  const call = pending.get(message.id);
  if (call === undefined) return;
  if (message.kind === 'progress') {
    call.onProgress?.(message.fraction, message.message);
    return;
  }
  pending.delete(message.id);
  if (message.kind === 'result') call.resolve(message.result);
  else call.reject(fromWire(message.error));
}
