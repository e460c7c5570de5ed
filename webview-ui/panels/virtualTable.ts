import { h } from '../dom.ts';
import { type Column, cellElement, groupCells, headerCell } from './tableCells.ts';
import { type Line, type Picking, linesOf, pick } from './tableRows.ts';

interface TableOptions<Row> {
  readonly label: string;
  readonly columns: readonly Column<Row>[];
  readonly sort: { readonly column: string; readonly down: boolean };
  readonly onSort: (sort: { column: string; down: boolean }) => void;
  readonly onSelect: (row: Row) => void;
  readonly onOpen: (row: Row) => void;
  /** Several rows may be picked; called with all of them after every change. */
  readonly onPick?: (rows: readonly Row[]) => void;
}

interface VirtualTable<Row> {
  readonly element: HTMLElement;
  setRows(rows: readonly Row[]): void;
  /** Puts rows under heads; `undefined` takes the heads away. */
  groupBy(groupOf: ((row: Row) => string) | undefined): void;
  /** Marks a row and scrolls to it. */
  select(row: Row | undefined): void;
  pickAll(): void;
  /** Rows in the order shown. */
  rows(): readonly Row[];
}

const rowHeight = 22;
/** As in the style sheet; the table's own padding on both sides makes one more. */
const columnGap = 8;
/** Browsers cap the height of elements; lines beyond share the room. */
const tallest = 8_000_000;

