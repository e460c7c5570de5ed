import { h } from '../dom.ts';
import { type Button, button } from '../ui/controls.ts';

interface Popover {
  /** The button and, when open, what it opens. */
  readonly element: HTMLElement;
  readonly button: Button;
  close(): void;
}

/** A button that opens a small sheet under itself; Escape, a click elsewhere and leaving by Tab close it. */
export function createPopover(options: {
  readonly icon: string;
  readonly label: string;
  /** Makes what the sheet shows, each time it opens. */
  readonly content: () => readonly HTMLElement[];
}): Popover {
  const sheet = h('div', {
    class: 'popover',
    attributes: { role: 'dialog', 'aria-label': options.label, tabindex: -1 },
  });
  sheet.hidden = true;
  const close = (back = true) => {
    if (sheet.hidden) return;
    sheet.hidden = true;
    opener.element.setAttribute('aria-expanded', 'false');
    if (back) opener.element.focus();
  };
  const open = () => {
    sheet.replaceChildren(...options.content());
    sheet.hidden = false;
    opener.element.setAttribute('aria-expanded', 'true');
    put(sheet, opener.element);
    sheet.focus();
  };
  const opener = button({
    icon: options.icon,
    label: options.label,
    look: 'icon',
    onClick: () => (sheet.hidden ? open() : close()),
  });
  opener.element.setAttribute('aria-haspopup', 'dialog');
  opener.element.setAttribute('aria-expanded', 'false');
  const element = h('span', { class: 'popover-anchor' }, opener.element, sheet);
  element.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    event.stopPropagation();
    close();
  });
  element.addEventListener('focusout', (event) => {
    const to = event.relatedTarget;
    if (to instanceof Node && !element.contains(to)) close(false);
  });
  // What the sheet shows may arrive later.
  new ResizeObserver(() => !sheet.hidden && put(sheet, opener.element)).observe(sheet);
  document.addEventListener('pointerdown', (event) => {
    if (!element.contains(event.target as Node)) close(false);
  });
  return { element, button: opener, close };
}

/** Under its button or, where there is more room, above it; inside the window whatever side the button is on. */
function put(sheet: HTMLElement, opener: HTMLElement): void {
  const { left, top, bottom } = opener.getBoundingClientRect();
  const above = bottom > window.innerHeight / 2;
  sheet.style.maxHeight = `${(above ? top : window.innerHeight - bottom) - 12}px`;
  sheet.style.left = `${Math.max(8, Math.min(left, window.innerWidth - sheet.offsetWidth - 8))}px`;
  sheet.style.top = above ? 'auto' : `${bottom + 4}px`;
  sheet.style.bottom = above ? `${window.innerHeight - top + 4}px` : 'auto';
}
