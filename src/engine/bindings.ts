import { analyse } from '../analysis/analyse.ts';
import { bindable } from '../analysis/bind.ts';
import { KerfError } from '../ir/errors.ts';
import type { Model } from '../ir/model.ts';

/** Refuses names that are no free dimension of any of the models. Throws `KerfError('bad-option')`. */
export function checkBindings(
  bind: Readonly<Record<string, number>> | undefined,
  models: readonly Model[],
): void {
  const names = new Set(models.flatMap((model) => [...bindable(model)]));
  for (const name of Object.keys(bind ?? {})) {
    if (names.has(name)) continue;
    const known = names.size === 0 ? 'it has none' : `it has ${[...names].join(', ')}`;
    throw new KerfError('bad-option', `the model has no free dimension '${name}' (${known})`);
  }
}

/** A refusal may come from free dimensions, which count as 1 unless bound: the message then names them. */
export async function withBindingHint<T>(
  model: Model,
  bind: Readonly<Record<string, number>> | undefined,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { freeDimensions } = analyse(model, bind && { bind });
    if (!KerfError.is(error, 'runtime-refused') || freeDimensions.length === 0) throw error;
    const hint = `${error.message} (free dimensions are 1 unless bound: ${freeDimensions.join(', ')})`;
    throw new KerfError(error.reason, hint, error.file === undefined ? {} : { file: error.file });
  }
}
