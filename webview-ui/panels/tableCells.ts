import { h } from '../dom.ts';
import { plural } from '../format.ts';
import type { Line } from './tableRows.ts';

export interface Column<Row> {
  readonly id: string;
  readonly title: string;
  /** Least width, pixels. */
  readonly width: number;
  /** Share of the room that is left; columns without one keep their least width. */
  readonly grow?: number;
  /** Columns with nothing to tell leave their room to the others. */
  readonly hidden?: () => boolean;
  readonly numeric?: boolean;
  readonly text: (row: Row) => string;
  /** What the column sorts by; the text when absent. Unknown (NaN) goes last either way. */
  readonly order?: (row: Row) => number;
  /** The number for a spreadsheet, where it is not the one that sorts. */
  readonly plain?: (row: Row) => number;
  /** A class for the cell. */
  readonly tone?: (row: Row) => string;
  /** Share of the column's largest value, drawn behind the number. */
  readonly share?: (row: Row) => number;
  /** What the head of a group says in this column. */
  readonly total?: (rows: readonly Row[]) => string;
}

/** The head of a column, which sorts by it. */
export function headerCell<Row>(column: Column<Row>, sorted: string, press: () => void): HTMLElement {
  // Beside the words, not among them: they stay where they are when the order changes.
  const mark = h('span', {
    class: 'sort-mark',
    text: sorted === 'descending' ? '▾' : '▴',
    attributes: { 'aria-hidden': 'true' },
  });
  return h(
    'div',
    {
      class: column.numeric === true ? 'cell numeric' : 'cell',
      attributes: { role: 'columnheader', 'aria-sort': sorted },
    },
    h(
      'button',
      { attributes: { type: 'button', tabindex: -1 }, on: { click: press } },
      column.title,
      sorted !== 'none' && mark,
    ),
  );
}

/** The head of a group: its name, how many rows it has, and their totals. */
export function groupCells<Row>(
  columns: readonly Column<Row>[],
  { key, rows, folded }: Line<Row> & { kind: 'group' },
): readonly HTMLElement[] {
  const firstTotal = columns.findIndex(({ total }) => total !== undefined);
  const span = firstTotal < 0 ? columns.length : firstTotal;
  const title = h(
    'div',
    { class: 'cell', attributes: { role: 'gridcell', 'aria-colspan': span } },
    h('span', { text: folded ? '▸ ' : '▾ ', attributes: { 'aria-hidden': 'true' } }),
    h('b', { text: key }),
    h('span', { class: 'muted', text: `  ${plural(rows.length, 'layer')}` }),
  );
  title.style.gridColumn = `1 / span ${span}`;
  return [
    title,
    ...columns.slice(span).map((column) =>
      h('div', {
        class: column.numeric === true ? 'cell numeric' : 'cell',
        text: column.total?.(rows) ?? '',
        attributes: { role: 'gridcell' },
      }),
    ),
  ];
}

export function cellElement<Row>(column: Column<Row>, row: Row): HTMLElement {
  const text = column.text(row);
  const cell = h('div', {
    class: `cell${column.numeric === true ? ' numeric' : ''} ${column.tone?.(row) ?? ''}`,
    attributes: { role: 'gridcell' },
  });
  const share = column.share?.(row) ?? 0;
  if (share > 0) {
    const bar = h('span', { class: 'cell-bar', attributes: { 'aria-hidden': 'true' } });
    bar.style.width = `${Math.max(1, share * 100)}%`;
    cell.append(bar);
  }
  cell.append(h('span', { class: 'cell-text', text }));
  if (text.length > 14 && column.numeric !== true) cell.title = text;
  return cell;
}
