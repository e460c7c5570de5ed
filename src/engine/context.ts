import { KerfError } from '../ir/errors.ts';

/** What a running call may do besides its work: report, and notice that nobody waits any more. */
export interface JobContext {
  readonly signal: AbortSignal;
  /** Reports progress (0..1) in words. */
  report(fraction: number, message: string): void;
  /** Reports progress, lets other calls run, and throws `KerfError('cancelled')` when cancelled. */
  step(fraction: number, message: string): Promise<void>;
}

/** A context whose reports go to `onProgress`. */
export function jobContext(
  signal: AbortSignal,
  onProgress: (fraction: number, message: string) => void,
): JobContext {
  return {
    signal,
    report: onProgress,
    async step(fraction, message) {
      onProgress(fraction, message);
      await new Promise<void>((resolve) => {
        setImmediate(resolve);
      });
      if (signal.aborted) throw new KerfError('cancelled', 'cancelled');
    },
  };
}

/** The part `[from, to]` of a longer job. */
export function partOf(job: JobContext, from: number, to: number, prefix = ''): JobContext {
  const at = (fraction: number) => from + (to - from) * fraction;
  return {
    signal: job.signal,
    report: (fraction, message) => job.report(at(fraction), prefix + message),
    step: (fraction, message) => job.step(at(fraction), prefix + message),
  };
}

/** The options by which the runtime follows a job. */
export function forwardProgress(job: JobContext): {
  readonly signal: AbortSignal;
  readonly onProgress: (fraction: number, message: string) => void;
} {
  return { signal: job.signal, onProgress: (fraction, message) => job.report(fraction, message) };
}

/** The same job, cancelled with it, whose parts report nothing of their own. */
export function quietly(job: JobContext): JobContext {
  return jobContext(job.signal, () => undefined);
}
