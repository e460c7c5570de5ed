import type { Step } from './walk.ts';

export interface KeyActions {
  zoom(factor: number): void;
  fitWidth(): void;
  fitWhole(): void;
  step(way: Step): void;
  /** The first box, or the last one. */
  end(last: boolean): void;
  open(): void;
  fold(): void;
  clear(): void;
  menu(): void;
  /** The next box with a finding, the next one less hot, the next one that differs; back again with `-1`. */
  finding(way: 1 | -1): void;
  hotSpot(way: 1 | -1): void;
  difference(way: 1 | -1): void;
  help(): void;
}

/** What the keys do, as the help shows it. */
export const keyHelp: readonly (readonly [keys: string, what: string])[] = [
  ['↑ ↓', 'to the producer, to the consumer'],
  ['← →', 'along the row'],
  ['Home, End', 'first and last box'],
  ['Enter', 'into a folded group'],
  ['Backspace', 'out: fold the group around'],
  ['N, Shift+N', 'next finding, back'],
  ['H, Shift+H', 'next hot spot, from the hottest down, back'],
  ['D, Shift+D', 'next difference to the model beside, back'],
  ['Shift+F10', 'fixes and passes of the box'],
  ['+ −', 'zoom'],
  ['0, 9', 'fit the width, fit everything'],
  ['Ctrl+F', 'search'],
  ['Escape', 'clear the selection'],
  ['?', 'this list'],
];

export function listenToKeys(canvas: HTMLCanvasElement, actions: KeyActions): void {
  const byKey: Readonly<Record<string, () => void>> = {
    ArrowUp: () => actions.step('up'),
    ArrowDown: () => actions.step('down'),
    ArrowLeft: () => actions.step('left'),
    ArrowRight: () => actions.step('right'),
    Home: () => actions.end(false),
    End: () => actions.end(true),
    Enter: () => actions.open(),
    Backspace: () => actions.fold(),
    Escape: () => actions.clear(),
    ContextMenu: () => actions.menu(),
    '+': () => actions.zoom(1.25),
    '=': () => actions.zoom(1.25),
    '-': () => actions.zoom(0.8),
    '0': () => actions.fitWidth(),
    '9': () => actions.fitWhole(),
    n: () => actions.finding(1),
    N: () => actions.finding(-1),
    h: () => actions.hotSpot(1),
    H: () => actions.hotSpot(-1),
    d: () => actions.difference(1),
    D: () => actions.difference(-1),
    '?': () => actions.help(),
  };
  canvas.addEventListener('keydown', (event) => {
    // Shortcuts of VS Code go through untouched.
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const action = event.key === 'F10' && event.shiftKey ? () => actions.menu() : byKey[event.key];
    if (action === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  });
}
