import { localEngine } from '../engine/local.ts';
import type { CallOptions, Engine, Handle } from '../engine/protocol.ts';

/** What the commands of one invocation share. */
export interface Session {
  readonly engine: Engine;
  /** True once a budget was broken or a check failed: the exit code is 1. */
  broken: boolean;
  /** Progress goes to stderr, as one line that is rewritten on a terminal. */
  readonly progress: CallOptions;
  open(path: string): Promise<Handle>;
}

export function createSession(): Session {
  const engine = localEngine();
  const progress: CallOptions = { onProgress: showProgress };
  return {
    engine,
    broken: false,
    progress,
    async open(path) {
      const { handle } = await engine.call('open', { path }, progress);
      return handle;
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
