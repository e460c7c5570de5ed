import type { App } from '../app.ts';
import { h } from '../dom.ts';
import { plural } from '../format.ts';
import { empty } from './parts.ts';
import { passForm } from './passForm.ts';
import { createPopover } from './popover.ts';

/** As many layers are asked what works on them; the pass itself leaves out what it cannot change. */
const asked = 12;

/** A pass on several layers at once, as one undoable edit. */
export function createBulk(app: App): {
  readonly element: HTMLElement;
  show(layers: readonly string[]): void;
} {
  let layers: readonly string[] = [];
  const forms = h('div', { class: 'bulk' });
  const popover = createPopover({
    icon: 'checklist',
    label: 'Apply a pass to the selected layers',
    content() {
      forms.replaceChildren(empty('Looking for passes…'));
      void fill(app, forms, layers);
      return [h('b', { text: plural(layers.length, 'layer') }), forms];
    },
  });
  const count = h('span', { class: 'muted', attributes: { 'aria-live': 'polite' } });
  const element = h('span', { class: 'bulk-tools' }, count, popover.element);
  element.hidden = true;
  return {
    element,
    show(next) {
      layers = next;
      element.hidden = next.length < 2;
      count.textContent = `${next.length} selected`;
    },
  };
}

async function fill(app: App, forms: HTMLElement, layers: readonly string[]): Promise<void> {
  try {
    const some = await Promise.all(layers.slice(0, asked).map((id) => app.host.call('node', { id })));
    const useful = new Set(some.flatMap(({ passes }) => passes));
    const { passes } = await app.host.call('passes', {});
    const offered = passes.filter(({ id }) => useful.has(id));
    forms.replaceChildren(
      ...(offered.length === 0
        ? [empty('No pass works on these layers.')]
        : offered.map((pass) => passForm(app, pass, { layers }))),
    );
  } catch (error) {
    forms.replaceChildren(h('p', { class: 'problem', text: (error as Error).message }));
  }
}
