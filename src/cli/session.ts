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

let lastMessage = '';

function showProgress(fraction: number, message: string): void {
  const percent = `${Math.round(fraction * 100)}`.padStart(3);
  if (process.stderr.isTTY) {
    process.stderr.write(`\r\u001b[K${percent} % ${message}${fraction >= 1 ? '\r\u001b[K' : ''}`);
  } else if (message !== lastMessage) process.stderr.write(`${message}\n`);
  lastMessage = message;
}
