import { h } from '../dom.ts';

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
  /** A class for the cell. */
  readonly tone?: (row: Row) => string;
  /** Share of the column's largest value, drawn behind the number. */
  readonly share?: (row: Row) => number;
}

export interface TableOptions<Row> {
  readonly label: string;
  readonly columns: readonly Column<Row>[];
  readonly sort: { readonly column: string; readonly down: boolean };
  readonly onSort: (sort: { column: string; down: boolean }) => void;
  readonly onSelect: (row: Row) => void;
  readonly onOpen: (row: Row) => void;
}

export interface VirtualTable<Row> {
  readonly element: HTMLElement;
  setRows(rows: readonly Row[]): void;
  /** Marks a row and scrolls to it. */
  select(row: Row | undefined): void;
  /** Rows in the order shown. */
  rows(): readonly Row[];
}

const rowHeight = 22;
/** As in the style sheet; the table's own padding on both sides makes one more. */
const columnGap = 8;

/** A table that holds only the rows in sight; sorted by a click on a header, walked with the arrow keys. */
export function virtualTable<Row>(options: TableOptions<Row>): VirtualTable<Row> {
  let columns = options.columns;
  let template = '';
  let sort = options.sort;
  let source: readonly Row[] = [];
  let sorted: readonly Row[] = [];
  let selected: Row | undefined;

  const header = h('div', { class: 'table-header', attributes: { role: 'row', 'aria-rowindex': 1 } });
  const body = h('div', { class: 'table-body', attributes: { role: 'rowgroup' } });
  const element = h(
    'div',
    {
      class: 'table',
      attributes: { role: 'grid', tabindex: 0, 'aria-label': options.label },
    },
    header,
    body,
  );

  const arrange = () => {
    columns = options.columns.filter((column) => column.hidden?.() !== true);
    template = columns
      .map(({ width, grow }) => (grow === undefined ? `${width}px` : `minmax(${width}px, ${grow}fr)`))
      .join(' ');
    header.style.gridTemplateColumns = template;
    const least = columns.reduce((sum, { width }) => sum + width + columnGap, columnGap);
    element.style.setProperty('--table-width', `${least}px`);
    element.setAttribute('aria-colcount', String(columns.length));
  };

  const reorder = () => {
    arrange();
    const column = columns.find(({ id }) => id === sort.column) ?? columns[0]!;
    const sign = sort.down ? -1 : 1;
    const { order } = column;
    sorted = [...source].sort((a, b) => {
      if (order === undefined) return sign * column.text(a).localeCompare(column.text(b));
      const [x, y] = [order(a), order(b)];
      if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y));
      return sign * (x - y);
    });
    element.setAttribute('aria-rowcount', String(sorted.length + 1));
    body.style.height = `${sorted.length * rowHeight}px`;
    drawHeader();
    draw();
  };

  const drawHeader = () => {
    header.replaceChildren(
      ...columns.map((column) => {
        const active = column.id === sort.column;
        // Beside the words, not among them: they stay where they are when the order changes.
        const mark = h('span', { class: 'sort-mark', text: sort.down ? '▾' : '▴' });
        const press = () => {
          sort = { column: column.id, down: active ? !sort.down : column.numeric === true };
          options.onSort(sort);
          reorder();
        };
        return h(
          'div',
          {
            class: column.numeric === true ? 'cell numeric' : 'cell',
            attributes: {
              role: 'columnheader',
              'aria-sort': active ? (sort.down ? 'descending' : 'ascending') : 'none',
            },
          },
          h(
            'button',
            { attributes: { type: 'button', tabindex: -1 }, on: { click: press } },
            column.title,
            active && mark,
          ),
        );
      }),
    );
  };

  const draw = () => {
    const first = Math.max(0, Math.floor((element.scrollTop - rowHeight) / rowHeight) - 4);
    const last = Math.min(sorted.length, first + Math.ceil(element.clientHeight / rowHeight) + 10);
    const rows: HTMLElement[] = [];
    for (let i = first; i < last; i++) rows.push(rowElement(sorted[i]!, i));
    body.replaceChildren(...rows);
    const at = selected === undefined ? -1 : sorted.indexOf(selected);
    if (at >= first && at < last) element.setAttribute('aria-activedescendant', rowId(at));
    else element.removeAttribute('aria-activedescendant');
  };

  const rowId = (i: number) => `${options.label.replace(/\W/g, '')}-row-${i}`;

  const rowElement = (row: Row, i: number): HTMLElement => {
    const line = h('div', {
      class: row === selected ? 'table-row selected' : 'table-row',
      attributes: {
        role: 'row',
        id: rowId(i),
        'aria-rowindex': i + 2,
        'aria-selected': String(row === selected),
      },
      on: { click: () => choose(i), dblclick: () => options.onOpen(row) },
    });
    line.style.gridTemplateColumns = template;
    line.style.top = `${i * rowHeight}px`;
    line.append(...columns.map((column) => cellElement(column, row)));
    return line;
  };

  const choose = (i: number) => {
    const row = sorted[i];
    if (row === undefined) return;
    select(row);
    options.onSelect(row);
  };

  const select = (row: Row | undefined) => {
    selected = row;
    const at = row === undefined ? -1 : sorted.indexOf(row);
    if (at >= 0) {
      const top = at * rowHeight;
      const room = element.clientHeight - header.offsetHeight - rowHeight;
      if (top < element.scrollTop) element.scrollTop = top;
      else if (top > element.scrollTop + room) element.scrollTop = top - room;
    }
    draw();
  };

  element.addEventListener('scroll', draw);
  element.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = selected === undefined ? -1 : sorted.indexOf(selected);
    const page = Math.max(1, Math.floor(element.clientHeight / rowHeight) - 2);
    const steps: Readonly<Record<string, number>> = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: sorted.length - 1,
    };
    if (event.key === 'Enter' && selected !== undefined) options.onOpen(selected);
    else if (steps[event.key] !== undefined)
      choose(Math.min(sorted.length - 1, Math.max(0, steps[event.key]!)));
    else return;
    event.preventDefault();
  });
  new ResizeObserver(draw).observe(element);
  arrange();
  drawHeader();

  return {
    element,
    setRows(rows) {
      source = rows;
      reorder();
    },
    select,
    rows: () => sorted,
  };
}

function cellElement<Row>(column: Column<Row>, row: Row): HTMLElement {
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
