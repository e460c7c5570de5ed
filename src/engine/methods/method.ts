import type { JobContext } from '../context.ts';
import type { Method, Params, Result } from '../protocol.ts';

/** The server side of `EngineApi`: the same calls, with a job to report to. */
export type EngineMethods = {
  readonly [M in Method]: (params: Params<M>, job: JobContext) => Result<M> | Promise<Result<M>>;
};
