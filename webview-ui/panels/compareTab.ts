import type { PageInspect } from '../../src/editor/page/protocol.ts';
import type { App } from '../app.ts';
import { type Comparison, type Difference, differencesOf } from '../compare/comparison.ts';
import { compareWithFile, openComparison } from '../compare/open.ts';
import { h } from '../dom.ts';
import { bytes, count, digits, fileName, macs, percent, plural, time } from '../format.ts';
import { button } from '../ui/controls.ts';
import { beforeAfter, empty, facts, section } from './parts.ts';
import { compressedWords, computing, updateWords } from './shipped.ts';
import type { Column } from './tableCells.ts';
import { virtualTable } from './virtualTable.ts';

/** The model against what it was or against another file: numbers, every layer that differs, and the answers it gives. */
export function createCompareTab(app: App): { readonly element: HTMLElement; run(): void } {
  const numbers = h('div', { class: 'compare-facts' });
  const answers = h('div');
  const nothing = h('div', { class: 'result' });
  const table = differenceTable(app);
  const compressed = h('span');
  const update = h('span');
  const showShipped = () => {
    const sizes = app.shipped.get();
    const { value, loading } = sizes;
    // Only the file as it was opened was compressed as well.
    const against = app.comparison.get()?.against;
    const opened = against?.kind === 'steps' && against.count === 0;
    const original = opened ? (value?.originalBytes ?? null) : null;
    const both = value !== undefined && !loading && original !== null;
    compressed.replaceChildren(
      both ? beforeAfter(original, value.compressedBytes, bytes, 'less') : compressedWords(sizes),
    );
    update.textContent = updateWords(sizes) ?? (loading ? computing : 'none');
  };
  app.shipped.watch(showShipped);
  const split = h(
    'div',
    { class: 'compare-split' },
    h(
      'div',
      { class: 'scroll', attributes: { tabindex: 0, role: 'region', 'aria-label': 'Numbers' } },
      numbers,
      answers,
    ),
    table.element,
  );
  const run = () => void openComparison(app, { kind: 'steps', count: 0 });
  const compare = button({ text: 'Compare with original', icon: 'diff', look: 'primary', onClick: run });
  const file = button({
    text: 'With another file…',
    icon: 'files',
    onClick: () => void compareWithFile(app),
  });
  const measure = button({
    text: 'Evaluate on data…',
    icon: 'beaker',
    onClick: () => void evaluate(app, answers),
  });
  const showState = () => {
    const state = app.document.get();
    const busy = app.job.get() !== undefined;
    const edited = (state?.steps.length ?? 0) > 0;
    compare.enable(edited && !busy);
    file.enable(!busy);
    measure.enable(state?.trusted === true && !busy);
    const comparison = app.comparison.get();
    split.hidden = comparison === undefined;
    nothing.hidden = comparison !== undefined;
    nothing.replaceChildren(
      empty(
        edited
          ? 'Compare the edited model with the file as it was opened, or with another file: both graphs side by side, and every layer that differs here.'
          : 'Nothing has been changed yet. Apply a pass and compare the result with the original, or compare with another file.',
      ),
    );
  };
  app.comparison.watch((comparison) => {
    showState();
    answers.replaceChildren();
    if (comparison === undefined) return;
    showShipped();
    numbers.replaceChildren(
      headline(comparison, compressed, update),
      ...comparison.diff.notCovered.map((text) => h('p', { class: 'muted', text: `Not compared: ${text}.` })),
    );
    table.show(comparison);
  });
  app.graph.watch(() => {
    const comparison = app.comparison.get();
    if (comparison !== undefined) table.show(comparison);
  });
  app.document.watch(showState);
  app.job.onChange(showState);
  const element = h(
    'div',
    { class: 'tab-body' },
    h('div', { class: 'toolbar' }, compare.element, file.element, measure.element),
    nothing,
    split,
  );
  return { element, run };
}

function headline(
  { before, after, diff }: Comparison,
  compressed: HTMLElement,
  update: HTMLElement,
): HTMLElement {
  const row = (
    title: string,
    of: (report: PageInspect) => number | null,
    format: (value: number | null) => string,
  ) => [title, beforeAfter(of(before), of(after), format, 'less')] as const;
  return facts([
    row('File', (report) => report.fileBytes, bytes),
    ['Compressed', compressed],
    ['Update of the file as opened', update],
    row('Weights', (report) => report.weightBytes, bytes),
    row('Parameters', (report) => report.params, count),
    row('Work', (report) => report.macs, macs),
    row('Peak activations', (report) => report.peakActivationBytes, bytes),
    row(
      'Layers',
      (report) => report.layerCount,
      (value) => (value === null ? 'unknown' : String(value)),
    ),
    ['Differences', differenceWords(diff)],
  ]);
}

