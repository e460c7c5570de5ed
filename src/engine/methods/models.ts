import { analyse } from '../../analysis/analyse.ts';
import { writeModelFile } from '../../formats/io/models.ts';
import type { EngineMethods } from './method.ts';
import type { Headline } from '../answers.ts';
import { applyStep, goTo } from '../steps.ts';
import type { Held, ModelStore } from '../store.ts';

/** File size, parameters and MACs, the numbers shown before and after every change. */
export function headline(store: ModelStore, held: Held): Headline {
  const { totals } = analyse(held.model);
  return { fileBytes: store.fileBytes(held), params: totals.params, macs: totals.macs ?? null };
}

export function modelMethods(store: ModelStore): Pick<EngineMethods, 'open' | 'release' | 'apply' | 'save'> {
  return {
    async open({ path, steps = [] }, job) {
      const held = await goTo(store, path, steps, job);
      store.hold(held.handle);
      return { handle: held.handle, format: held.model.dialect, damage: held.damage };
    },

    release({ handle }) {
      store.release(handle);
      return null;
    },

    async apply({ handle, step }, job) {
      const started = performance.now();
      const before = store.get(handle);
      const { held, changed, notes } = await applyStep(store, before, step, job);
      store.hold(held.handle);
      const seconds = (performance.now() - started) / 1000;
      const report = {
        before: headline(store, before),
        after: headline(store, held),
        changed,
        notes,
        seconds,
      };
      return { handle: held.handle, report };
    },

    save({ handle, path }) {
      return writeModelFile(store.get(handle).model, path);
    },
  };
}
