import { KerfError } from '../ir/errors.ts';
import type { Budget } from '../rules/rule.ts';

const keys = [
  'fileBytes',
  'flashBytes',
  'ramBytes',
  'macs',
  'latencyMs',
  'accuracyDrop',
] as const satisfies readonly (keyof Budget)[];

const units: Readonly<Record<(typeof keys)[number], Readonly<Record<string, number>>>> = {
  fileBytes: bytes(),
  flashBytes: bytes(),
  ramBytes: bytes(),
  macs: { '': 1, k: 1e3, M: 1e6, G: 1e9 },
  latencyMs: { '': 1, ms: 1, s: 1000, us: 1e-3 },
  accuracyDrop: { '': 1, '%': 1, points: 1 },
};

function bytes(): Readonly<Record<string, number>> {
  return { '': 1, B: 1, kB: 1e3, MB: 1e6, GB: 1e9, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };
}

/**
 * Reads the limits of a `kerf.json` file: `{"budget": {"fileBytes": "256 KiB", "latencyMs": 20}}`, or the inner object
 * alone. Numbers are bytes, counts, milliseconds and percentage points; texts carry a unit.
 * Throws `KerfError('malformed')` naming the file and the field.
 */
export function parseBudget(text: string, file?: string): Budget {
  const root = record(parseJson(text, file), 'budget', file);
  const limits = root['budget'] === undefined ? root : record(root['budget'], 'budget', file);
  const budget: { -readonly [Key in keyof Budget]: Budget[Key] } = {};
  for (const [name, value] of Object.entries(limits)) {
    if (name === '$schema') continue;
    const key = keys.find((each) => each === name);
    if (key === undefined)
      return fail(`budget.${name}`, `is not a limit; there are ${keys.join(', ')}`, file);
    budget[key] = limit(key, value, file);
  }
  return budget;
}

function limit(key: (typeof keys)[number], value: unknown, file?: string): number {
  const number = typeof value === 'string' ? withUnit(value, units[key]) : value;
  if (typeof number === 'number' && Number.isFinite(number) && number >= 0) return number;
  const known = Object.keys(units[key]).filter((unit) => unit !== '');
  return fail(`budget.${key}`, `is not a number of at least 0, alone or with ${known.join(', ')}`, file);
}

function withUnit(text: string, factors: Readonly<Record<string, number>>): number | undefined {
  const [, digits, unit] = /^\s*(\d+(?:\.\d+)?)\s*([A-Za-z%]*)\s*$/.exec(text) ?? [];
  const factor = unit === undefined ? undefined : factors[unit];
  return digits === undefined || factor === undefined ? undefined : Number(digits) * factor;
}

function parseJson(text: string, file?: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    return fail('budget', `is not JSON: ${error instanceof Error ? error.message : String(error)}`, file);
  }
}

function record(value: unknown, place: string, file?: string): Record<string, unknown> {
  const isRecord = (each: unknown): each is Record<string, unknown> =>
    typeof each === 'object' && each !== null && !Array.isArray(each);
  return isRecord(value) ? value : fail(place, 'is not an object', file);
}

function fail(place: string, message: string, file?: string): never {
  throw new KerfError('malformed', message, { ...(file !== undefined && { file }), place });
}
