import type { RecipeStep } from '../../src/engine/protocol.ts';
import type { App } from '../app.ts';
import { h } from '../dom.ts';
import { fileName, plural } from '../format.ts';
import { button } from '../ui/controls.ts';
import { empty } from './parts.ts';

/** The steps so far, and those that redo would bring back. */
export function createRecipeTab(app: App): HTMLElement {
  const list = h('div', { class: 'result' });
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
        ...steps.map((step) => stepItem(app, step, false)),
        ...undone.map((step) => stepItem(app, step, true)),
      ),
    );
  };
  app.document.watch(show);
  app.passes.watch(show);
  return h('div', { class: 'tab-body' }, h('div', { class: 'toolbar' }, undo.element, redo.element), list);
}

function stepItem(app: App, step: RecipeStep, undone: boolean): HTMLElement {
  const title = app.passes.get().value?.passes.find(({ id }) => id === step.pass)?.title ?? step.pass;
  const options = Object.entries(step.options ?? {}).map(([name, value]) => `${name} ${value}`);
  const where = step.layers === undefined ? [] : [plural(step.layers.length, 'layer')];
  const data = step.data === undefined ? [] : [`data ${fileName(step.data)}`];
  return h(
    'li',
    { class: undone ? 'undone' : '' },
    h('b', { text: title }),
    h('span', {
      class: 'muted',
      text: ` ${[...options, ...where, ...data].join(', ')}${undone ? ' (undone)' : ''}`,
    }),
  );
}
