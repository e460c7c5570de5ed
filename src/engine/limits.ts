import { KerfError } from '../ir/errors.ts';
import { parseBudget } from '../optimize/budget.ts';

/** One limit as budgets write it: a number with a unit, `120kB` or `3ms`. Throws `KerfError('bad-option')`. */
export function parseLimit(key: 'fileBytes' | 'latencyMs', text: string): number {
  try {
    const value = parseBudget(JSON.stringify({ [key]: text }))[key];
    if (value !== undefined) return value;
  } catch (error) {
    if (!KerfError.is(error, 'malformed')) throw error;
  }
  throw new KerfError('bad-option', `'${text}' is no limit: a number with a unit, as 120kB or 3ms`);
}
