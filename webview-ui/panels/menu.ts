import type { Finding } from '../../src/engine/protocol.ts';
import type { App } from '../app.ts';
import { h } from '../dom.ts';
import type { GraphModel } from '../graph/graphModel.ts';
import type { Scene } from '../graph/scene.ts';
import { applyPass, copyText } from './actions.ts';

interface Menu {
  readonly element: HTMLElement;
  open(place: { x: number; y: number }, item: number, scene: Scene, model: GraphModel): void;
}

interface Looks {
  readonly app: App;
  readonly scene: Scene;
  readonly model: GraphModel;
  readonly showTable: () => void;
}

interface Entry {
  readonly text: string;
  readonly act: () => void;
}

/** The menu of a box: what it can be fixed with, the passes that apply, where else to look. */
export function createMenu(app: App, showTable: () => void): Menu {
  const element = h('div', { class: 'menu', attributes: { role: 'menu' } });
  element.hidden = true;
  let opener: HTMLElement | null = null;
  let call = 0;

  const close = () => {
    if (element.hidden) return;
    element.hidden = true;
    opener?.focus();
  };
  const show = (groups: readonly (readonly Entry[])[], waiting: boolean) => {
    const focused = [...element.querySelectorAll('button')].indexOf(
      document.activeElement as HTMLButtonElement,
    );
    element.replaceChildren(
      ...groups
        .filter((group) => group.length > 0)
        .map((group) =>
          h(
            'div',
            { class: 'menu-group', attributes: { role: 'group' } },
            ...group.map((entry) => itemOf(entry, close)),
          ),
        ),
    );
    if (waiting) element.append(h('div', { class: 'menu-wait muted', text: 'Looking for passes…' }));
    element.querySelectorAll('button')[Math.max(0, focused)]?.focus();
  };

  element.addEventListener('keydown', (event) => {
    const items = [...element.querySelectorAll('button')];
    const at = items.indexOf(document.activeElement as HTMLButtonElement);
    if (event.key === 'Escape' || event.key === 'Tab') close();
    else if (event.key === 'ArrowDown') items[(at + 1) % items.length]?.focus();
    else if (event.key === 'ArrowUp') items[(at - 1 + items.length) % items.length]?.focus();
    else if (event.key === 'Home') items[0]?.focus();
    else if (event.key === 'End') items[items.length - 1]?.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  document.addEventListener('pointerdown', (event) => {
    if (!element.contains(event.target as Node)) element.hidden = true;
  });
  window.addEventListener('blur', () => void (element.hidden = true));

  return {
    element,
    open(place, item, scene, model) {
      opener = document.activeElement as HTMLElement | null;
      const group = scene.visible.group[item]!;
      const id = scene.view.strings[scene.view.layer[scene.visible.node[item]!]!]!;
      const operator = group < 0 && scene.view.kind[scene.visible.node[item]!] === 0;
      const looks = looksOf({ app, scene, model, showTable }, item, id);
      const mine = ++call;
      element.hidden = false;
      show([looks], operator);
      put(element, place);
      if (!operator) return;
      void passEntries(app, id).then((entries) => {
        if (mine !== call || element.hidden) return;
        show([...entries, looks], false);
        put(element, place);
      });
    },
  };
}

/** Beside the place, inside the window. */
function put(element: HTMLElement, { x, y }: { x: number; y: number }): void {
  element.style.left = `${Math.max(4, Math.min(x, window.innerWidth - element.offsetWidth - 4))}px`;
  element.style.top = `${Math.max(4, Math.min(y, window.innerHeight - element.offsetHeight - 4))}px`;
}

function itemOf({ text, act }: Entry, close: () => void): HTMLElement {
  const run = () => {
    close();
    act();
  };
  return h('button', { text, attributes: { role: 'menuitem', type: 'button' }, on: { click: run } });
}

function looksOf({ app, scene, model, showTable }: Looks, item: number, id: string): readonly Entry[] {
  const group = scene.visible.group[item]!;
  const around = group >= 0 ? scene.tree.groups[group]!.parent : scene.tree.of[scene.visible.node[item]!]!;
  return [
    ...(group >= 0 ? [{ text: 'Unfold group', act: () => model.toggle(group) }] : []),
    ...(around >= 0
      ? [{ text: `Fold ${scene.tree.groups[around]!.title}`, act: () => model.foldAround(item) }]
      : []),
    ...(group < 0
      ? [
          { text: 'Show in table', act: showTable },
          { text: 'Show in text form', act: () => app.tell('showText', { layer: id }) },
          { text: 'Copy id', act: () => void copyText(app, id, 'the id') },
        ]
      : [{ text: 'Copy name', act: () => void copyText(app, scene.tree.groups[group]!.key, 'the name') }]),
  ];
}

async function passEntries(app: App, id: string): Promise<readonly (readonly Entry[])[]> {
  try {
    const [details, { passes }] = await Promise.all([
      app.host.call('node', { id }),
      app.host.call('passes', {}),
    ]);
    const offered = passes.filter((pass) => details.passes.includes(pass.id));
    return [
      details.findings.flatMap((finding) => fixEntries(app, finding)),
      offered.map((pass) => ({
        text: `${pass.title} (this layer)`,
        act: () => {
          const options = Object.fromEntries(pass.options.map((option) => [option.name, option.default]));
          void applyPass(app, { pass: pass.id, options, layers: [id], title: pass.title });
        },
      })),
    ];
  } catch (error) {
    app.say(`The passes of this layer are not known: ${(error as Error).message}`, { error: true });
    return [];
  }
}

function fixEntries(app: App, finding: Finding): readonly Entry[] {
  return finding.fixes.map((fix) => ({
    text: `Fix: ${fix.title}`,
    act: () =>
      void applyPass(app, {
        pass: fix.pass,
        options: fix.options,
        title: fix.title,
        ...(fix.layers === undefined ? {} : { layers: fix.layers }),
      }),
  }));
}
