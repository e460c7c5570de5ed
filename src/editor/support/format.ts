/** Numbers for people: units always, three significant digits, unknown said in words. */

export function formatBytes(bytes: number | null | undefined): string {
  return scaled(bytes, 1000, ['B', 'kB', 'MB', 'GB', 'TB']);
}

/** What a device has: a whole number of KiB, MiB or GiB says so, as data sheets do. */
export function formatCapacity(bytes: number): string {
  const units = ['GiB', 'MiB', 'KiB'];
  const step = [2 ** 30, 2 ** 20, 2 ** 10].findIndex((size) => bytes >= size && bytes % size === 0);
  if (step < 0 || bytes % 1000 === 0) return formatBytes(bytes);
  return `${String(bytes / 2 ** (30 - 10 * step))} ${units[step] ?? ''}`;
}

export function formatCount(count: number | null | undefined, unit = ''): string {
  const text = scaled(count, 1000, ['', 'k', 'M', 'G', 'T']);
  return unit === '' || text === 'unknown'
    ? text.trim()
    : `${text.trim()}${/[kMGT]$/.test(text) ? '' : ' '}${unit}`;
}

export function formatMs(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return 'unknown';
  if (ms >= 1000) return `${digits(ms / 1000)} s`;
  return ms < 1 && ms > 0 ? `${digits(ms * 1000)} µs` : `${digits(ms)} ms`;
}

/** A share 0..1. */
export function formatPercent(share: number | null | undefined): string {
  return share === null || share === undefined ? 'unknown' : `${digits(share * 100)} %`;
}

/** Signed relative change: "−72.1 %". */
export function formatChange(before: number | null, after: number | null): string {
  if (before === null || after === null || before === 0) return '';
  const percent = (after / before - 1) * 100;
  if (Math.abs(percent) < 0.05) return '±0 %';
  return `${percent < 0 ? '−' : '+'}${digits(Math.abs(percent))} %`;
}

function scaled(value: number | null | undefined, step: number, units: readonly string[]): string {
  if (value === null || value === undefined || Number.isNaN(value)) return 'unknown';
  let scale = 0;
  let rest = value;
  while (Math.abs(rest) >= step * 0.9995 && scale < units.length - 1) {
    rest /= step;
    scale++;
  }
  return `${scale === 0 ? String(Math.round(rest)) : digits(rest)} ${units[scale] ?? ''}`.trim();
}

function digits(value: number): string {
  const rounded = Number(value.toPrecision(3));
  return Math.abs(rounded) >= 1000 ? String(Math.round(rounded)) : String(rounded);
}
