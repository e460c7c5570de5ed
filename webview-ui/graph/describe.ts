import { macs, plural } from '../format.ts';
import type { Scene } from './scene.ts';
import type { Walk } from './walk.ts';

/** One sentence about a box, for a screen reader and for the tooltip of a distant box. */
export function describeItem(scene: Scene, item: number, words: string, walk?: Walk): string {
  const { view, visible } = scene;
  const label = scene.labels[item]!;
  const findings = scene.findings[item]!;
  const around =
    walk === undefined
      ? ''
      : `, ${plural(walk.sources(item), 'input')}, ${plural(walk.readers(item), 'reader')}`;
  const problems = findings === 0 ? '' : `, ${plural(findings, 'finding')}`;
  if (visible.group[item]! >= 0) {
    return `Group ${label.title}, ${label.second}, ${label.third}, ${words}${problems}${around}`;
  }
  const v = visible.node[item]!;
  if (view.kind[v] !== 0) return `${label.title}, ${label.second}${around}`;
  const work = macs(view.macs[v]);
  const cost = view.macs[v]! > 0 && work !== words ? `, ${work}` : '';
  return `${label.title} ${label.third}, output ${label.second}${cost}, ${words}${problems}${around}`;
}

/** What an edge carries: "conv1: float32[1×16×32×32]", and how many more between the same boxes. */
export function describeEdge(scene: Scene, edge: number): string {
  const { visible, view } = scene;
  const more = visible.merged[edge]! - 1;
  const label = view.strings[view.edgeLabel[visible.edge[edge]!]!]!;
  return more === 0 ? label : `${label}\nand ${plural(more, 'more value')}`;
}
