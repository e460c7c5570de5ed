import type { RecipeStep } from '../../src/engine/protocol.ts';
import type { Headline } from '../../src/engine/answers.ts';
import type { App } from '../app.ts';
import { openComparison } from '../compare/open.ts';
import { h } from '../dom.ts';
import { bytes, count as amount, fileName, macs, plural } from '../format.ts';
import { button } from '../ui/controls.ts';
import { beforeAfter, empty, link } from './parts.ts';

/** The steps so far, and those that redo would bring back. */
export function createRecipeTab(app: App): HTMLElement {
  const list = h('div', {
    class: 'result scroll',
    attributes: { tabindex: 0, role: 'region', 'aria-label': 'Steps' },
  });
  let points: readonly Headline[] = [];
  let call = 0;
  const undo = button({ text: 'Undo', icon: 'discard', onClick: () => app.tell('undo', {}) });
  const redo = button({ text: 'Redo', icon: 'redo', onClick: () => app.tell('redo', {}) });
  const show = () => {
    const { steps, undone } = app.document.get() ?? { steps: [], undone: [] };
    undo.enable(steps.length > 0);
    redo.enable(undone.length > 0);
    if (steps.length === 0 && undone.length === 0) {
      list.replaceChildren(
        empty(
          'No steps yet. Apply a pass from the details, from a finding or from the menu of a layer; every step can be undone.',
        ),
      );
      return;
    }
    list.replaceChildren(
      h(
        'ol',
        { class: 'steps' },
        ...steps.map((step, i) =>
          stepItem(app, step, { undone: false, before: points[i], after: points[i + 1], count: i }),
        ),
        ...undone.map((step) => stepItem(app, step, { undone: true })),
      ),
    );
  };
  /** What each step did in numbers; asked for when somebody looks. */
  const measure = async () => {
    const mine = ++call;
    const state = app.document.get();
    if (app.tab.get() !== 'recipe' || state === undefined || state.steps.length === 0) return;
    const history = await app.host.call('history', {}).catch(() => undefined);
    if (mine !== call || history === undefined) return;
    points = history.points;
    show();
  };
  app.document.watch(() => {
    points = [];
    show();
    void measure();
  });
  app.tab.onChange(() => void measure());
  app.passes.watch(show);
  return h('div', { class: 'tab-body' }, h('div', { class: 'toolbar' }, undo.element, redo.element), list);
}

interface StepLooks {
  readonly undone: boolean;
  readonly before?: Headline | undefined;
  readonly after?: Headline | undefined;
  /** Steps before this one. */
  readonly count?: number;
}

function stepItem(app: App, step: RecipeStep, { undone, before, after, count }: StepLooks): HTMLElement {
  const title = app.passes.get().value?.passes.find(({ id }) => id === step.pass)?.title ?? step.pass;
  const options = Object.entries(step.options ?? {}).map(([name, value]) => `${name} ${value}`);
  const where = step.layers === undefined ? [] : [plural(step.layers.length, 'layer')];
  const data = step.data === undefined ? [] : [`data ${fileName(step.data)}`];
  const known = before !== undefined && after !== undefined;
  return h(
    'li',
    { class: undone ? 'undone' : '' },
    h('b', { text: title }),
    h('span', {
      class: 'muted',
      text: ` ${[...options, ...where, ...data].join(', ')}${undone ? ' (undone)' : ''}`,
    }),
    known &&
      h(
        'div',
        { class: 'step-numbers' },
        h('span', {}, 'File ', beforeAfter(before.fileBytes, after.fileBytes, bytes, 'less')),
        h('span', {}, 'Parameters ', beforeAfter(before.params, after.params, amount, 'less')),
        h('span', {}, 'Work ', beforeAfter(before.macs, after.macs, macs, 'less')),
      ),
    count !== undefined &&
      link(
        'Compare with the model before this step',
        'Both graphs side by side',
        () => void openComparison(app, { kind: 'steps', count }),
      ),
  );
}
