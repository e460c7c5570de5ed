import { Command, CommanderError } from 'commander';
import { KerfError } from '../ir/errors.ts';
import { addCommands } from './commands.ts';
import { createSession } from './session.ts';

const exits = { done: 0, failed: 1, badRequest: 2 } as const;

/** Reasons that mean the request or the input is bad, as opposed to work that failed. */
const badInput = new Set([
  'not-a-model',
  'truncated',
  'malformed',
  'missing-weights',
  'unsafe-path',
  'unsupported',
  'bad-option',
  'bad-dataset',
  'not-found',
  'io',
]);

const stops = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
/** How long work may take to notice that it is cancelled. */
const patienceMs = 1000;

/**
 * Aborts when the process is told to end, with the exit code as the reason: runners are killed, temporary files go.
 * A second signal of the kind ends the process at once.
 */
function abortOnSignals(): AbortSignal {
  const abort = new AbortController();
  for (const [signal, code] of Object.entries(stops)) process.once(signal, () => abort.abort(code));
  return abort.signal;
}

/** Rejects a while after the abort, for work that does not notice it. */
function impatience(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const give = () => reject(new KerfError('cancelled', 'cancelled'));
    signal.addEventListener('abort', () => setTimeout(give, patienceMs));
  });
}

async function main(signal: AbortSignal): Promise<number> {
  const session = createSession(signal);
  const program = new Command('kerf')
    .description('See what a model costs on a device, cut what hurts, measure the result.')
    .version(KERF_VERSION)
    .exitOverride()
    .showHelpAfterError(false)
    .configureOutput({
      outputError: (text, write) =>
        write(
          `kerf: ${text
            .trim()
            .replace(/^error: /, '')
            .replaceAll('\n', ' ')}\n`,
        ),
    });
  addCommands(program, session);
  try {
    await Promise.race([program.parseAsync(process.argv), impatience(signal)]);
    return session.broken ? exits.failed : exits.done;
  } catch (error) {
    return report(error);
  } finally {
    session.engine.dispose();
  }
}

/** One clear line on stderr naming the file, the place and the reason. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exits.done : exits.badRequest;
  if (KerfError.is(error)) {
    process.stderr.write(`kerf: ${error.line}\n`);
    return badInput.has(error.reason) ? exits.badRequest : exits.failed;
  }
  // A fault of Kerf itself: one line as well, but with the place in the code that a report of it needs.
  const [message, place] =
    error instanceof Error ? (error.stack ?? error.message).split('\n') : [String(error)];
  process.stderr.write(
    `kerf: internal error: ${message}${place === undefined ? '' : ` (${place.trim()})`}\n`,
  );
  return exits.failed;
}

// `kerf print model | head` is no fault: the reader has had enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? exits.done : exits.failed);
});
const signal = abortOnSignals();
void main(signal).then((code) => {
  // What was cancelled may still hold timers and streams.
  if (signal.aborted) process.exit(Number(signal.reason));
  process.exitCode = code;
});
