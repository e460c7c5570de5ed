import type { Csr } from './csr.ts';
import type { Proper } from './ranks.ts';

/** The vertices of rank `r` from left to right are `vertex[start[r]]` .. `vertex[start[r + 1] - 1]`. */
export interface Order {
  readonly start: Uint32Array;
  readonly vertex: Uint32Array;
  /** Place of each vertex within its rank. */
  readonly place: Uint32Array;
}

/**
 * Orders the vertices of each rank so that few segments cross: sweeps of barycentres (Sugiyama et al. 1981), best
 * order kept. With hints the former order is the start and only a real improvement replaces it.
 */
export function orderRanks(graph: Proper, hint: Float32Array | undefined): Order & { crossings: number } {
  const order = initialOrder(graph, hint === undefined ? depthFirstKeys(graph) : hintKeys(graph, hint));
  let crossings = countCrossings(graph, order);
  const best = order.vertex.slice();
  const rounds = graph.count > 60_000 ? 4 : graph.count > 15_000 ? 8 : 16;
  const key = new Float64Array(graph.count);
  for (let round = 0, idle = 0; round < rounds && idle < 4 && crossings > 0; round++) {
    sweep(graph, order, key, { down: round % 2 === 0, right: round % 4 >= 2 });
    const now = countCrossings(graph, order);
    if (now < crossings) {
      crossings = now;
      best.set(order.vertex);
      idle = 0;
    } else idle++;
  }
  order.vertex.set(best);
  for (let r = 0; r < graph.ranks; r++) renumber(order, r);
  return { ...order, crossings };
}

function initialOrder(graph: Proper, key: Float64Array): Order {
  const start = new Uint32Array(graph.ranks + 1);
  for (const r of graph.rank) start[r + 1]!++;
  for (let r = 0; r < graph.ranks; r++) start[r + 1]! += start[r]!;
  const cursor = start.slice();
  const vertex = new Uint32Array(graph.count);
  for (let v = 0; v < graph.count; v++) vertex[cursor[graph.rank[v]!]!++] = v;
  const order = { start, vertex, place: new Uint32Array(graph.count) };
  for (let r = 0; r < graph.ranks; r++) {
    vertex.subarray(start[r]!, start[r + 1]!).sort((a, b) => key[a]! - key[b]! || a - b);
    renumber(order, r);
  }
  return order;
}

function renumber({ start, vertex, place }: Order, r: number): void {
  for (let k = start[r]!; k < start[r + 1]!; k++) place[vertex[k]!] = k - start[r]!;
}

/** Visiting numbers of a depth-first walk from the top, in file order: trees come out without crossings. */
function depthFirstKeys(graph: Proper): Float64Array {
  const key = new Float64Array(graph.count).fill(-1);
  const stack: number[] = [];
  let next = 0;
  const roots: number[] = [];
  for (let v = 0; v < graph.count; v++) if (graph.up.start[v] === graph.up.start[v + 1]) roots.push(v);
  roots.sort((a, b) => graph.rank[a]! - graph.rank[b]! || a - b);
  for (const root of roots) {
    stack.push(root);
    while (stack.length > 0) {
      const v = stack.pop()!;
      if (key[v]! >= 0) continue;
      key[v] = next++;
      for (let k = graph.down.start[v + 1]! - 1; k >= graph.down.start[v]!; k--) {
        const w = graph.down.target[k]!;
        if (key[w]! < 0) stack.push(w);
      }
    }
  }
  return key;
}

/** Former centres; new items and dummies take the mean of what they hang on. */
function hintKeys(graph: Proper, hint: Float32Array): Float64Array {
  const key = new Float64Array(graph.count).fill(Number.NaN);
  for (let v = 0; v < graph.items; v++) key[v] = hint[v]!;
  const known = new Float64Array(graph.count);
  const byRank = Uint32Array.from({ length: graph.count }, (_, v) => v).sort(
    (a, b) => graph.rank[a]! - graph.rank[b]! || a - b,
  );
  const fill = (vertices: Uint32Array, side: Csr) => {
    for (const v of vertices) {
      if (!Number.isNaN(key[v]!)) continue;
      known[v] = meanOf(side, v, (w) => key[w]!);
      key[v] = known[v]!;
    }
  };
  fill(byRank, graph.up);
  fill(byRank.slice().reverse(), graph.down);
  for (let v = 0; v < graph.count; v++) if (Number.isNaN(key[v]!)) key[v] = 0;
  return key;
}

function meanOf(side: Csr, v: number, value: (w: number) => number): number {
  let sum = 0;
  let terms = 0;
  for (let k = side.start[v]!; k < side.start[v + 1]!; k++) {
    const x = value(side.target[k]!);
    if (Number.isNaN(x)) continue;
    sum += x;
    terms++;
  }
  return terms === 0 ? Number.NaN : sum / terms;
}

function sweep(graph: Proper, order: Order, key: Float64Array, way: { down: boolean; right: boolean }): void {
  const side = way.down ? graph.up : graph.down;
  for (let i = 1; i < graph.ranks; i++) {
    const r = way.down ? i : graph.ranks - 1 - i;
    sortRank(order, r, side, key, way.right ? -1 : 1);
  }
}

/** Sorts one rank by the mean place of its neighbours; vertices without neighbours keep their places. */
function sortRank(order: Order, r: number, side: Csr, key: Float64Array, tie: number): void {
  const { vertex, place } = order;
  const from = order.start[r]!;
  const to = order.start[r + 1]!;
  if (to - from < 2) return;
  const moving: number[] = [];
  let sorted = true;
  for (let k = from; k < to; k++) {
    const v = vertex[k]!;
    const mean = meanOf(side, v, (w) => place[w]!);
    key[v] = mean;
    if (Number.isNaN(mean)) continue;
    if (moving.length > 0 && key[moving[moving.length - 1]!]! >= mean) sorted = false;
    moving.push(v);
  }
  if (sorted) return;
  moving.sort((a, b) => key[a]! - key[b]! || tie * (place[a]! - place[b]!));
  let next = 0;
  for (let k = from; k < to; k++) if (!Number.isNaN(key[vertex[k]!]!)) vertex[k] = moving[next++]!;
  renumber(order, r);
}

/** Crossings between all neighbouring ranks, with an accumulator tree (Barth, Juenger, Mutzel 2002). */
function countCrossings(graph: Proper, order: Order): number {
  let total = 0;
  for (let r = 0; r + 1 < graph.ranks; r++) total += crossingsBelow(graph, order, r);
  return total;
}

function crossingsBelow(graph: Proper, { start, vertex, place }: Order, r: number): number {
  const width = start[r + 2]! - start[r + 1]!;
  if (width < 2 || start[r + 1]! - start[r]! < 2) return 0;
  let first = 1;
  while (first < width) first *= 2;
  const tree = new Uint32Array(2 * first - 1);
  let crossings = 0;
  const ends: number[] = [];
  for (let k = start[r]!; k < start[r + 1]!; k++) {
    const v = vertex[k]!;
    ends.length = 0;
    for (let e = graph.down.start[v]!; e < graph.down.start[v + 1]!; e++) {
      ends.push(place[graph.down.target[e]!]!);
    }
    ends.sort((a, b) => a - b);
    for (const end of ends) {
      let node = end + first - 1;
      tree[node]!++;
      while (node > 0) {
        if (node % 2 === 1) crossings += tree[node + 1]!;
        node = (node - 1) >> 1;
        tree[node]!++;
      }
    }
  }
  return crossings;
}
