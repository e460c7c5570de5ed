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
