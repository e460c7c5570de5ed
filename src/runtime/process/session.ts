import { KerfError } from '../../ir/errors.ts';
import type { Runner } from '../runner.ts';

/** How callers follow and stop a long job. */
export interface JobOptions {
  readonly onProgress?: (fraction: number, message: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * Lets `work` use a runner process of its own, which ends with it. An abort kills the process at once, which is the
 * only way to stop an inference; `work` then rejects with `KerfError('cancelled')`.
 */
export async function withRunner<T>(
  start: () => Runner,
  signal: AbortSignal | undefined,
  work: (runner: Runner) => Promise<T>,
): Promise<T> {
  const check = () => {
    if (signal?.aborted === true) throw new KerfError('cancelled', 'the inference was cancelled');
  };
  check();
  const runner = start();
  const kill = () => runner.kill();
  signal?.addEventListener('abort', kill);
  try {
    return await work({
      ...runner,
      // An abort between two inferences finds no process to kill, and opening would start another one.
      async open(modelPath, options) {
        check();
        return runner.open(modelPath, options);
      },
    });
  } finally {
    signal?.removeEventListener('abort', kill);
    runner.kill();
  }
}
