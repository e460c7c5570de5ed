import type { GraphView } from '../../src/engine/view.ts';
import type { App } from '../app.ts';
import { h } from '../dom.ts';
import { bytes } from '../format.ts';
import { facts, heading, link } from './parts.ts';

/** What there is to say about an input or output of the graph. */
export function portDetails(app: App, index: number): HTMLElement {
  const { view } = app.graph.get().value!;
  const text = (column: Uint32Array) => view.strings[column[index]!]!;
  return h(
    'div',
    {},
    heading(view.kind[index] === 1 ? 'Graph input' : 'Graph output', text(view.name), [
      link('Whole model', 'Clear the selection', () => app.selection.set(undefined)),
    ]),
    facts([
      ['Shape', text(view.shape)],
      ['Type', elementType(view, index) ?? 'unknown'],
      ['Size', bytes(sizeOf(text(view.shape), elementType(view, index)))],
    ]),
  );
}

/** Element type of an input or output of the graph, as its edges have it: "image: float32[1×3×32×32]". */
function elementType(view: GraphView, index: number): string | undefined {
  const ends = view.kind[index] === 1 ? view.edgeFrom : view.edgeTo;
  const edge = ends.indexOf(index);
  if (edge < 0) return undefined;
  return /: (\w+)\[[^\]]*\]$/.exec(view.strings[view.edgeLabel[edge]!]!)?.[1];
}

/** Bytes of a tensor from words; `undefined` where a dimension or the width of an element is not a number. */
function sizeOf(shape: string, type: string | undefined): number | undefined {
  const bits = type === 'bool' ? 8 : Number(/^[a-z]+(\d+)/.exec(type ?? '')?.[1]);
  const elements = shape === 'scalar' ? 1 : shape.split('×').reduce((all, size) => all * Number(size), 1);
  return Number.isNaN(elements * bits) ? undefined : Math.ceil((elements * bits) / 8);
}