/** A table that holds only the rows in sight; sorted by a click on a header, walked with the arrow keys. */
export function virtualTable<Row>(options: TableOptions<Row>): VirtualTable<Row> {
  let columns = options.columns;
  let template = '';
  let sort = options.sort;
  let source: readonly Row[] = [];
  let sorted: readonly Row[] = [];
  let lines: readonly Line<Row>[] = [];
  let groupOf: ((row: Row) => string) | undefined;
  const folded = new Set<string>();
  /** The line with the keyboard. */
  let at = -1;
  let picking: Picking<Row> = { picked: new Set(), anchor: undefined };

  const header = h('div', { class: 'table-header', attributes: { role: 'row', 'aria-rowindex': 1 } });
  const head = h('div', { class: 'table-head', attributes: { role: 'rowgroup' } }, header);
  const body = h('div', { class: 'table-body', attributes: { role: 'rowgroup' } });
  const element = h(
    'div',
    {
      class: 'table',
      attributes: {
        role: 'grid',
        tabindex: 0,
        'aria-label': options.label,
        'aria-multiselectable': String(options.onPick !== undefined),
      },
    },
    head,
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
    sorted = sortedBy(source, columns.find(({ id }) => id === sort.column) ?? columns[0]!, sort.down);
    drawHeader();
    regroup();
  };

  const regroup = () => {
    const row = rowAt(at);
    lines = linesOf(sorted, groupOf, folded);
    at = row === undefined ? -1 : lineOf(row);
    element.setAttribute('aria-rowcount', String(lines.length + 1));
    body.style.height = `${Math.min(tallest, lines.length * rowHeight)}px`;
    draw();
  };

  const rowAt = (line: number): Row | undefined => {
    const found = lines[line];
    return found?.kind === 'row' ? found.row : undefined;
  };
  const lineOf = (row: Row) => lines.findIndex((line) => line.kind === 'row' && line.row === row);
  /** Lines per line of room: 1 until the table is taller than browsers allow. */
  const crowding = () => Math.max(1, (lines.length * rowHeight) / tallest);

  const drawHeader = () => {
    header.replaceChildren(
      ...columns.map((column) => {
        const active = column.id === sort.column;
        return headerCell(column, active ? (sort.down ? 'descending' : 'ascending') : 'none', () => {
          sort = { column: column.id, down: active ? !sort.down : column.numeric === true };
          options.onSort(sort);
          reorder();
        });
      }),
    );
  };

  const draw = () => {
    const first = Math.max(0, Math.floor(((element.scrollTop - rowHeight) / rowHeight) * crowding()) - 4);
    const last = Math.min(lines.length, first + Math.ceil(element.clientHeight / rowHeight) + 10);
    const drawn: HTMLElement[] = [];
    for (let i = first; i < last; i++)
      drawn.push(lineElement(i, (first / crowding() + i - first) * rowHeight));
    body.replaceChildren(...drawn);
    if (at >= first && at < last) element.setAttribute('aria-activedescendant', rowId(at));
    else element.removeAttribute('aria-activedescendant');
  };

  const rowId = (i: number) => `${options.label.replace(/\W/g, '')}-row-${i}`;

  const lineElement = (i: number, top: number): HTMLElement => {
    const line = lines[i]!;
    const chosen = line.kind === 'row' ? picking.picked.has(line.row) : false;
    const element = h('div', {
      class: `table-row${chosen || i === at ? ' selected' : ''}${line.kind === 'group' ? ' table-group' : ''}`,
      attributes: {
        role: 'row',
        id: rowId(i),
        'aria-rowindex': i + 2,
        'aria-selected': String(chosen),
        ...(groupOf === undefined ? {} : { 'aria-level': line.kind === 'group' ? 1 : 2 }),
        ...(line.kind === 'group' ? { 'aria-expanded': String(!line.folded) } : {}),
      },
      on: {
        click: (event) => choose(i, { toggle: event.ctrlKey || event.metaKey, extend: event.shiftKey }),
        dblclick: () => line.kind === 'row' && options.onOpen(line.row),
      },
    });
    element.style.gridTemplateColumns = template;
    element.style.top = `${top}px`;
    element.append(
      ...(line.kind === 'row'
        ? columns.map((column) => cellElement(column, line.row))
        : groupCells(columns, line)),
    );
    return element;
  };

  const setPicking = (next: Picking<Row>) => {
    picking = next;
    options.onPick?.([...next.picked]);
  };

  const choose = (i: number, how: { readonly toggle: boolean; readonly extend: boolean }) => {
    const line = lines[i];
    if (line === undefined) return;
    at = i;
    if (line.kind === 'group') {
      if (how.toggle && options.onPick !== undefined)
        setPicking({ picked: new Set([...picking.picked, ...line.rows]), anchor: picking.anchor });
      else flip(line.key);
      return show(i);
    }
    const single = options.onPick === undefined;
    setPicking(pick(picking, line.row, single ? { toggle: false, extend: false } : how, sorted));
    show(i);
    if (!how.toggle && !how.extend) options.onSelect(line.row);
  };

  const flip = (key: string) => {
    if (!folded.delete(key)) folded.add(key);
    const line = at;
    regroup();
    at = Math.min(line, lines.length - 1);
  };

  const show = (i: number) => {
    if (i >= 0) {
      const top = (i / crowding()) * rowHeight;
      const room = element.clientHeight - header.offsetHeight - rowHeight;
      if (top < element.scrollTop) element.scrollTop = top;
      else if (top > element.scrollTop + room) element.scrollTop = top - room;
    }
    draw();
  };

  element.addEventListener('scroll', draw);
  element.addEventListener('keydown', (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'a' && options.onPick !== undefined) {
      event.preventDefault();
      return pickAll();
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(element.clientHeight / rowHeight) - 2);
    const steps: Readonly<Record<string, number>> = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: lines.length - 1,
    };
    const line = lines[at];
    const sideways = event.key === 'ArrowLeft' || event.key === 'ArrowRight';
    if (event.key === 'Enter' && line?.kind === 'row') options.onOpen(line.row);
    else if (event.key === ' ' && at >= 0) choose(at, { toggle: true, extend: false });
    else if (
      line?.kind === 'group' &&
      (event.key === 'Enter' || (sideways && line.folded === (event.key === 'ArrowRight')))
    )
      flip(line.key);
    else if (steps[event.key] !== undefined)
      walk(Math.max(0, Math.min(lines.length - 1, steps[event.key]!)), event.shiftKey);
    else return;
    event.preventDefault();
  });
  /** The keyboard passes over heads without folding them. */
  const walk = (i: number, extend: boolean) => {
    if (lines[i]?.kind !== 'group') return choose(i, { toggle: false, extend });
    at = i;
    show(i);
  };
  const pickAll = () => {
    setPicking({ picked: new Set(sorted), anchor: picking.anchor });
    draw();
  };
  new ResizeObserver(draw).observe(element);
  arrange();
  drawHeader();

  return {
    element,
    setRows(rows) {
      source = rows;
      const there = new Set(rows);
      const still = [...picking.picked].filter((row) => there.has(row));
      if (still.length !== picking.picked.size) setPicking({ picked: new Set(still), anchor: undefined });
      reorder();
    },
    groupBy(next) {
      groupOf = next;
      // Rows that fold belong to a tree.
      element.setAttribute('role', next === undefined ? 'grid' : 'treegrid');
      folded.clear();
      regroup();
    },
    select(row) {
      at = row === undefined ? -1 : lineOf(row);
      // A row that was picked with others stays with them.
      if (row === undefined || !picking.picked.has(row))
        setPicking({ picked: new Set(row === undefined ? [] : [row]), anchor: row });
      show(at);
    },
    pickAll,
    rows: () => sorted,
  };
}

function sortedBy<Row>(rows: readonly Row[], { order, text }: Column<Row>, down: boolean): readonly Row[] {
  const sign = down ? -1 : 1;
  return [...rows].sort((a, b) => {
    if (order === undefined) return sign * text(a).localeCompare(text(b));
    const [x, y] = [order(a), order(b)];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y));
    return sign * (x - y);
  });
}
