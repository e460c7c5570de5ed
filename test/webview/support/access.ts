import { readFile } from 'node:fs/promises';
import type * as axe from 'axe-core';
import type { Page } from 'playwright-core';

/**
 * What is wrong for those who do not see the page or have no mouse: all rules of axe-core, best practices among them, and
 * checks of our own that look into shadow roots and at the browser's accessibility tree.
 */
export async function accessProblems(page: Page): Promise<readonly string[]> {
  return [
    ...(await axeViolations(page)),
    ...(await namelessControls(page)),
    ...(await page.evaluate(inPage)),
  ];
}

let source: Promise<string> | undefined;

/** Evaluated by the debugger, because the page's policy lets no foreign script in. */
async function axeViolations(page: Page): Promise<readonly string[]> {
  source ??= readFile('node_modules/axe-core/axe.min.js', 'utf8');
  if (await page.evaluate(() => !('axe' in window))) await page.evaluate(await source);
  return page.evaluate(async () => {
    const { run } = (window as unknown as { axe: typeof axe }).axe;
    const { violations } = await run(document, { resultTypes: ['violations'] });
    return violations.flatMap(({ id, nodes }) =>
      nodes.map(({ target, failureSummary, any }) => {
        const data = JSON.stringify(any[0]?.data ?? '');
        return `axe ${id}: ${target.flat().join(' ')}: ${failureSummary?.split('\n').at(-1)?.trim() ?? ''} ${data}`;
      }),
    );
  });
}

const mustHaveNames: ReadonlySet<string> = new Set([
  'button',
  'checkbox',
  'combobox',
  'dialog',
  'grid',
  'treegrid',
  'image',
  'img',
  'link',
  'listbox',
  'menuitem',
  'option',
  'progressbar',
  'region',
  'slider',
  'tab',
  'textbox',
  'application',
]);

/** button-name, link-name, label, aria-input-field-name, role-img-alt, aria-dialog-name, aria-progressbar-name. */
async function namelessControls(page: Page): Promise<readonly string[]> {
  const session = await page.context().newCDPSession(page);
  const { nodes } = (await session.send('Accessibility.getFullAXTree')) as {
    nodes: readonly {
      ignored: boolean;
      role?: { value: string };
      name?: { value: string };
      properties?: readonly { name: string; value: { value: unknown } }[];
    }[];
  };
  await session.detach();
  return nodes
    .filter(({ ignored, role }) => !ignored && mustHaveNames.has(role?.value ?? ''))
    .filter(({ name }) => (name?.value ?? '').trim() === '')
    .map(({ role }) => `a ${role?.value} has no name`);
}

