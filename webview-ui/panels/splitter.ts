import type { App } from '../app.ts';
import { h } from '../dom.ts';

export interface Pane {
  readonly element: HTMLElement;
  isOpen(): boolean;
  setOpen(open: boolean): void;
}

/**
 * A pane at the right or the bottom that can be dragged, stepped with the arrow keys and folded away. It remembers its
 * size. The element goes after the thing it shares the room with.
 */
export function createPane(
  app: App,
  options: {
    readonly id: string;
    readonly label: string;
    readonly side: 'right' | 'bottom';
    readonly size: number;
    readonly least: number;
    readonly content: HTMLElement;
  },
): Pane {
  const { id, side, content } = options;
  const remembered = app.viewState.get('panes')[id];
  let size = remembered?.size ?? options.size;
  let open = remembered?.open ?? true;
  const handle = h('div', {
    class: `sash sash-${side}`,
    title: 'Drag to resize, double-click to fold away',
    attributes: {
      role: 'separator',
      tabindex: 0,
      'aria-label': `Resize ${options.label}`,
      'aria-orientation': side === 'right' ? 'vertical' : 'horizontal',
    },
  });
  const element = h('div', { class: `pane pane-${side}` }, handle, content);

  const apply = () => {
    element.classList.toggle('folded', !open);
    content.hidden = !open;
    const room = side === 'right' ? window.innerWidth : window.innerHeight;
    // A small window, or a large zoom, leaves the graph the larger part.
    const share = room < 700 ? 0.42 : 0.6;
    const clamped = Math.max(Math.min(options.least, room * share), Math.min(size, room * share));
    element.style.setProperty('flex-basis', open ? `${clamped}px` : 'auto');
    handle.setAttribute('aria-valuenow', String(Math.round(open ? clamped : 0)));
    app.viewState.set('panes', { ...app.viewState.get('panes'), [id]: { size, open } });
  };
  const setOpen = (next: boolean) => {
    if (next === open) return;
    open = next;
    apply();
  };
  const grow = (pixels: number) => {
    size = Math.max(options.least, size + pixels);
    open = true;
    apply();
  };

  handle.addEventListener('pointerdown', (event) => {
    handle.setPointerCapture(event.pointerId);
    const start = { size: element.getBoundingClientRect()[side === 'right' ? 'width' : 'height'], event };
    const drag = (move: PointerEvent) => {
      const delta =
        side === 'right' ? start.event.clientX - move.clientX : start.event.clientY - move.clientY;
      open = start.size + delta > options.least / 2;
      if (open) size = Math.max(options.least, start.size + delta);
      apply();
    };
    handle.addEventListener('pointermove', drag);
    handle.addEventListener('lostpointercapture', () => handle.removeEventListener('pointermove', drag), {
      once: true,
    });
  });
  handle.addEventListener('dblclick', () => setOpen(!open));
  handle.addEventListener('keydown', (event) => {
    const [more, less] = side === 'right' ? ['ArrowLeft', 'ArrowRight'] : ['ArrowUp', 'ArrowDown'];
    if (event.key === more) grow(24);
    else if (event.key === less) grow(-24);
    else if (event.key === 'Enter') setOpen(!open);
    else return;
    event.preventDefault();
  });
  window.addEventListener('resize', apply);
  apply();
  return { element, isOpen: () => open, setOpen };
}
