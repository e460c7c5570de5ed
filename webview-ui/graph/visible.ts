import type { GraphView } from '../../src/engine/view.ts';
import type { FoldTree } from './foldTree.ts';
import { type Shown, cardsOf, nothingShown } from './hiding.ts';

/** Which groups are open, and which kinds of small layers have cards of their own. */
interface Folds {
  readonly unfolded: ReadonlySet<number>;
  readonly show: Shown;
}

/** What is on the canvas: layers and folded groups, with the edges between them. */
export interface Visible {
  readonly count: number;
  /** Group behind an item, -1 when it is a layer. */
  readonly group: Int32Array;
  /** The layer, or the group's first layer. */
  readonly node: Uint32Array;
  /** Item that shows a layer. */
  readonly itemOf: Uint32Array;
  readonly from: Uint32Array;
  readonly to: Uint32Array;
  /** One of the edges of the view each visible edge stands for, and how many it stands for. */
  readonly edge: Uint32Array;
  readonly merged: Uint32Array;
}

/** A model this small opens unfolded. */
const unfoldedLimit = 200;
/** How many boxes a folded model should open with at most. */
const readable = 60;

/** Groups that are unfolded when the levels above `level` are. */
export function unfoldedAt(tree: FoldTree, level: number): Set<number> {
  return new Set(tree.groups.flatMap((group, g) => (group.depth < level ? [g] : [])));
}

/** The deepest level that still opens with a readable number of boxes. */
export function openingLevel(view: GraphView, tree: FoldTree): number {
  let cards = 0;
  cardsOf(tree.hosts, nothingShown).forEach((card, v) => (cards += Number(card === v)));
  if (cards < unfoldedLimit) return tree.depth;
  let level = 0;
  while (level < tree.depth && countVisible(view, tree, level + 1) <= readable) level++;
  return level;
}

function countVisible(view: GraphView, tree: FoldTree, level: number): number {
  return itemsOf(view, tree, { unfolded: unfoldedAt(tree, level), show: nothingShown }).count;
}

/** The outermost folded group around each group, itself included, or -1. */
function foldedAround(tree: FoldTree, unfolded: ReadonlySet<number>): Int32Array {
  const folded = new Int32Array(tree.groups.length);
  tree.groups.forEach(({ parent }, g) => {
    const above = parent < 0 ? -1 : folded[parent]!;
    folded[g] = above >= 0 ? above : unfolded.has(g) ? -1 : g;
  });
  return folded;
}

function itemsOf(view: GraphView, tree: FoldTree, { unfolded, show }: Folds) {
  const folded = foldedAround(tree, unfolded);
  const card = cardsOf(tree.hosts, show);
  const itemOfGroup = new Int32Array(tree.groups.length).fill(-1);
  const itemOf = new Uint32Array(view.nodeCount);
  const group: number[] = [];
  const node: number[] = [];
  for (let v = 0; v < view.nodeCount; v++) {
    if (card[v] !== v) continue;
    const inner = tree.of[v]!;
    const g = inner < 0 ? -1 : folded[inner]!;
    if (g >= 0 && itemOfGroup[g]! >= 0) {
      itemOf[v] = itemOfGroup[g]!;
      continue;
    }
    itemOf[v] = group.length;
    if (g >= 0) itemOfGroup[g] = group.length;
    group.push(g);
    node.push(v);
  }
  // What stands in a card is never in another card itself.
  for (let v = 0; v < view.nodeCount; v++) if (card[v] !== v) itemOf[v] = itemOf[card[v]!]!;
  return { count: group.length, group, node, itemOf };
}

/** Edges that carry no data once an end is folded away: of constants and shapes. Pairs pass data on. */
function silentEnds({ hosts }: FoldTree, show: Shown): (from: number, to: number) => boolean {
  const gone = (v: number) =>
    (!show.constants && hosts.constants[v]! >= 0) || (!show.shapes && hosts.shapes[v]! >= 0);
  return (from, to) => gone(from) || (!show.shapes && hosts.shapes[to]! >= 0);
}

/** The visible graph under a set of unfolded groups; parallel edges are merged. Linear. */
export function visibleGraph(view: GraphView, tree: FoldTree, folds: Folds): Visible {
  const { count, group, node, itemOf } = itemsOf(view, tree, folds);
  const isSilent = silentEnds(tree, folds.show);
  const seen = new Map<number, number>();
  const from: number[] = [];
  const to: number[] = [];
  const edge: number[] = [];
  const merged: number[] = [];
  for (let e = 0; e < view.edgeFrom.length; e++) {
    const a = itemOf[view.edgeFrom[e]!]!;
    const b = itemOf[view.edgeTo[e]!]!;
    // A hidden constant may feed more layers than the one it hides in; no data flows between those.
    if (a === b || isSilent(view.edgeFrom[e]!, view.edgeTo[e]!)) continue;
    const known = seen.get(a * count + b);
    if (known !== undefined) {
      merged[known]!++;
      continue;
    }
    seen.set(a * count + b, from.length);
    from.push(a);
    to.push(b);
    edge.push(e);
    merged.push(1);
  }
  return {
    count,
    group: Int32Array.from(group),
    node: Uint32Array.from(node),
    itemOf,
    from: Uint32Array.from(from),
    to: Uint32Array.from(to),
    edge: Uint32Array.from(edge),
    merged: Uint32Array.from(merged),
  };
}
