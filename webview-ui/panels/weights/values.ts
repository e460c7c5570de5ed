import type { App } from '../../app.ts';
import { h } from '../../dom.ts';
import { digits, grouped } from '../../format.ts';
import { button } from '../../ui/controls.ts';
import { textField } from '../../ui/textField.ts';

interface Constant {
  readonly value: string;
  readonly graph: number;
  readonly name: string;
}

interface ValuesPager {
  readonly element: HTMLElement;
  show(constant: Constant, dims: readonly number[]): void;
  /** Shows the page that holds an element. */
  goTo(index: number): void;
}

const across = 8;
const perPage = 256;

/** Elements of a constant, a page at a time, with the index of each row's first. */
export function createValues(app: App): ValuesPager {
  const table = h('table', { class: 'values', attributes: { 'aria-label': 'Values' } });
  const words = h('span', { class: 'muted' });
  let constant: Constant | undefined;
  let dims: readonly number[] = [];
  let offset = 0;
  let call = 0;
  const elements = () => dims.reduce((product, dim) => product * dim, 1);

  const show = async () => {
    if (constant === undefined) return;
    const mine = ++call;
    const { value, graph } = constant;
    try {
      const page = await app.host.call('tensorPage', { value, graph, offset, count: perPage });
      if (mine !== call) return;
      table.replaceChildren(...rowsOf(page.values, page.offset, dims));
      const last = page.offset + page.values.length - 1;
      words.textContent = `${grouped(page.offset)} to ${grouped(last)} of ${grouped(elements())}`;
      back.enable(page.offset > 0);
      on.enable(last < elements() - 1);
    } catch (error) {
      if (mine === call)
        table.replaceChildren(h('caption', { class: 'problem', text: (error as Error).message }));
    }
  };
  const goTo = (index: number) => {
    const last = Math.max(0, Math.floor((elements() - 1) / perPage) * perPage);
    offset = Math.max(0, Math.min(last, Math.floor(index / perPage) * perPage));
    void show();
  };
  const back = button({
    icon: 'arrow-left',
    label: 'Previous values',
    look: 'icon',
    onClick: () => goTo(offset - perPage),
  });
  const on = button({
    icon: 'arrow-right',
    label: 'Next values',
    look: 'icon',
    onClick: () => goTo(offset + perPage),
  });
  const field = textField({
    label: 'Go to an index, as in 3, 0, 1, 1',
    placeholder: 'Go to index',
    onInput: () => undefined,
    onKey(event) {
      if (event.key === 'Enter') goTo(flatIndex(field.get(), dims));
    },
  });
  return {
    element: h(
      'div',
      { class: 'values-pane' },
      h('div', { class: 'toolbar' }, back.element, on.element, words, field.element),
      h(
        'div',
        { class: 'scroll', attributes: { tabindex: 0, role: 'region', 'aria-label': 'Values' } },
        table,
      ),
    ),
    show(next, nextDims) {
      constant = next;
      dims = nextDims;
      goTo(0);
    },
    goTo,
  };
}

/** "3, 0, 1" under the shape, or a flat number. */
function flatIndex(text: string, dims: readonly number[]): number {
  const parts = text
    .split(/[^\d]+/)
    .filter((part) => part !== '')
    .map(Number);
  if (parts.length <= 1) return parts[0] ?? 0;
  return dims.reduce((index, dim, axis) => index * dim + Math.min(dim - 1, parts[axis] ?? 0), 0);
}

/** [2, 0, 1] for a flat index under the shape. */
function indexUnder(flat: number, dims: readonly number[]): readonly number[] {
  const index: number[] = [];
  let rest = flat;
  for (let axis = dims.length - 1; axis >= 0; axis--) {
    index.unshift(rest % dims[axis]!);
    rest = Math.floor(rest / dims[axis]!);
  }
  return index;
}

function rowsOf(values: Float64Array, offset: number, dims: readonly number[]): readonly HTMLElement[] {
  const rows: HTMLElement[] = [];
  for (let i = 0; i < values.length; i += across) {
    rows.push(
      h(
        'tr',
        {},
        h('th', { text: `[${indexUnder(offset + i, dims).join(', ')}]`, attributes: { scope: 'row' } }),
        ...Array.from(values.subarray(i, i + across), (value) => h('td', { text: digits(value) })),
      ),
    );
  }
  return rows;
}
