import type { App } from '../app.ts';
import { h } from '../dom.ts';
import type { GraphPane } from '../graph/graphPane.ts';
import { findLayers } from '../graph/search.ts';
import { button, textField } from '../ui/controls.ts';

/** Finds layers by operator, name or shape; Enter goes on, Shift+Enter back, Escape clears. */
export function createSearch(app: App, graph: GraphPane): HTMLElement {
  const counter = h('span', { class: 'muted search-count', attributes: { 'aria-live': 'polite' } });
  let found: readonly number[] = [];
  let current = -1;

  const show = () => {
    graph.setMatches(found, current < 0 ? -1 : found[current]!);
    const searching = field.get().trim() !== '';
    counter.textContent = !searching
      ? ''
      : found.length === 0
        ? 'No results'
        : current < 0
          ? `${found.length} found`
          : `${current + 1} of ${found.length}`;
    previous.enable(found.length > 0);
    next.enable(found.length > 0);
  };
  const search = () => {
    const view = app.graph.get().value?.view;
    found = view === undefined ? [] : findLayers(view, field.get());
    current = -1;
    show();
  };
  const go = (way: 1 | -1) => {
    const view = app.graph.get().value?.view;
    if (view === undefined || found.length === 0) return;
    current =
      current < 0 ? (way === 1 ? 0 : found.length - 1) : (current + way + found.length) % found.length;
    graph.showLayer(view.strings[view.id[found[current]!]!]!);
    show();
  };
  const field = textField({
    label: 'Find layers by operator, name or shape',
    placeholder: 'Find layers',
    icon: 'search',
    onInput: search,
    onKey(event) {
      if (event.key === 'Enter') go(event.shiftKey ? -1 : 1);
      else if (event.key === 'Escape') {
        field.set('');
        search();
        graph.focus();
      }
    },
  });
  const previous = button({
    icon: 'arrow-up',
    label: 'Previous result',
    look: 'icon',
    onClick: () => go(-1),
  });
  const next = button({ icon: 'arrow-down', label: 'Next result', look: 'icon', onClick: () => go(1) });
  app.graph.watch(({ value }) => value !== undefined && search());
  document.addEventListener('keydown', (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'f') {
      event.preventDefault();
      event.stopPropagation();
      field.focus();
    }
  });
  show();
  return h(
    'span',
    { class: 'search', attributes: { role: 'search' } },
    field.element,
    counter,
    previous.element,
    next.element,
  );
}
