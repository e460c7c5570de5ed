import { h } from '../dom.ts';
import { keyHelp } from './keys.ts';

/** The list of keys over the graph; it takes the focus and gives it back. */
export function createKeyHelp(giveBack: () => void): { readonly element: HTMLElement; toggle(): void } {
  const element = h(
    'div',
    { class: 'key-help', attributes: { role: 'dialog', 'aria-label': 'Keys of the graph', tabindex: 0 } },
    h('h2', { text: 'Keys of the graph' }),
    h(
      'dl',
      { class: 'facts' },
      ...keyHelp.flatMap(([keys, what]) => [h('dt', {}, h('kbd', { text: keys })), h('dd', { text: what })]),
    ),
  );
  element.hidden = true;
  const toggle = () => {
    element.hidden = !element.hidden;
    if (element.hidden) giveBack();
    else element.focus();
  };
  element.addEventListener('keydown', (event) => {
    if (!['Escape', '?', 'Enter'].includes(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    toggle();
  });
  element.addEventListener('focusout', () => void (element.hidden = true));
  return { element, toggle };
}
