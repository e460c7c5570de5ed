/** Three significant digits and a unit that people use; unknown stays a word. */
function scaled(value: number | null | undefined, base: number, units: readonly string[]): string {
  if (value === null || value === undefined || Number.isNaN(value)) return 'unknown';
  let rest = value;
  let unit = 0;
  while (Math.abs(rest) >= base && unit < units.length - 1) {
    rest /= base;
    unit += 1;
  }
  const digits = unit === 0 ? String(Math.round(rest * 1000) / 1000) : rest.toPrecision(3);
  return `${digits} ${units[unit] ?? ''}`.trim();
}

export function bytes(value: number | null | undefined): string {
  return scaled(value, 1000, ['B', 'kB', 'MB', 'GB', 'TB']);
}

export function count(value: number | null | undefined): string {
  return scaled(value, 1000, ['', 'k', 'M', 'G', 'T']);
}

export function milliseconds(value: number | null | undefined): string {
  return value === null || value === undefined ? 'unknown' : `${Number(value.toPrecision(3))} ms`;
}

export function percent(share: number | null | undefined, digits = 2): string {
  return share === null || share === undefined ? 'unknown' : `${(share * 100).toFixed(digits)} %`;
}

/** `before -> after (-71.2 %)`. */
export function change(
  before: number | null,
  after: number | null,
  format: (value: number | null) => string,
): string {
  const text = `${format(before)} -> ${format(after)}`;
  if (before === null || after === null || before === 0) return text;
  const delta = ((after - before) / before) * 100;
  return `${text} (${delta >= 0 ? '+' : ''}${delta.toFixed(1)} %)`;
}

/** Two shares of one and the difference in percentage points: a relative change of an accuracy misleads. */
export function changeOfShare(before: number | null, after: number | null): string {
  const text = `${percent(before)} -> ${percent(after)}`;
  if (before === null || after === null) return text;
  const delta = (after - before) * 100;
  return `${text} (${delta >= 0 ? '+' : ''}${delta.toFixed(2)} points)`;
}

/** Columns are not made narrower than this to fit a terminal. */
const leastWidth = 24;

/**
 * Columns padded to their widest cell; columns listed in `right` are aligned to the right. On a terminal the first column, which
 * holds names, gives way where a row would wrap: its cells lose their middle. Elsewhere they stay whole, to be searched and copied.
 */
export function table(
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
  columns = process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY,
): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)));
  const over = widths.reduce((sum, width) => sum + width + 2, -2) - columns;
  if (over > 0 && widths.length > 2) widths[0] = fitted(widths[0] ?? 0, over);
  const pad = (cell: string, i: number) =>
    right.includes(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0);
  return rows
    .map((row) => row.map((cell, i) => pad(i === 0 ? withoutMiddle(cell, widths[0] ?? 0) : cell, i)))
    .map((cells) => cells.join('  ').trimEnd())
    .join('\n');
}

function fitted(width: number, over: number): number {
  return Math.min(width, Math.max(leastWidth, width - over));
}

function withoutMiddle(text: string, width: number): string {
  if (text.length <= width) return text;
  const kept = width - 1;
  return `${text.slice(0, Math.ceil(kept / 2))}…${text.slice(text.length - Math.floor(kept / 2))}`;
}
