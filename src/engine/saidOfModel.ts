import os from 'node:os';
import path from 'node:path';
import { KerfError } from '../ir/errors.ts';

/** Where parts of models and copies of them lie while they are run. */
const temporary = path.join(os.tmpdir(), 'kerf-');

/** Parts and copies of a model are gone by the time someone reads of them: what they were refused for is said of the model. */
export async function saidOfModel<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!KerfError.is(error)) throw error;
    const { file: copy, place, reason } = error;
    if (copy === undefined ? reason !== 'runtime-refused' : !copy.startsWith(temporary)) throw error;
    const message =
      copy === undefined
        ? error.message
        : error.message.replace(` from ${copy}`, '').replaceAll(copy, 'the model');
    throw new KerfError(reason, message, { file, ...(place !== undefined && { place }) });
  }
}