/** Runs in the page; everything it needs is inside. */
function inPage(): string[] {
  const problems: string[] = [];
  const say = (element: Element, what: string) => {
    const id = element.id === '' ? '' : `#${element.id}`;
    problems.push(`${element.tagName.toLowerCase()}${id}.${element.getAttribute('class') ?? ''}: ${what}`);
  };
  const everything = (root: ParentNode): Element[] =>
    [...root.querySelectorAll('*')].flatMap((element) =>
      element.shadowRoot === null ? [element] : [element, ...everything(element.shadowRoot)],
    );
  const visible = (element: Element) => {
    const { width, height } = element.getBoundingClientRect();
    return width > 0 && height > 0 && element.checkVisibility({ visibilityProperty: true });
  };
  const all = everything(document).filter(
    (element) => document.body.contains(element) || element.getRootNode() !== document,
  );
  const shown = all.filter(visible);

  if (document.documentElement.lang === '') problems.push('html: no language');
  if (document.title === '') problems.push('html: no title');
  if (document.querySelectorAll('main').length !== 1) problems.push('html: not one main landmark');

  // duplicate-id, within each tree of ids.
  const ids = new Map<Node, Set<string>>();
  for (const element of all) {
    if (element.id === '') continue;
    const own = ids.get(element.getRootNode()) ?? new Set<string>();
    if (own.has(element.id)) say(element, 'its id is used twice');
    ids.set(element.getRootNode(), own.add(element.id));
  }
  const composed = (element: Element): Element | null =>
    element.assignedSlot ??
    element.parentElement ??
    (element.getRootNode() instanceof ShadowRoot ? (element.getRootNode() as ShadowRoot).host : null);
  const roleAbove = (element: Element, roles: readonly string[]) => {
    for (let at = composed(element); at !== null; at = composed(at)) {
      const role = at.getAttribute('role') ?? at.tagName.toLowerCase();
      if (roles.includes(role)) return true;
    }
    return false;
  };
  // aria-required-parent.
  const parents: Readonly<Record<string, readonly string[]>> = {
    row: ['grid', 'treegrid', 'table', 'rowgroup'],
    gridcell: ['row'],
    columnheader: ['row'],
    option: ['listbox', 'group'],
    menuitem: ['menu', 'group'],
    tab: ['tablist'],
  };
  for (const element of shown) {
    const role = element.getAttribute('role');
    const wanted = role === null ? undefined : parents[role];
    if (wanted !== undefined && !roleAbove(element, wanted))
      say(element, `a ${role} outside ${wanted.join(' or ')}`);
    // aria-valid-attr-value: references lead somewhere.
    for (const attribute of [
      'aria-activedescendant',
      'aria-controls',
      'aria-labelledby',
      'aria-describedby',
      'aria-owns',
    ]) {
      for (const id of (element.getAttribute(attribute) ?? '').split(/\s+/).filter(Boolean)) {
        const root = element.getRootNode() as Document | ShadowRoot;
        if (root.getElementById(id) === null && document.getElementById(id) === null)
          say(element, `${attribute} names ${id}, which is not there`);
      }
    }
    if ((element as HTMLElement).tabIndex > 0) say(element, 'a positive tabindex');
    // aria-hidden-focus.
    const hidden = element.closest('[aria-hidden=true]');
    if (hidden !== null && (element as HTMLElement).tabIndex >= 0)
      say(element, 'can be focused although hidden from screen readers');
    // nested-interactive.
    if (
      element.matches('button, a[href], [role=button], [role=link]') &&
      element.querySelector('button, a[href], input, select') !== null
    )
      say(element, 'a control inside a control');
    // scrollable-region-focusable.
    const scrolls =
      element.scrollHeight > element.clientHeight + 2 &&
      ['auto', 'scroll'].includes(getComputedStyle(element).overflowY);
    if (
      scrolls &&
      (element as HTMLElement).tabIndex < 0 &&
      everything(element).every((inner) => (inner as HTMLElement).tabIndex < 0)
    )
      say(element, 'scrolls, but no key reaches it');
    // list and dl structure.
    if (element.matches('ul, ol') && [...element.children].some((child) => child.tagName !== 'LI'))
      say(element, 'a list with something else than items');
    if (element.matches('dt, dd') && element.closest('dl') === null)
      say(element, 'a term outside a list of terms');
  }

  // color-contrast.
  type Colour = [number, number, number, number];
  const colourOf = (text: string): Colour => {
    const [r = 0, g = 0, b = 0, a = 1] = (text.match(/[\d.]+/g) ?? []).map(Number);
    return text.startsWith('color(srgb') ? [r * 255, g * 255, b * 255, a] : [r, g, b, a];
  };
  const over = (top: Colour, below: Colour): Colour => {
    const mix = (i: 0 | 1 | 2) => top[i] * top[3] + below[i] * (1 - top[3]);
    return [mix(0), mix(1), mix(2), 1];
  };
  const backgroundOf = (element: Element): Colour => {
    const layers: Colour[] = [];
    for (let at: Element | null = element; at !== null; at = composed(at)) {
      const colour = colourOf(getComputedStyle(at).backgroundColor);
      if (colour[3] > 0) layers.push(colour);
      if (colour[3] === 1) break;
    }
    return layers.reduceRight((below, top) => over(top, below), [255, 255, 255, 1] as Colour);
  };
  const luminance = ([r, g, b]: Colour) => {
    const part = (value: number) => {
      const x = value / 255;
      return x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
    };
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const disabled = (element: Element): boolean => {
    for (let at: Element | null = element; at !== null; at = composed(at))
      if (at.hasAttribute('disabled') || at.getAttribute('aria-disabled') === 'true') return true;
    return false;
  };
  for (const element of shown) {
    const own = [...element.childNodes].some(
      (node) => node.nodeType === 3 && (node.textContent ?? '').trim() !== '',
    );
    if (!own || disabled(element) || element.closest('.hidden-text') !== null) continue;
    const style = getComputedStyle(element);
    const background = backgroundOf(element);
    const colour = over(colourOf(element.closest('svg') === null ? style.color : style.fill), background);
    const [light, dark] = [luminance(colour), luminance(background)].sort((a, b) => b - a) as [
      number,
      number,
    ];
    const ratio = (light + 0.05) / (dark + 0.05);
    const size = Number.parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5))
      say(element, `contrast ${ratio.toFixed(2)} of "${(element.textContent ?? '').trim().slice(0, 30)}"`);
  }
  return [...new Set(problems)];
}
