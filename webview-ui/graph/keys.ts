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
}

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
