import { KerfError } from '../ir/errors.ts';
import { jobContext } from './context.ts';
import { keepProbesIn, stateFolder } from './hostDevice.ts';
import { createMethods } from './methods.ts';
import type { FromEngine, Method, ToEngine } from './protocol.ts';
import { takeTurns } from './turns.ts';
import { wireError } from './wireError.ts';

/** Entry of the engine's child process: calls come in by IPC, results, errors and progress go out. */
keepProbesIn(stateFolder());
const { methods, dispose } = createMethods();
const running = new Map<number, AbortController>();

const turns = takeTurns(({ id, method, params }) => void answer(id, method, params));

function send(message: FromEngine): void {
  process.send?.(message, undefined, undefined, turns.answering());
}

async function answer(id: number, method: Method, params: unknown): Promise<void> {
  const controller = new AbortController();
  running.set(id, controller);
  const job = jobContext(controller.signal, (fraction, message) =>
    send({ kind: 'progress', id, fraction, message }),
  );
  try {
    const run = methods[method] as (p: unknown, job: unknown) => unknown;
    if (run === undefined) throw new KerfError('not-found', `the engine has no method '${String(method)}'`);
    send({ kind: 'result', id, result: await run(params, job) });
  } catch (error) {
    const cancelled = controller.signal.aborted ? new KerfError('cancelled', 'cancelled') : error;
    send({ kind: 'error', id, error: wireError(cancelled) });
  } finally {
    running.delete(id);
  }
}

process.on('message', (message: ToEngine) => {
  if (message.kind === 'call') turns.add(message);
  else if (turns.drop(message.id))
    send({ kind: 'error', id: message.id, error: wireError(new KerfError('cancelled', 'cancelled')) });
  else running.get(message.id)?.abort();
});

process.on('disconnect', () => {
  dispose();
  process.exit(0);
});
