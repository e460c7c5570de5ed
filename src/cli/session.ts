import { keepProbesIn, stateFolder } from '../engine/hostDevice.ts';
import { localEngine } from '../engine/local.ts';
import type { CallOptions, Engine, Handle, Opened } from '../engine/protocol.ts';
import { KerfError } from '../ir/errors.ts';

/** What the commands of one invocation share. */
export interface Session {
  readonly engine: Engine;
  /** True once a budget was broken or a check failed: the exit code is 1. */
  broken: boolean;
  /** Progress goes to stderr, as one line that is rewritten on a terminal. */
  readonly progress: CallOptions;
  open(path: string): Promise<Handle>;
  /** The model with what was damaged. */
  opened(path: string): Promise<Opened>;
  /** Opens a model that is to be changed. Throws `KerfError('malformed')` when parts of it are lost. */
  openWhole(path: string): Promise<Opened>;
}

/** What the commands share; `signal` cancels whatever is under way. */
export function createSession(signal: AbortSignal): Session {
  keepProbesIn(stateFolder());
  const engine = localEngine();
  const progress: CallOptions = { onProgress: showProgress, signal };
  const opened = (file: string) => engine.call('open', { path: file }, progress);
  return {
    engine,
    broken: false,
    progress,
    opened,
    open: async (file) => (await opened(file)).handle,
    async openWhole(file) {
      const model = await opened(file);
      // Weights in a file that is not there are not lost: passes that need them say so.
      const [first, ...more] = model.damage.filter(
        (each) => each.severity === 'error' && each.place !== 'external data',
      );
      if (first === undefined) return model;
      const others = more.length === 0 ? '' : ` (and ${more.length} more)`;
      throw new KerfError('malformed', `${first.message}${others}: what is left is not changed or written`, {
        file,
        place: first.place,
      });
    },
  };
}

let lastShown = '';

/** On a terminal one line is rewritten; in a log, a line per kind of work and tenth of the way. */
function showProgress(fraction: number, message: string): void {
  if (process.stderr.isTTY) {
    const percent = `${Math.round(fraction * 100)}`.padStart(3);
    process.stderr.write(`\r\u001b[K${percent} % ${message}${fraction >= 1 ? '\r\u001b[K' : ''}`);
    return;
  }
  const kind = `${message.replace(/[0-9]+/g, '#')} ${message.includes(' of ') ? Math.floor(fraction * 10) : ''}`;
  if (kind !== lastShown && message !== '') process.stderr.write(`${message}\n`);
  lastShown = kind;
}
