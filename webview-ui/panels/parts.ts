import type { Finding } from '../../src/engine/protocol.ts';
import type { App } from '../app.ts';
import { h, icon } from '../dom.ts';
import { change, isSame } from '../format.ts';
import { button } from '../ui/controls.ts';
import { applyPass } from './actions.ts';

/** A section of the details that folds. */
export function section(
  title: string,
  options: { readonly open: boolean },
  ...children: readonly (Node | null)[]
): HTMLElement {
  return h(
    'details',
    { class: 'section', attributes: { open: options.open } },
    h('summary', { text: title }),
    h('div', { class: 'section-body' }, ...children),
  );
}

/** Names and values in two columns. */
export function facts(rows: readonly (readonly [string, string | Node])[]): HTMLElement {
  return h(
    'dl',
    { class: 'facts' },
    ...rows.flatMap(([name, value]) => [h('dt', { text: name }), h('dd', {}, value)]),
  );
}

/** What to do next, where there is nothing to show. */
export function empty(text: string, ...more: readonly Node[]): HTMLElement {
  return h('div', { class: 'empty' }, h('p', { text }), ...more);
}

export function link(text: string, title: string, act: () => void): HTMLElement {
  return h('button', { class: 'link', text, title, attributes: { type: 'button' }, on: { click: act } });
}

/** Two numbers, an arrow and a signed percentage; `less` says whether smaller is better. */
export function beforeAfter(
  before: number | null,
  after: number | null,
  format: (value: number | null) => string,
  better: 'less' | 'more' | 'neither',
): HTMLElement {
  const same = before === null || after === null || better === 'neither' || isSame(before, after);
  const good = same ? undefined : better === 'less' ? after! < before! : after! > before!;
  const tone = good === undefined ? 'muted' : good ? 'good' : 'bad';
  return h(
    'span',
    { class: 'before-after' },
    h('span', { class: 'muted', text: format(before) }),
    h('span', { text: ' → ', attributes: { 'aria-label': 'to' } }),
    h('b', { text: format(after) }),
    h('span', { class: `change ${tone}`, text: change(before, after) }),
  );
}

const icons = { error: 'error', warning: 'warning', information: 'info', hint: 'lightbulb' } as const;

/** A finding with its fixes; its layer is a link when asked for. */
export function findingCard(
  app: App,
  finding: Finding,
  options: { readonly withLayer: boolean },
): HTMLElement {
  const picture = icon(icons[finding.severity]);
  picture.classList.add(`severity-${finding.severity}`);
  const { layer } = finding;
  const layerLink =
    options.withLayer && layer !== undefined
      ? link(layer, 'Select this layer', () => app.selection.set({ kind: 'layer', id: layer }))
      : null;
  return h(
    'div',
    { class: 'finding' },
    picture,
    h(
      'div',
      { class: 'finding-body' },
      h('div', {}, h('span', { class: 'hidden-text', text: `${finding.severity}: ` }), finding.message),
      h(
        'div',
        { class: 'finding-links muted' },
        layerLink,
        link(finding.rule, 'What this rule means', () => app.tell('showRule', { rule: finding.rule })),
      ),
      ...finding.fixes.map((fix) => {
        const apply = () =>
          void applyPass(app, {
            pass: fix.pass,
            options: fix.options,
            title: fix.title,
            ...(fix.layers === undefined ? {} : { layers: fix.layers }),
          });
        return button({ text: fix.title, icon: 'lightbulb-autofix', onClick: apply }).element;
      }),
    ),
  );
}

/** The title of what the details are about, its name, and where to go from there. */
export function heading(title: string, name: string, buttons: readonly Node[]): HTMLElement {
  return h(
    'div',
    { class: 'heading' },
    h('h2', { text: title }),
    h('div', { class: 'muted name', text: name, title: name }),
    h('div', { class: 'heading-links' }, ...buttons),
  );
}
