import { KerfError } from '../ir/errors.ts';
import type { Model } from '../ir/model.ts';
import { graphsOf } from '../ir/walk.ts';

/** A model whose weights cannot be read is neither run nor searched for them. Throws `KerfError('missing-weights')`. */
export function requireWeights(model: Model, file?: string): void {
  for (const graph of graphsOf(model))
    for (const { constant } of graph.values.values()) {
      const missing = constant?.data.missing;
      if (missing !== undefined)
        throw new KerfError('missing-weights', missing, file === undefined ? {} : { file });
    }
}