function differenceWords({ changed, added, removed, unchanged }: Comparison['diff']): string {
  return `${plural(changed.length, 'layer')} changed, ${added.length} added, ${removed.length} removed, ${unchanged} unchanged`;
}

/** Costs of a layer on both sides; NaN where it is not, or where the cost is unknown. */
type Numbers = 'params' | 'weightBytes' | 'macs' | 'activationBytes' | 'estimateMs';

function differenceTable(app: App): { readonly element: HTMLElement; show(comparison: Comparison): void } {
  let shown: Comparison | undefined;
  const at = (row: Difference, side: 'before' | 'after', column: Numbers): number => {
    const view = side === 'before' ? shown?.other.view : app.graph.get().value?.view;
    const index = row[side];
    return view === undefined || index < 0 ? Number.NaN : view[column][index]!;
  };
  const nameOf = (row: Difference) => {
    const side = row.after >= 0 ? app.graph.get().value?.view : shown?.other.view;
    const index = row.after >= 0 ? row.after : row.before;
    return side === undefined || index < 0 ? row.id : side.strings[side.name[index]!]!;
  };
  const opOf = (row: Difference) => {
    const side = row.after >= 0 ? app.graph.get().value?.view : shown?.other.view;
    const index = row.after >= 0 ? row.after : row.before;
    return side === undefined || index < 0 ? '' : side.strings[side.op[index]!]!;
  };
  const numeric = (id: Numbers, title: string, format: (value: number) => string): Column<Difference> => ({
    id,
    title,
    width: 138,
    numeric: true,
    text: (row) => bothSides(at(row, 'before', id), at(row, 'after', id), format),
    order: (row) => Math.abs((at(row, 'after', id) || 0) - (at(row, 'before', id) || 0)),
  });
  const table = virtualTable<Difference>({
    label: 'Differences',
    columns: [
      {
        id: 'change',
        title: 'Change',
        width: 76,
        text: (row) => row.change,
        tone: (row) => `change-${row.change}`,
      },
      { id: 'op', title: 'Operator', width: 120, grow: 1, text: opOf },
      { id: 'name', title: 'Layer', width: 160, grow: 3, text: nameOf },
      { id: 'classes', title: 'What', width: 120, grow: 1, text: (row) => row.classes.join(', ') },
      numeric('weightBytes', 'Weights', bytes),
      numeric('macs', 'MACs', macs),
      numeric('activationBytes', 'Activations', bytes),
      { ...numeric('estimateMs', 'Estimated', time), hidden: () => app.document.get()?.device === null },
    ],
    sort: { column: 'change', down: false },
    onSort: () => undefined,
    onSelect: ({ id, after }) => after >= 0 && app.selection.set({ kind: 'layer', id }),
    onOpen: ({ id, after }) => after >= 0 && app.show.get()?.(id),
  });
  let rows: readonly Difference[] = [];
  app.selection.onChange((selection) =>
    table.select(selection?.kind === 'layer' ? rows.find(({ id }) => id === selection.id) : undefined),
  );
  return {
    element: table.element,
    show(comparison) {
      shown = comparison;
      const graph = app.graph.get().value;
      rows = graph === undefined ? [] : differencesOf(comparison, graph);
      table.setRows(rows);
    },
  };
}

/** "2.3 kB → 580 B", one number where nothing changed or where there is one side only. */
function bothSides(before: number, after: number, format: (value: number) => string): string {
  if (Number.isNaN(before)) return Number.isNaN(after) ? '' : format(after);
  if (Number.isNaN(after)) return format(before);
  if (before === after) return format(after);
  return `${format(before)} → ${format(after)}`;
}

async function evaluate(app: App, answers: HTMLElement): Promise<void> {
  const data = app.document.get()?.data;
  const report = await app.run('Evaluate', 'evaluate', data === null || data === undefined ? {} : { data });
  if (report === undefined) return;
  const rows: (readonly [string, string])[] = [
    ['Samples', `${report.samples} from ${fileName(report.data)}`],
  ];
  if (report.top1 !== undefined) rows.push(['Top-1', percent(report.top1)]);
  if (report.top5 !== undefined) rows.push(['Top-5', percent(report.top5)]);
  if (report.reference !== undefined) {
    const { agreement, sqnrDb, cosine } = report.reference;
    rows.push(['Agreement with the original', percent(agreement)]);
    rows.push(['SQNR', sqnrDb === null ? 'identical outputs' : `${digits(sqnrDb)} dB`]);
    rows.push(['Cosine', digits(cosine)]);
  }
  answers.replaceChildren(section('Answers', { open: true }, facts(rows)));
  app.say(`Evaluate: ${plural(report.samples, 'sample')}.`);
}
