import type { App } from '../app.ts';
import { h } from '../dom.ts';
import { type Suggestion, suggestionsFor } from '../graph/complete.ts';
import type { GraphPane } from '../graph/graphPane.ts';
import { fields } from '../graph/query.ts';
import { findLayers, rulesOf } from '../query.ts';
import { button } from '../ui/controls.ts';
import { textField } from '../ui/textField.ts';
import { createPopover } from './popover.ts';

const keptQueries = 20;

/** Finds layers by a query; Enter goes on, Shift+Enter back, Escape clears, the arrow down opens what may follow. */
export function createSearch(app: App, graph: GraphPane): HTMLElement {
  const counter = h('span', { class: 'muted search-count', attributes: { 'aria-live': 'polite' } });
  let found: readonly number[] = [];
  let problem: string | undefined;
  let current = -1;

  const words = () => {
    if (field.get().trim() === '') return '';
    if (problem !== undefined) return problem;
    if (found.length === 0) return 'No results';
    return current < 0 ? `${found.length} found` : `${current + 1} of ${found.length}`;
  };
  const show = () => {
    graph.setMatches(found, current < 0 ? -1 : found[current]!);
    counter.textContent = words();
    counter.title = problem ?? '';
    counter.classList.toggle('problem', problem !== undefined);
    counter.classList.toggle('muted', problem === undefined);
    previous.enable(found.length > 0);
    next.enable(found.length > 0);
  };
  const search = () => {
    ({ found, problem } = { problem: undefined, ...findLayers(app, field.get()) });
    current = -1;
    show();
  };
  const remember = () => {
    const query = field.get().trim();
    if (query === '' || found.length === 0) return;
    const others = app.viewState.get('queries').filter((each) => each !== query);
    app.viewState.set('queries', [query, ...others].slice(0, keptQueries));
  };
  const go = (way: 1 | -1) => {
    const view = app.graph.get().value?.view;
    if (view === undefined || found.length === 0) return;
    remember();
    current =
      current < 0 ? (way === 1 ? 0 : found.length - 1) : (current + way + found.length) % found.length;
    graph.showLayer(view.strings[view.id[found[current]!]!]!);
    show();
  };
  const field = textField({
    label: 'Find layers by words or fields, as in op:conv macs>1M',
    placeholder: 'Find layers',
    icon: 'search',
    onInput() {
      search();
      list.open();
    },
    onKey(event) {
      if (list.key(event)) return;
      if (event.key === 'Enter') go(event.shiftKey ? -1 : 1);
      else if (event.key === 'Escape') {
        field.set('');
        search();
        graph.focus();
      }
    },
  });
  const list = suggestionList(app, field, (query) => {
    field.set(query);
    search();
  });
  const previous = button({
    icon: 'arrow-up',
    label: 'Previous result',
    look: 'icon',
    onClick: () => go(-1),
  });
  const next = button({ icon: 'arrow-down', label: 'Next result', look: 'icon', onClick: () => go(1) });
  const help = createPopover({ icon: 'question', label: 'How to search', content: helpContent });
  app.graph.watch(({ value }) => value !== undefined && search());
  app.marked.onChange(() => /finding|severity/.test(field.get()) && search());
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
    h('span', { class: 'search-field' }, field.element, list.element),
    help.element,
    counter,
    previous.element,
    next.element,
  );
}

function helpContent(): readonly HTMLElement[] {
  return [
    h('p', { text: 'Words are looked for in operator, name, shape and id; all must be there.' }),
    h(
      'dl',
      { class: 'facts' },
      ...fields.flatMap(({ name, help }) => [
        h('dt', {}, h('code', { text: name })),
        h('dd', { text: help }),
      ]),
    ),
    h('p', {
      class: 'muted',
      text: ': looks inside a text (with * as a whole), = is the whole text, ~ a regular expression; numbers take > < >= <= and units. - negates, | separates alternatives, quotes keep spaces.',
    }),
  ];
}

interface SuggestionList {
  readonly element: HTMLElement;
  open(): void;
  /** Takes a key for itself; answers whether it did. */
  key(event: KeyboardEvent): boolean;
}

/** What may follow, under the field: a combobox with a list, where nothing is chosen until the arrow goes down. */
function suggestionList(
  app: App,
  field: ReturnType<typeof textField>,
  take: (query: string) => void,
): SuggestionList {
  const element = h('div', {
    class: 'suggestions',
    attributes: { role: 'listbox', id: 'search-suggestions', 'aria-label': 'Suggestions' },
  });
  element.hidden = true;
  let suggestions: readonly Suggestion[] = [];
  let at = -1;
  const close = () => {
    element.hidden = true;
    at = -1;
    field.describe({ 'aria-expanded': 'false' });
    field.refer(element, null);
  };
  const draw = () => {
    element.replaceChildren(
      ...suggestions.map(({ title, note, query }, i) =>
        h(
          'div',
          {
            class: 'suggestion',
            attributes: { role: 'option', id: `suggestion-${i}`, 'aria-selected': String(i === at) },
            on: { pointerdown: (event) => (event.preventDefault(), choose(query)) },
          },
          h('span', { class: 'suggestion-title', text: title }),
          h('span', { class: 'muted', text: note }),
        ),
      ),
    );
    element.children[at]?.scrollIntoView({ block: 'nearest' });
    field.describe({
      role: 'combobox',
      'aria-autocomplete': 'list',
      'aria-expanded': String(!element.hidden),
    });
    field.refer(element, element.children[at] ?? null);
    const chosen = suggestions[at];
    if (chosen !== undefined) app.heard.set(`${chosen.title}, ${at + 1} of ${suggestions.length}`);
  };
  const choose = (query: string) => {
    take(query);
    // A field waits for its value; anything else is complete.
    if (/[:>]$/.test(query)) open();
    else close();
  };
  const open = () => {
    const view = app.graph.get().value?.view;
    if (view === undefined) return;
    const history = app.viewState.get('queries');
    suggestions = suggestionsFor(field.get(), { view, rules: rulesOf(app), history });
    at = -1;
    element.hidden = suggestions.length === 0;
    draw();
  };
  field.element.addEventListener('focusout', close);
  return {
    element,
    open,
    key(event) {
      if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
        event.preventDefault();
        if (element.hidden) open();
        const count = suggestions.length;
        if (count === 0) return true;
        at = event.key === 'ArrowDown' ? (at + 1) % count : (at <= 0 ? count : at) - 1;
        draw();
        return true;
      }
      const chosen = suggestions[at];
      if (!element.hidden && chosen !== undefined && (event.key === 'Enter' || event.key === 'Tab')) {
        event.preventDefault();
        choose(chosen.query);
        return true;
      }
      if (event.key === 'Escape' && !element.hidden) {
        close();
        return true;
      }
      if (event.key === 'Enter') close();
      return false;
    },
  };
}
