import { startRunner } from '../../runtime/process/launch.ts';
import { compareSpeed } from '../../runtime/measure/speed.ts';
import { checkBindings } from '../bindings.ts';
import { forwardProgress } from '../context.ts';
import type { EngineMethods } from './method.ts';
import type { ModelStore } from '../store.ts';

/** Before against after in alternating runs, quick enough to follow every pass. */
export function speedMethods(store: ModelStore): Pick<EngineMethods, 'speed'> {
  return {
    async speed({ before, after, options = {} }, job) {
      const [first, second] = [store.get(before), store.get(after)];
      checkBindings(options.bind, [first.model, second.model]);
      const { threads, provider, data, bind } = options;
      return compareSpeed(startRunner, {
        before: await store.fileOf(first),
        after: await store.fileOf(second),
        ...(threads !== undefined && { threads }),
        ...(provider !== undefined && { provider }),
        ...(data !== undefined && { data }),
        ...(bind !== undefined && { bind }),
        ...forwardProgress(job),
      });
    },
  };
}
