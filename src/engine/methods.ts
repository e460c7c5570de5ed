import type { JobContext } from './context.ts';
import { auditMethods } from './methods/audit.ts';
import { catalogueMethods } from './methods/catalogue.ts';
import { fileMethods } from './methods/files.ts';
import { lookMethods } from './methods/look.ts';
import { measureMethods } from './methods/measure.ts';
import { mixedMethods } from './methods/mixed.ts';
import { modelMethods } from './methods/models.ts';
import { searchMethods } from './methods/search.ts';
import { speedMethods } from './methods/speed.ts';
import { weightMethods } from './methods/weights.ts';
import type { Method, Params, Result } from './protocol.ts';
import { ModelStore } from './store.ts';

/** The server side of `EngineApi`: the same calls, with a job to report to. */
export type EngineMethods = {
  readonly [M in Method]: (params: Params<M>, job: JobContext) => Result<M> | Promise<Result<M>>;
};

/** Everything the engine can do, over one store of model values. */
export function createMethods(): { readonly methods: EngineMethods; dispose(): void } {
  const store = new ModelStore();
  const methods: EngineMethods = {
    ...modelMethods(store),
    ...lookMethods(store),
    ...catalogueMethods(),
    ...measureMethods(store),
    ...auditMethods(store),
    ...speedMethods(store),
    ...searchMethods(store),
    ...mixedMethods(store),
    ...fileMethods(store),
    ...weightMethods(store),
  };
  return { methods, dispose: () => store.dispose() };
}
