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

async function main(): Promise<number> {
  const session = createSession();
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
    await program.parseAsync(process.argv);
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
  process.stderr.write(`kerf: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return exits.failed;
}

void main().then((code) => {
  process.exitCode = code;
});
