/** Edits wait for one another; going elsewhere in history ends the one under way. */
interface ApplyQueue {
  /** Runs `work` when those before it are done. Its signal fires on `abort` and with the caller's own. */
  run<T>(work: (signal: AbortSignal) => Promise<T>, caller?: AbortSignal): Promise<T>;
  /** Ends the work under way, not what waits behind it. */
  abort(): void;
}

export function applyQueue(): ApplyQueue {
  let last: Promise<unknown> = Promise.resolve();
  let running: AbortController | undefined;
  return {
    run(work, caller) {
      const result = last.then(async () => {
        const own = new AbortController();
        running = own;
        try {
          return await work(caller === undefined ? own.signal : AbortSignal.any([own.signal, caller]));
        } finally {
          running = undefined;
        }
      });
      last = result.catch(() => undefined);
      return result;
    },
    abort: () => running?.abort(),
  };
}
