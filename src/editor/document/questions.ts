import type { CallOptions, Handle, Method, Params, Result } from '../../engine/protocol.ts';
import type { InspectReport } from '../../engine/answers.ts';
import { KerfError } from '../../ir/errors.ts';
import type { EngineService } from '../engineService.ts';

/** Methods about one model. */
export type HandleMethod = { [M in Method]: Params<M> extends { handle: Handle } ? M : never }[Method];

/** What may be asked about the current state of a document. */
export interface Questions {
  /** Repeated once when the engine died of something else meanwhile. */
  ask<M extends HandleMethod>(
    method: M,
    params: Omit<Params<M>, 'handle'>,
    options?: CallOptions,
  ): Promise<Result<M>>;
  /** The inspection; kept, because many views look at it. */
  inspection(): Promise<InspectReport>;
}

export function createQuestions(
  engine: EngineService,
  current: { handle(): Promise<Handle>; key(): string },
): Questions {
  let inspected: { readonly key: string; readonly report: Promise<InspectReport> } | undefined;
  const ask: Questions['ask'] = async (method, params, options) => {
    const { generation } = engine;
    const once = async () =>
      engine.call(method, { ...params, handle: await current.handle() } as Params<typeof method>, options);
    try {
      return await once();
    } catch (error) {
      const crashed = engine.generation !== generation;
      if (!crashed || KerfError.is(error, 'cancelled') || options?.signal?.aborted === true) throw error;
      return await once();
    }
  };
  return {
    ask,
    inspection() {
      const key = current.key();
      if (inspected?.key === key) return inspected.report;
      const report = ask('inspect', {});
      inspected = { key, report };
      report.catch(() => {
        inspected = undefined;
      });
      return report;
    },
  };
}
