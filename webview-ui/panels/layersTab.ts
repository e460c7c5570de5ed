import type { GraphView } from '../../src/engine/view.ts';
import type { App } from '../app.ts';
import { h } from '../dom.ts';
import { bytes, count, grouped, macs, plural, time } from '../format.ts';
import type { GraphPane } from '../graph/graphPane.ts';
import { decibels, overlayOf } from '../graph/overlay.ts';
import { findLayers } from '../query.ts';
import { button, select } from '../ui/controls.ts';
import { textField } from '../ui/textField.ts';
import { copyText } from './actions.ts';
import { createBulk } from './bulk.ts';
import type { Column } from './tableCells.ts';
import { virtualTable } from './virtualTable.ts';

/** Layer index in the graph view. */
type Row = number;

/** The layers as a table: the accessible twin of the graph. */
export function createLayersTab(app: App, graph: GraphPane): HTMLElement {
  let view: GraphView | undefined;
  let rows: readonly Row[] = [];
  const columns = columnsOf(app, () => view!);
  const table = virtualTable<Row>({
    label: 'Layers',
    columns,
    sort: app.viewState.get('sort'),
    onSort: (sort) => app.viewState.set('sort', sort),
    onSelect: (v) => app.selection.set({ kind: 'layer', id: idOf(view!, v) }),
    onOpen: (v) => graph.showLayer(idOf(view!, v)),
    onPick: (picked) => bulk.show(picked.map((v) => layerIdOf(view!, v))),
  });
  const bulk = createBulk(app);
  const grouping = select({
    label: 'Group the layers',
    onChange(value) {
      app.viewState.set('grouping', value);
      table.groupBy(groupers[value]?.of(() => view!));
    },
  });
  grouping.set(
    Object.entries(groupers).map(([value, { title }]) => ({ value, text: title })),
    app.viewState.get('grouping'),
  );
  table.groupBy(groupers[app.viewState.get('grouping')]?.of(() => view!));
  const counter = h('span', { class: 'muted' });

  const fill = () => {
    // A newer graph fills the table when its picture is there.
    if (view === undefined || view !== app.graph.get().value?.view) return;
    const layers = Array.from(view.kind, (_, v) => v).filter((v) => view!.kind[v] === 0);
    const result = filter.get().trim() === '' ? undefined : findLayers(app, filter.get());
    const wanted = result === undefined ? undefined : new Set(result.found);
    rows = wanted === undefined ? layers : layers.filter((v) => wanted.has(v));
    counter.textContent =
      result?.problem ??
      (rows.length === layers.length
        ? layerCount(view, layers)
        : `${grouped(rows.length)} of ${plural(layers.length, 'layer')}`);
    table.setRows(rows);
    follow();
  };
  const follow = () => {
    const selection = app.selection.get();
    const v = selection?.kind === 'layer' ? app.drawn.get()?.indexOf.get(selection.id) : undefined;
    table.select(v);
  };
  const filter = textField({
    label: 'Filter layers',
    placeholder: 'Filter, as in op:conv macs>1M',
    icon: 'filter',
    onInput: fill,
  });
  const copy = button({
    text: 'Copy as CSV',
    icon: 'copy',
    onClick: () => void copyText(app, csvOf(columns, table.rows(), view), plural(table.rows().length, 'row')),
  });
  app.drawn.watch((graph) => {
    view = graph?.view;
    fill();
  });
  app.measured.onChange(fill);
  app.extra.onChange(fill);
  app.marked.onChange(fill);
  app.selection.onChange(follow);
  return h(
    'div',
    { class: 'tab-body' },
    h(
      'div',
      { class: 'toolbar' },
      filter.element,
      counter,
      grouping.element,
      h('span', { class: 'strip-gap' }),
      bulk.element,
      copy.element,
    ),
    table.element,
  );
}

/** Layers of bodies are rows of their own; the model counts the layer that runs them. */
function layerCount({ nested }: GraphView, layers: readonly Row[]): string {
  const inBodies = layers.filter((v) => nested[v] !== 0).length;
  return `${plural(layers.length, 'layer')}${inBodies === 0 ? '' : `, ${grouped(inBodies)} in bodies`}`;
}

interface Grouper {
  readonly title: string;
  readonly of: (view: () => GraphView) => ((v: Row) => string) | undefined;
}

const byColumn =
  (column: 'op' | 'family' | 'precision') =>
  (view: () => GraphView) =>
  (v: Row): string =>
    view().strings[view()[column][v]!]!;

const groupers: Readonly<Record<string, Grouper>> = {
  none: { title: 'Not grouped', of: () => undefined },
  op: { title: 'By operator', of: byColumn('op') },
  family: { title: 'By family', of: byColumn('family') },
  type: { title: 'By type', of: byColumn('precision') },
  scope: {
    title: 'By name scope',
    of: (view) => (v) => view().strings[view().scope[v]!]!.split('/').slice(0, 2).join('/') || 'no scope',
  },
  findings: {
    title: 'By findings',
    of: (view) => (v) => (view().findings[v] === 0 ? 'no findings' : 'with findings'),
  },
};

function layerIdOf(view: GraphView, v: Row): string {
  return view.strings[view.layer[v]!]!;
}

