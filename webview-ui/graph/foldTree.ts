import type { GraphView } from '../../src/engine/view.ts';
import { constantHosts } from './constants.ts';
import { type Hosts, hostsOf } from './hiding.ts';
import { crossingValues, segmentsOf } from './segments.ts';

/** Groups with fewer layers than this are not worth a tile. */
const smallestGroup = 3;
/** A group with more direct layers than this is cut into blocks. */
const crowded = 60;

interface Group {
  /** What the group is remembered by. */
  readonly key: string;
  readonly title: string;
  /** Index of the enclosing group, -1 at the top. */
  readonly parent: number;
  readonly depth: number;
  /** Layers inside, nested ones included. */
  readonly size: number;
}

/** How layers nest. Parents come before children. */
export interface FoldTree {
  readonly groups: readonly Group[];
  /** Innermost group of each node, -1 at the top. */
  readonly of: Int32Array;
  /** The layer whose card a constant hides in, -1 for ordinary layers; see `constantHosts`. */
  readonly host: Int32Array;
  /** Hosts of constants and of the other kinds of layers that can be folded away. */
  readonly hosts: Hosts;
  readonly depth: number;
}

interface Draft {
  key: string;
  title: string;
  parent: number;
  size: number;
}

/** Groups layers by name scope, and crowded places without scopes by repeated blocks. */
export function buildFoldTree(view: GraphView): FoldTree {
  const drafts: Draft[] = [];
  const host = constantHosts(view);
  const of = scopeGroups(view, drafts, host);
  prune(view, drafts, of);
  splitCrowded(view, drafts, of, host);
  // A constant belongs where it is used, whatever its exporter called it.
  for (let v = 0; v < view.nodeCount; v++) if (host[v]! >= 0) of[v] = of[host[v]!]!;
  return { ...finish(drafts, of), host, hosts: hostsOf(view, host) };
}

function scopeGroups(view: GraphView, drafts: Draft[], host: Int32Array): Int32Array {
  const of = new Int32Array(view.nodeCount).fill(-1);
  const byPath = new Map<string, number>();
  const groupOf = (path: string): number => {
    if (path === '') return -1;
    const known = byPath.get(path);
    if (known !== undefined) return known;
    const slash = path.lastIndexOf('/');
    const parent = slash < 0 ? -1 : groupOf(path.slice(0, slash));
    const index = drafts.push({ key: path, title: path.slice(slash + 1), parent, size: 0 }) - 1;
    byPath.set(path, index);
    return index;
  };
  const byString = new Map<number, number>();
  for (let v = 0; v < view.nodeCount; v++) {
    if (view.kind[v] !== 0 || host[v]! >= 0) continue;
    const text = view.scope[v]!;
    let group = byString.get(text);
    if (group === undefined) {
      group = groupOf(view.strings[text]!.replace(/^\/+|\/+$/g, '').replace(/\/{2,}/g, '/'));
      byString.set(text, group);
    }
    of[v] = group;
  }
  return of;
}

/** Removes groups too small to matter and groups that only hold one other group. */
function prune(view: GraphView, drafts: Draft[], of: Int32Array): void {
  const direct = new Uint32Array(drafts.length);
  for (let v = 0; v < view.nodeCount; v++) if (of[v]! >= 0) direct[of[v]!]!++;
  for (let g = drafts.length - 1; g >= 0; g--) {
    const draft = drafts[g]!;
    draft.size += direct[g]!;
    if (draft.parent >= 0) drafts[draft.parent]!.size += draft.size;
  }
  // A group stands for itself or for the group that takes its place. Children come after parents.
  const stands = Int32Array.from(drafts, (_, g) => g);
  drafts.forEach((draft, g) => {
    if (draft.parent >= 0) draft.parent = stands[draft.parent]!;
    if (draft.size < smallestGroup) stands[g] = draft.parent;
  });
  for (let g = drafts.length - 1; g >= 0; g--) {
    const draft = drafts[g]!;
    if (stands[g] !== g) continue;
    for (let p = draft.parent; p >= 0 && drafts[p]!.size === draft.size; p = draft.parent) {
      draft.title = `${drafts[p]!.title}/${draft.title}`;
      stands[p] = -2 - g;
      draft.parent = drafts[p]!.parent;
    }
  }
  compactDrafts(drafts, of, stands);
}

/** Drops groups that stand for another one: `-1` the top, `-2 - g` the child `g`. */
function compactDrafts(drafts: Draft[], of: Int32Array, stands: Int32Array): void {
  const kept: Draft[] = [];
  const renumbered = new Int32Array(drafts.length).fill(-1);
  const order = [...drafts.keys()].filter((g) => stands[g] === g);
  for (const g of order) renumbered[g] = kept.push(drafts[g]!) - 1;
  const final = (g: number): number => {
    let at = g;
    while (at >= 0 && stands[at] !== at) at = stands[at]! <= -2 ? -2 - stands[at]! : stands[at]!;
    return at < 0 ? -1 : renumbered[at]!;
  };
  for (const draft of kept) draft.parent = final(draft.parent);
  for (let v = 0; v < of.length; v++) of[v] = of[v]! < 0 ? -1 : final(of[v]!);
  drafts.length = 0;
  drafts.push(...kept);
}

function splitCrowded(view: GraphView, drafts: Draft[], of: Int32Array, host: Int32Array): void {
  const members = new Map<number, number[]>();
  for (let v = 0; v < view.nodeCount; v++) {
    if (view.kind[v] !== 0 || host[v]! >= 0) continue;
    const list = members.get(of[v]!);
    if (list === undefined) members.set(of[v]!, [v]);
    else list.push(v);
  }
  const crowds = [...members].filter(([, nodes]) => nodes.length > crowded);
  if (crowds.length === 0) return;
  const flowing = view.edgeFrom.map((_, e) => e).filter((e) => host[view.edgeFrom[e]!]! < 0);
  const crossing = crossingValues(
    view.nodeCount,
    flowing.map((e) => view.edgeFrom[e]!),
    flowing.map((e) => view.edgeTo[e]!),
  );
  for (const [parent, nodes] of crowds) {
    const tokens = Uint32Array.from(nodes, (v) => view.op[v]!);
    const borders = Uint32Array.from(nodes, (v) => crossing[v]!);
    const prefix = parent < 0 ? '' : `${drafts[parent]!.key}/`;
    for (const { begin, end, title } of segmentsOf(tokens, borders)) {
      if (end - begin < smallestGroup) continue;
      const id = view.strings[view.id[nodes[begin]!]!]!;
      const key = `${prefix}#${id}`;
      const index = drafts.push({ key, title, parent, size: end - begin }) - 1;
      for (let k = begin; k < end; k++) of[nodes[k]!] = index;
    }
  }
}

function finish(drafts: readonly Draft[], of: Int32Array): Pick<FoldTree, 'groups' | 'of' | 'depth'> {
  const depthOf = new Map<number, number>([[-1, -1]]);
  const measure = (g: number): number => {
    const known = depthOf.get(g);
    if (known !== undefined) return known;
    const depth = measure(drafts[g]!.parent) + 1;
    depthOf.set(g, depth);
    return depth;
  };
  const groups = drafts.map(({ key, title, parent, size }, g) => ({
    key,
    title,
    parent,
    depth: measure(g),
    size,
  }));
  const depth = groups.reduce((deepest, group) => Math.max(deepest, group.depth + 1), 0);
  return { groups, of, depth };
}
