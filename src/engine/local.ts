import { KerfError } from '../ir/errors.ts';
import { jobContext } from './context.ts';
import { createMethods } from './methods.ts';
import type { Engine } from './protocol.ts';

/** The engine in this process, for the command line, which is a process of its own anyway. */
export function localEngine(): Engine {
  const { methods, dispose } = createMethods();
  return {
    async call(method, params, options = {}) {
      const signal = options.signal ?? new AbortController().signal;
      const job = jobContext(signal, (fraction, message) => options.onProgress?.(fraction, message));
      try {
        return await methods[method](params, job);
      } catch (error) {
        throw signal.aborted ? new KerfError('cancelled', 'cancelled') : error;
      }
    },
    dispose,
  };
}
