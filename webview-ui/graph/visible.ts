import type { GraphView } from '../../src/engine/view.ts';
import type { FoldTree } from './foldTree.ts';

/** Which groups are open, and whether constants have cards of their own. */
export interface Folds {
  readonly unfolded: ReadonlySet<number>;
  readonly constants: boolean;
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
export const unfoldedLimit = 200;
/** How many boxes a folded model should open with at most. */
const readable = 60;

/** Groups that are unfolded when the levels above `level` are. */
export function unfoldedAt(tree: FoldTree, level: number): Set<number> {
  return new Set(tree.groups.flatMap((group, g) => (group.depth < level ? [g] : [])));
}

/** The deepest level that still opens with a readable number of boxes. */
export function openingLevel(view: GraphView, tree: FoldTree): number {
  let constants = 0;
  for (const host of tree.host) if (host >= 0) constants++;
  if (view.nodeCount - constants < unfoldedLimit) return tree.depth;
  let level = 0;
  while (level < tree.depth && countVisible(view, tree, level + 1) <= readable) level++;
  return level;
}

function countVisible(view: GraphView, tree: FoldTree, level: number): number {
  return itemsOf(view, tree, { unfolded: unfoldedAt(tree, level), constants: false }).count;
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

function itemsOf(view: GraphView, tree: FoldTree, { unfolded, constants }: Folds) {
  const folded = foldedAround(tree, unfolded);
  const itemOfGroup = new Int32Array(tree.groups.length).fill(-1);
  const itemOf = new Uint32Array(view.nodeCount);
  const group: number[] = [];
  const node: number[] = [];
  for (let v = 0; v < view.nodeCount; v++) {
    if (!constants && tree.host[v]! >= 0) continue;
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
  // Hosts are never constants themselves.
  if (!constants) tree.host.forEach((host, v) => host >= 0 && (itemOf[v] = itemOf[host]!));
  return { count: group.length, group, node, itemOf };
}

/** The visible graph under a set of unfolded groups; parallel edges are merged. Linear. */
export function visibleGraph(view: GraphView, tree: FoldTree, folds: Folds): Visible {
  const { count, group, node, itemOf } = itemsOf(view, tree, folds);
  const seen = new Map<number, number>();
  const from: number[] = [];
  const to: number[] = [];
  const edge: number[] = [];
  const merged: number[] = [];
  for (let e = 0; e < view.edgeFrom.length; e++) {
    const a = itemOf[view.edgeFrom[e]!]!;
    const b = itemOf[view.edgeTo[e]!]!;
    // A hidden constant may feed more layers than the one it hides in; no data flows between those.
    const hidden = !folds.constants && tree.host[view.edgeFrom[e]!]! >= 0;
    if (a === b || hidden) continue;
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
