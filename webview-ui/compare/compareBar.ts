import type { App } from '../app.ts';
import { h } from '../dom.ts';
import { bytes, count, macs, plural } from '../format.ts';
import { beforeAfter } from '../panels/parts.ts';
import { button } from '../ui/controls.ts';
import { type Change, type Comparison, differencesOf } from './comparison.ts';
import { closeComparison } from './open.ts';

/** What is compared, the numbers that moved, and the way from one difference to the next. */
export function createCompareBar(app: App): HTMLElement {
  const words = h('div', { class: 'compare-words' });
  const previous = button({
    icon: 'arrow-up',
    label: 'Previous difference',
    look: 'icon',
    onClick: () => step(app, -1),
  });
  const next = button({
    icon: 'arrow-down',
    label: 'Next difference',
    look: 'icon',
    onClick: () => step(app, 1),
  });
  const texts = button({
    icon: 'file-code',
    label: 'Compare as text',
    look: 'icon',
    onClick: () => {
      const against = app.comparison.get()?.against;
      if (against?.kind === 'file') app.tell('compareTexts', { path: against.path });
    },
  });
  const close = button({
    icon: 'close',
    label: 'Close the comparison',
    look: 'icon',
    onClick: () => closeComparison(app),
  });
  const element = h(
    'div',
    { class: 'compare-bar', attributes: { role: 'region', 'aria-label': 'Comparison' } },
    words,
    h('span', { class: 'strip-gap' }),
    previous.element,
    next.element,
    texts.element,
    close.element,
  );
  app.comparison.watch((comparison) => {
    element.hidden = comparison === undefined;
    if (comparison === undefined) return;
    texts.element.hidden = comparison.against.kind !== 'file';
    const any = comparison.changes.size + comparison.otherChanges.size > 0;
    previous.enable(any);
    next.enable(any);
    words.replaceChildren(...wordsOf(comparison));
  });
  return element;
}

function wordsOf({ before, after, diff }: Comparison): readonly HTMLElement[] {
  const number = (
    name: string,
    a: number | null,
    b: number | null,
    format: (value: number | null) => string,
  ): HTMLElement =>
    h(
      'span',
      { class: 'compare-number' },
      h('span', { class: 'muted', text: `${name} ` }),
      beforeAfter(a, b, format, 'less'),
    );
  const kinds: readonly (readonly [Change, number])[] = [
    ['changed', diff.changed.length],
    ['added', diff.added.length],
    ['removed', diff.removed.length],
  ];
  const differs = kinds.filter(([, many]) => many > 0);
  return [
    ...(differs.length === 0
      ? [h('span', { class: 'muted', text: `no layer differs, ${plural(diff.unchanged, 'layer')} match` })]
      : differs.map(([kind, many]) =>
          h('span', { class: `change-chip change-${kind}`, text: `${many} ${kind}` }),
        )),
    number('File', before.fileBytes, after.fileBytes, bytes),
    number('Parameters', before.params, after.params, count),
    number('Work', before.macs, after.macs, macs),
    number('Activations', before.peakActivationBytes, after.peakActivationBytes, bytes),
  ];
}

/** The next layer that differs, seen from the selected one, round and round. */
export function step(app: App, way: 1 | -1): void {
  const comparison = app.comparison.get();
  const graph = app.graph.get().value;
  if (comparison === undefined || graph === undefined) return;
  const all = differencesOf(comparison, graph).filter(({ after }) => after >= 0);
  if (all.length === 0) return app.say('What differs is gone from this model; the table lists it.');
  const selection = app.selection.get();
  const at = selection?.kind === 'layer' ? (graph.indexOf.get(selection.id) ?? -1) : -1;
  const following = way === 1 ? all.find(({ after }) => after > at) : all.findLast(({ after }) => after < at);
  const { id, change, classes } = following ?? all.at(way === 1 ? 0 : -1)!;
  app.show.get()?.(id);
  app.say(`${change}${classes.length === 0 ? '' : `: ${classes.join(', ')}`}`);
}
