/** What a number counts, which decides its units. */
export type Amount = 'count' | 'bytes' | 'time';

const decimal: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 };
const binary: Readonly<Record<string, number>> = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };
/** Milliseconds. */
const times: Readonly<Record<string, number>> = { '': 1, ms: 1, us: 1e-3, µs: 1e-3, ns: 1e-6, s: 1e3 };

/** "1.5M", "64kB", "2MiB", "500us"; milliseconds for times. `undefined` when it is no number with a unit of its kind. */
export function amountOf(text: string, amount: Amount): number | undefined {
  const [, digits, unit] = /^(\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*([a-zµ]*)$/i.exec(text.trim()) ?? [];
  if (digits === undefined || unit === undefined) return undefined;
  const factor = factorOf(unit.toLowerCase(), amount);
  return factor === undefined ? undefined : Number(digits) * factor;
}

function factorOf(unit: string, amount: Amount): number | undefined {
  if (amount === 'time') return times[unit];
  const [, prefix = '', rest = ''] = /^([kmgt]?)(.*)$/.exec(unit) ?? [];
  if (rest === '' || (amount === 'bytes' && rest === 'b')) return decimal[prefix];
  if (amount === 'bytes' && rest === 'ib') return binary[prefix];
  return undefined;
}
