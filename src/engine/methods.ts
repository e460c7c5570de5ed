import type { EngineMethods } from './methods/method.ts';
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
import { ModelStore } from './store.ts';

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
