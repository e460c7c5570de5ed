import type { GraphView } from '../../src/engine/view.ts';

/** Layers whose operator, name, shape or id holds every word, in file order. */
export function findLayers(view: GraphView, query: string): readonly number[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return [];
  // Each distinct string is looked at once per word: operators and shapes repeat a thousand times.
  const lower = view.strings.map((text) => text.toLowerCase().replaceAll('×', 'x'));
  const holds = words.map((word) => lower.map((text) => text.includes(word.replaceAll('×', 'x'))));
  const found: number[] = [];
  for (let v = 0; v < view.nodeCount; v++) {
    const all = holds.every(
      (has) => has[view.op[v]!]! || has[view.name[v]!]! || has[view.shape[v]!]! || has[view.id[v]!]!,
    );
    if (all) found.push(v);
  }
  return found;
}
