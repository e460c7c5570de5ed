type Child = Node | string | null | undefined | false;

type Handlers = { readonly [K in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[K]) => void };

export interface ElementOptions {
  readonly class?: string;
  readonly title?: string;
  readonly text?: string;
  /** Attributes, ARIA included. `false` leaves one out. */
  readonly attributes?: Readonly<Record<string, string | number | boolean>>;
  readonly on?: Handlers;
}

/** An element with its children; `null` and `false` children are left out. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  options: ElementOptions = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  applyOptions(element, options);
  append(element, children);
  return element;
}

export function applyOptions(element: HTMLElement, options: ElementOptions): void {
  if (options.class !== undefined) element.className = options.class;
  if (options.title !== undefined) element.title = options.title;
  if (options.text !== undefined) element.textContent = options.text;
  for (const [name, value] of Object.entries(options.attributes ?? {})) {
    if (value === true) element.setAttribute(name, '');
    else if (value !== false) element.setAttribute(name, String(value));
  }
  for (const [type, listener] of Object.entries(options.on ?? {})) {
    element.addEventListener(type, listener as EventListener);
  }
}

export function append(parent: Element, children: readonly Child[]): void {
  for (const child of children) {
    if (child !== null && child !== undefined && child !== false) parent.append(child);
  }
}

/** A codicon; decoration only, so screen readers skip it. */
export function icon(name: string): HTMLElement {
  return h('span', { class: `codicon codicon-${name}`, attributes: { 'aria-hidden': 'true' } });
}

export function svg(
  tag: string,
  attributes: Readonly<Record<string, string | number>>,
  ...children: readonly (Node | string)[]
): SVGElement {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** Runs when what was changed is on screen; soon in any case, because a page out of sight paints nothing. */
export function afterPaint(run: () => void): void {
  let done = false;
  const once = () => {
    if (!done) run();
    done = true;
  };
  requestAnimationFrame(() => setTimeout(once, 0));
  setTimeout(once, 300);
}