function idOf(view: GraphView, v: Row): string {
  return view.strings[view.id[v]!]!;
}

function columnsOf(app: App, view: () => GraphView): readonly Column<Row>[] {
  const text = (column: 'name' | 'op' | 'shape' | 'precision') => (v: Row) =>
    view().strings[view()[column][v]!]!;
  type Numbers = 'params' | 'macs' | 'weightBytes' | 'activationBytes' | 'estimateMs';
  const largest = new Map<string, { of: GraphView; value: number }>();
  const shareOf = (column: Numbers) => (v: Row) => {
    let known = largest.get(column);
    if (known?.of !== view()) {
      known = { of: view(), value: view()[column].reduce((a, b) => (b > a ? b : a), 0) };
      largest.set(column, known);
    }
    return known.value === 0 ? 0 : view()[column][v]! / known.value;
  };
  const numeric = (column: Numbers, title: string, format: (value: number) => string): Column<Row> => ({
    id: column,
    title,
    width: 88,
    numeric: true,
    text: (v) => format(view()[column][v]!),
    order: (v) => view()[column][v]!,
    share: shareOf(column),
    total: (rows) => format(totalOf(view(), column, rows)),
  });
  const measured = (v: Row) => app.measured.get()?.get(idOf(view(), v)) ?? Number.NaN;
  const noise = (v: Row) => app.extra.get().get('sensitivity')?.values.get(idOf(view(), v)) ?? Number.NaN;
  // Graph inputs and outputs are no layers and are not counted.
  let numbers: { readonly of: GraphView; readonly at: Uint32Array } | undefined;
  const ordinal = (v: Row) => {
    if (numbers?.of !== view()) numbers = { of: view(), at: ordinals(view()) };
    return numbers.at[v]!;
  };
  return [
    {
      id: 'index',
      title: '#',
      width: 44,
      numeric: true,
      text: (v) => String(ordinal(v)),
      order: (v) => v,
    },
    { id: 'op', title: 'Operator', width: 150, grow: 1, text: text('op') },
    {
      id: 'name',
      title: 'Name',
      width: 170,
      grow: 3,
      text: text('name'),
      // Layers of one scope differ at the end of their names.
      tone: (v) => (text('name')(v).includes('/') ? 'scoped' : ''),
    },
    { id: 'shape', title: 'Output', width: 104, grow: 1, text: text('shape') },
    { id: 'precision', title: 'Type', width: 60, text: text('precision') },
    // What somebody just measured stands where it is seen without scrolling.
    {
      id: 'measured',
      title: 'Measured',
      width: 88,
      numeric: true,
      hidden: () => app.measured.get() === undefined,
      text: (v) => (Number.isNaN(measured(v)) ? '' : time(measured(v))),
      order: measured,
    },
    {
      id: 'sensitivity',
      title: 'Sensitivity',
      width: 88,
      numeric: true,
      hidden: () => app.extra.get().get('sensitivity') === undefined,
      // Shown in dB, ordered by noise: what hurts most is largest, as in the other columns.
      text: (v) => (Number.isNaN(noise(v)) ? '' : overlayOf('sensitivity', app.extra.get()).format(noise(v))),
      order: noise,
      plain: (v) => decibels(noise(v)),
    },
    numeric('params', 'Parameters', count),
    numeric('weightBytes', 'Weights', bytes),
    numeric('macs', 'MACs', macs),
    numeric('activationBytes', 'Activations', bytes),
    // No device, no estimate: no column says so more quietly than a thousand times "unknown".
    { ...numeric('estimateMs', 'Estimated', time), hidden: () => app.document.get()?.device === null },
    {
      id: 'findings',
      title: 'Findings',
      width: 68,
      numeric: true,
      text: (v) => (view().findings[v] === 0 ? '' : String(view().findings[v])),
      order: (v) => view().findings[v]!,
    },
  ];
}

/** A sum with an unknown part is unknown; layers of bodies are counted with the layer that runs them. */
function totalOf(
  view: GraphView,
  column: 'params' | 'macs' | 'weightBytes' | 'activationBytes' | 'estimateMs',
  rows: readonly Row[],
): number {
  let sum = 0;
  for (const v of rows) if (view.nested[v] === 0) sum += view[column][v]!;
  return sum;
}

function ordinals({ kind }: GraphView): Uint32Array {
  const at = new Uint32Array(kind.length);
  for (let v = 0, next = 1; v < kind.length; v++) if (kind[v] === 0) at[v] = next++;
  return at;
}

/** Plain numbers for spreadsheets; unknown is an empty field. */
function csvOf(columns: readonly Column<Row>[], rows: readonly Row[], view: GraphView | undefined): string {
  const quote = (text: string) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const plain = (column: Column<Row>, v: Row) => {
    if (column.id === 'index') return column.text(v);
    if (column.numeric !== true || column.order === undefined) return column.text(v);
    const value = (column.plain ?? column.order)(v);
    return Number.isFinite(value) ? String(value) : '';
  };
  if (view === undefined) return '';
  const head = ['id', ...columns.map((column) => column.id)].join(',');
  return [
    head,
    ...rows.map((v) => [idOf(view, v), ...columns.map((column) => plain(column, v))].map(quote).join(',')),
  ].join('\n');
}
