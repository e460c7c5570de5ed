import type { PageResult } from '../../src/editor/pageProtocol.ts';
import type { App } from '../app.ts';
import { h } from '../dom.ts';
import { bytes, count, digits, fileName, macs, percent, plural } from '../format.ts';
import { button } from '../ui/controls.ts';
import { beforeAfter, empty, facts, link, section } from './parts.ts';

/** The edited model against the file on disk: numbers, layers, and on request the answers it gives. */
export function createCompareTab(app: App): { readonly element: HTMLElement; run(): void } {
  const result = h('div', { class: 'result' });
  const answers = h('div');
  let shown: string | undefined;
  const run = async () => {
    const report = await app.run('Compare', 'compare', {});
    if (report === undefined) return;
    shown = app.document.get()?.model;
    answers.replaceChildren();
    result.replaceChildren(view(app, report), answers);
  };
  const evaluate = async () => {
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
      rows.push(['Signal to noise', sqnrDb === null ? 'identical outputs' : `${digits(sqnrDb)} dB`]);
      rows.push(['Cosine', digits(cosine)]);
    }
    answers.replaceChildren(section('Answers', { open: true }, facts(rows)));
    app.say(`Evaluate: ${plural(report.samples, 'sample')}.`);
  };
  const compare = button({ text: 'Compare', icon: 'diff', look: 'primary', onClick: () => void run() });
  const measure = button({ text: 'Evaluate on data…', icon: 'beaker', onClick: () => void evaluate() });
  const showState = () => {
    const state = app.document.get();
    const busy = app.job.get() !== undefined;
    const edited = (state?.steps.length ?? 0) > 0;
    compare.enable(edited && !busy);
    measure.enable(state?.trusted === true && !busy);
    if (!edited)
      result.replaceChildren(
        empty('Nothing has been changed yet. Apply a pass, then compare the result with the original here.'),
      );
    else if (shown !== state?.model)
      result.replaceChildren(empty('Compare the edited model with the file as it is on disk.'));
  };
  app.document.watch(showState);
  app.job.onChange(showState);
  const element = h(
    'div',
    { class: 'tab-body' },
    h('div', { class: 'toolbar' }, compare.element, measure.element),
    result,
  );
  return { element, run: () => void run() };
}

function view(app: App, { before, after, diff }: PageResult<'compare'>): HTMLElement {
  const row = (title: string, a: number | null, b: number | null, format: (value: number | null) => string) =>
    [title, beforeAfter(a, b, format, 'less')] as const;
  const names = (ids: readonly string[], there: boolean) =>
    ids
      .slice(0, 100)
      .map((id) =>
        there
          ? link(id, 'Select this layer', () => app.selection.set({ kind: 'layer', id }))
          : h('code', { text: id }),
      );
  const list = (title: string, items: readonly HTMLElement[], total: number) =>
    total === 0
      ? null
      : section(
          `${plural(total, 'layer')} ${title}`,
          { open: total <= 20 },
          h(
            'div',
            { class: 'names' },
            ...items,
            total > items.length ? `and ${total - items.length} more` : null,
          ),
        );
  const changed = diff.changed.slice(0, 100).map(({ id, classes }) =>
    h(
      'span',
      {},
      link(id, 'Select this layer', () => app.selection.set({ kind: 'layer', id })),
      h('span', { class: 'muted', text: ` ${classes.join(', ')}` }),
    ),
  );
  return h(
    'div',
    { class: 'columns' },
    h(
      'div',
      {},
      facts([
        row('File', before.fileBytes, after.fileBytes, bytes),
        row('Weights', before.weightBytes, after.weightBytes, bytes),
        row('Parameters', before.params, after.params, count),
        row('Work', before.macs, after.macs, macs),
        row('Peak activations', before.peakActivationBytes, after.peakActivationBytes, bytes),
        row('Layers', before.layerCount, after.layerCount, (value) =>
          value === null ? 'unknown' : String(value),
        ),
      ]),
      ...diff.notCovered.map((text) => h('p', { class: 'muted', text })),
    ),
    h(
      'div',
      {},
      list('changed', changed, diff.changed.length),
      list('added', names(diff.added, true), diff.added.length),
      list('removed', names(diff.removed, false), diff.removed.length),
      h('p', { class: 'muted', text: `${plural(diff.unchanged, 'layer')} unchanged.` }),
    ),
  );
}
