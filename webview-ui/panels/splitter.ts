import type { App } from '../app.ts';
import { h } from '../dom.ts';
import type { Signal } from '../signal.ts';

/** What the page has to share out, pixels. */
export interface Room {
  readonly width: number;
  readonly height: number;
}

export interface Pane {
  readonly element: HTMLElement;
  isOpen(): boolean;
  setOpen(open: boolean): void;
}

interface PaneOptions {
  readonly id: string;
  readonly label: string;
  readonly side: 'right' | 'bottom';
  readonly size: number;
  readonly least: number;
  /** Largest share of the room. */
  readonly most: number;
  /** In less room than this the pane is a drawer over its neighbour, closed until it is asked for. */
  readonly drawerBelow?: number;
  readonly content: HTMLElement;
}

/**
 * A pane at the right or the bottom that can be dragged, stepped with the arrow keys and folded away. It remembers its
 * size as it was chosen, whatever a small room makes of it. The element goes after the thing it shares the room with.
 */
export function createPane(app: App, room: Signal<Room>, options: PaneOptions): Pane {
  const { id, side, content, least } = options;
  const remembered = app.viewState.get('panes')[id];
  let size = remembered?.size ?? options.size;
  let open = remembered?.open ?? true;
  let pulledOut = false;
  const handle = sashOf(options);
  const element = h('div', { class: `pane pane-${side}` }, handle, content);

  const space = () => (side === 'right' ? room.get().width : room.get().height);
  const isDrawer = () => space() < (options.drawerBelow ?? 0);
  const isOpen = () => (isDrawer() ? pulledOut : open);
  const apply = () => {
    const drawer = isDrawer();
    if (!drawer) pulledOut = false;
    const shown = isOpen();
    element.classList.toggle('drawer', drawer);
    element.classList.toggle('folded', !shown);
    content.hidden = !shown;
    const most = space() * (drawer ? 0.85 : options.most);
    const clamped = Math.max(Math.min(least, most), Math.min(size, most));
    element.style.setProperty('flex-basis', shown ? `${clamped}px` : 'auto');
    element.style.setProperty('--drawer-size', `${clamped}px`);
    handle.setAttribute('aria-valuenow', String(Math.round(shown ? clamped : 0)));
  };
  const keep = () => {
    apply();
    app.viewState.set('panes', { ...app.viewState.get('panes'), [id]: { size, open } });
  };
  let cameFrom: Element | null = null;
  const pull = (out: boolean) => {
    pulledOut = out;
    if (out) cameFrom = document.activeElement;
    const inside = element.contains(document.activeElement);
    apply();
    if (out) content.focus();
    else if (inside && cameFrom instanceof HTMLElement) cameFrom.focus();
  };
  const setOpen = (next: boolean) => {
    if (next === isOpen()) return;
    if (isDrawer()) {
      pull(next);
      return;
    }
    open = next;
    keep();
  };
  const resize = (pixels: number) => {
    size = Math.max(least, pixels);
    open = true;
    keep();
  };

  handle.addEventListener('pointerdown', (event) => {
    handle.setPointerCapture(event.pointerId);
    const start = { size: element.getBoundingClientRect()[side === 'right' ? 'width' : 'height'], event };
    const drag = (move: PointerEvent) => {
      const delta =
        side === 'right' ? start.event.clientX - move.clientX : start.event.clientY - move.clientY;
      if (start.size + delta > least / 2) resize(start.size + delta);
      else setOpen(false);
    };
    handle.addEventListener('pointermove', drag);
    handle.addEventListener('lostpointercapture', () => handle.removeEventListener('pointermove', drag), {
      once: true,
    });
  });
  handle.addEventListener('dblclick', () => setOpen(!isOpen()));
  handle.addEventListener('keydown', (event) => {
    const [more, less] = side === 'right' ? ['ArrowLeft', 'ArrowRight'] : ['ArrowUp', 'ArrowDown'];
    if (event.key === more) resize(size + 24);
    else if (event.key === less) resize(size - 24);
    else if (event.key === 'Enter') setOpen(!isOpen());
    else return;
    event.preventDefault();
  });
  element.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && isDrawer()) setOpen(false);
  });
  room.watch(apply);
  return { element, isOpen, setOpen };
}

function sashOf({ label, side }: PaneOptions): HTMLElement {
  return h('div', {
    class: `sash sash-${side}`,
    title: 'Drag to resize, double-click to fold away',
    attributes: {
      role: 'separator',
      tabindex: 0,
      'aria-label': `Resize ${label}`,
      'aria-orientation': side === 'right' ? 'vertical' : 'horizontal',
    },
  });
}
