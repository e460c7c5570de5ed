import { FloatList } from './csr.ts';
import type { LayoutInput } from './layoutTypes.ts';
import type { Ranking } from './rank.ts';
import type { Proper } from './ranks.ts';

/** Vertical space between ranks. */
const rankGap = 46;
/** How far stubs reach out of a box. */
const stubLength = 13;
/** Lines meet a box in the middle part of its edge. */
const portShare = 0.3;

interface Rows {
  readonly top: Float64Array;
  readonly bottom: Float64Array;
  readonly height: number;
}

/** Stacks the ranks; each is as high as its highest box. */
export function stackRanks(graph: Proper, height: Float32Array): Rows {
  const top = new Float64Array(graph.ranks);
  const bottom = new Float64Array(graph.ranks);
  for (let v = 0; v < graph.items; v++) {
    const r = graph.rank[v]!;
    bottom[r] = Math.max(bottom[r]!, height[v]!);
  }
  let y = 0;
  for (let r = 0; r < graph.ranks; r++) {
    top[r] = y;
    bottom[r] = y + bottom[r]!;
    y = bottom[r]! + rankGap;
  }
  return { top, bottom, height: graph.ranks === 0 ? 0 : bottom[graph.ranks - 1]! };
}

/** Routes as points; a renderer joins points of equal x by lines and others by curves with vertical ends. */
export function routeEdges(
  input: LayoutInput,
  ranking: Ranking,
  graph: Proper,
  rows: Rows,
  x: Float64Array,
): { routeStart: Uint32Array; route: Float32Array } {
  const edges = input.from.length;
  const routeStart = new Uint32Array(edges + 1);
  const list = new FloatList(edges * 8);
  const path: number[] = [];
  for (let e = 0; e < edges; e++) {
    const first = list.length;
    const u = ranking.upper[e]!;
    const w = ranking.lower[e]!;
    if (graph.stub[e] === 1) pushStubs(list, input, rows, graph, x, u, w);
    else {
      path.length = 0;
      path.push(u);
      const span = graph.rank[w]! - graph.rank[u]!;
      for (let k = 0; k < span - 1; k++) path.push(graph.chain[u]! + k);
      path.push(w);
      pushPath(list, input, rows, graph, x, path);
    }
    if (u !== input.from[e]) list.reverseFrom(first);
    routeStart[e + 1] = list.length / 2;
  }
  return { routeStart, route: list.finish() };
}

function port(input: LayoutInput, x: Float64Array, v: number, toward: number): number {
  const reach = input.width[v]! * portShare;
  return Math.min(x[v]! + reach, Math.max(x[v]! - reach, toward));
}

function pushPath(
  list: FloatList,
  input: LayoutInput,
  rows: Rows,
  graph: Proper,
  x: Float64Array,
  path: readonly number[],
): void {
  const u = path[0]!;
  const w = path[path.length - 1]!;
  const direct = path.length === 2;
  // A straight pair of neighbours meets centre to centre; anything else leaves towards where it goes.
  const start = port(input, x, u, x[path[1]!]!);
  const end = port(input, x, w, direct ? start : x[path[path.length - 2]!]!);
  const ru = graph.rank[u]!;
  const rw = graph.rank[w]!;
  const middle = (r: number) => (rows.top[r]! + rows.bottom[r]!) / 2;
  list.push(start, middle(ru) + input.height[u]! / 2);
  list.push(start, rows.bottom[ru]!);
  for (let k = 1; k + 1 < path.length; k++) {
    const r = graph.rank[path[k]!]!;
    list.pushVertical(x[path[k]!]!, rows.top[r]!, rows.bottom[r]!);
  }
  list.push(end, rows.top[rw]!);
  list.push(end, middle(rw) - input.height[w]! / 2);
}

function pushStubs(
  list: FloatList,
  input: LayoutInput,
  rows: Rows,
  graph: Proper,
  x: Float64Array,
  u: number,
  w: number,
): void {
  const middle = (v: number) => (rows.top[graph.rank[v]!]! + rows.bottom[graph.rank[v]!]!) / 2;
  const out = x[u]! + input.width[u]! * 0.4;
  const below = middle(u) + input.height[u]! / 2;
  const into = x[w]! + input.width[w]! * 0.4;
  const above = middle(w) - input.height[w]! / 2;
  list.push(out, below);
  list.push(out, below + stubLength);
  list.push(into, above - stubLength);
  list.push(into, above);
}
