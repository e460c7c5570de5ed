import type { ErrorReason } from '../ir/errors.ts';
import { KerfError } from '../ir/errors.ts';
import type { LayerTime, ReplayStage, SessionInfo, SessionOptions, Tensors } from './runner.ts';

/** What the runner process does; requests, replies, client and server derive from this interface. */
export interface RunnerApi {
  warm(p: Record<string, never>): null;
  open(p: { path: string; options: SessionOptions }): { session: number; info: SessionInfo };
  run(p: { session: number; feeds: Tensors }): Tensors;
  /** `folder` is for files that the runtime writes on the way. */
  profile(p: { session: number; feeds: Tensors; runs: number; folder: string }): readonly LayerTime[];
  time(p: {
    jobs: readonly { readonly session: number; readonly feeds: Tensors }[];
    warmup: number;
    runs: number;
  }): readonly Float64Array[];
  /** See `Runner.replay`; stages name sessions by number. */
  replay(p: {
    stages: readonly (Omit<ReplayStage, 'session'> & { readonly session: number })[];
    tags: readonly string[];
  }): readonly (Tensors | null)[];
  /** See `Runner.keep`. */
  keep(p: { tag: string; tensors: Tensors }): null;
  forget(p: { names: readonly string[] | null }): null;
  peakRss(p: Record<string, never>): number;
  close(p: { session: number }): null;
}

export type RunnerMethod = keyof RunnerApi;
export type RunnerParams<M extends RunnerMethod> = Parameters<RunnerApi[M]>[0];
export type RunnerResult<M extends RunnerMethod> = ReturnType<RunnerApi[M]>;

export interface ToRunner {
  readonly id: number;
  readonly method: RunnerMethod;
  readonly params: unknown;
}

interface RunnerError {
  readonly reason: ErrorReason;
  readonly message: string;
  readonly file?: string;
  readonly place?: string;
}

export type FromRunner =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: RunnerError };

/** An error as it crosses the process boundary. What is not a `KerfError` is a fault of ours: reason `internal`. */
export function packError(error: unknown): RunnerError {
  if (!KerfError.is(error)) return { reason: 'internal', message: messageOf(error) };
  return {
    reason: error.reason,
    message: error.message,
    ...(error.file !== undefined && { file: error.file }),
    ...(error.place !== undefined && { place: error.place }),
  };
}

export function unpackError(error: RunnerError): KerfError {
  return new KerfError(error.reason, error.message, error);
}

/** The text of anything thrown; WebAssembly code throws numbers and strings too. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
