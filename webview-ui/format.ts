/** Numbers for people: three significant digits, units always; unknown says so. */

const unknown = 'unknown';

function known(value: number | null | undefined): value is number {
  return value !== null && value !== undefined && !Number.isNaN(value);
}

/** Three significant digits without an exponent: 0.0123, 1.23, 12.3, 1230. */
export function digits(value: number): string {
  if (value === 0) return '0';
  const magnitude = Math.floor(Math.log10(Math.abs(value)));
  if (magnitude < -6) return value.toExponential(2);
  if (magnitude >= 3) return String(Math.round(value));
  const text = value.toFixed(Math.min(8, Math.max(0, 2 - magnitude)));
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}

function scaled(value: number, base: number, units: readonly string[]): string {
  let step = 0;
  let rest = value;
  // 999.5 would print as 1000 of the smaller unit.
  while (Math.abs(rest) >= base * 0.9995 && step < units.length - 1) {
    rest /= base;
    step++;
  }
  return `${digits(rest)}${units[step]}`;
}

/** Bytes, decimal as in the findings and on the command line. */
export function bytes(value: number | null | undefined): string {
  return known(value) ? scaled(value, 1000, [' B', ' kB', ' MB', ' GB', ' TB']) : unknown;
}

/** A limit: what is a whole number of KiB, MiB or GiB says so, as data sheets do. */
export function limit(value: number): string {
  const units = [' GiB', ' MiB', ' KiB'];
  const step = [2 ** 30, 2 ** 20, 2 ** 10].findIndex((size) => value >= size && value % size === 0);
  return step < 0 || value % 1000 === 0 ? bytes(value) : `${value / 2 ** (30 - 10 * step)}${units[step]}`;
}

/** Counts: 11.7 M. */
export function count(value: number | null | undefined): string {
  return known(value) ? scaled(value, 1000, ['', ' k', ' M', ' G', ' T']) : unknown;
}

export function macs(value: number | null | undefined): string {
  return known(value) ? `${scaled(value, 1000, [' ', ' k', ' M', ' G', ' T'])}MACs` : unknown;
}

/** Milliseconds in the unit that suits them. */
export function time(ms: number | null | undefined): string {
  if (!known(ms)) return unknown;
  if (ms === 0) return '0 ms';
  if (Math.abs(ms) < 0.9995) return `${digits(ms * 1000)} µs`;
  return Math.abs(ms) < 999.5 ? `${digits(ms)} ms` : `${digits(ms / 1000)} s`;
}

/** A share between 0 and 1. */
export function percent(share: number | null | undefined): string {
  if (!known(share)) return unknown;
  if (share === 0) return '0 %';
  if (Math.abs(share) < 0.001) return '< 0.1 %';
  return `${(share * 100).toFixed(Math.abs(share) < 0.1 ? 1 : 0)} %`;
}

/** Whether a change is too small to be printed. */
export function isSame(before: number, after: number): boolean {
  return before === after || Math.abs(after - before) < 0.0005 * Math.abs(before);
}

/** The last part of a path; words without slashes stay as they are. */
export function fileName(path: string): string {
  return path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1);
}

/** Signed change from one number to another: "−43 %". */
export function change(before: number | null | undefined, after: number | null | undefined): string {
  if (!known(before) || !known(after)) return unknown;
  if (isSame(before, after)) return '±0 %';
  if (before === 0) return 'new';
  const share = (after - before) / Math.abs(before);
  const size = Math.abs(share) * 100;
  const text = size < 10 ? size.toFixed(1) : size.toFixed(0);
  return `${share < 0 ? '−' : '+'}${text} %`;
}

/** Made once: a formatter takes longer to make than a thousand numbers to write. */
const whole = new Intl.NumberFormat('en-US');

/** "12,345" */
export function grouped(amount: number): string {
  return whole.format(amount);
}

/** "1 layer", "3 layers". */
export function plural(amount: number, noun: string): string {
  return `${grouped(amount)} ${noun}${amount === 1 ? '' : 's'}`;
}
