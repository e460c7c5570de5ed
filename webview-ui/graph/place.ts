import type { Csr } from './csr.ts';
import type { Order } from './order.ts';
import type { Proper } from './ranks.ts';

/** Least space between two boxes of a rank, and between a line and what is beside it. */
const boxGap = 28;
const lineGap = 14;

/** One of the four greedy assignments. */
interface Way {
  readonly down: boolean;
  readonly right: boolean;
}

/**
 * x of every vertex by Brandes and Koepf (2001): four extreme assignments that align each vertex with its median
 * neighbour, and the mean of the middle two. Long edges and chains come out straight, boxes keep their distance. The
 * compaction walks the graph of blocks, which avoids the flaw of the published one (Brandes, Walter, Zink 2020).
 */
export function placeVertices(graph: Proper, order: Order, width: Float32Array): Float64Array {
  const up = sortedByPlace(graph.up, order);
  const down = sortedByPlace(graph.down, order);
  const conflicts = markConflicts(graph, order, up);
  const ways: readonly Way[] = [
    { down: true, right: false },
    { down: true, right: true },
    { down: false, right: false },
    { down: false, right: true },
  ];
  const results = ways.map((way) => {
    const blocks = alignVertices(graph, order, way.down ? up : down, conflicts, way);
    return compact(graph, order, blocks, width, way);
  });
  const x = balance(graph, results, ways, width);
  straightenTrunk(graph, order, x);
  return toCorner(graph, x, width);
}

function sortedByPlace(side: Csr, { place }: Order): Csr {
  const target = side.target.slice();
  for (let v = 0; v + 1 < side.start.length; v++) {
    if (side.start[v + 1]! - side.start[v]! > 1) {
      target.subarray(side.start[v]!, side.start[v + 1]!).sort((a, b) => place[a]! - place[b]!);
    }
  }
  return { start: side.start, target, edge: side.edge };
}

/** Segments that cross a dummy-to-dummy segment; keyed by lower vertex and upper vertex. */
function markConflicts(graph: Proper, order: Order, up: Csr): Set<number> {
  const { start, vertex, place } = order;
  const marked = new Set<number>();
  for (let r = 1; r < graph.ranks; r++) {
    let left = 0;
    let scan = start[r]!;
    for (let k = start[r]!; k < start[r + 1]!; k++) {
      const inner = innerUpper(graph, up, vertex[k]!);
      if (inner === -1 && k + 1 < start[r + 1]!) continue;
      const right = inner === -1 ? Infinity : place[inner]!;
      for (; scan <= k; scan++) {
        const v = vertex[scan]!;
        for (let e = up.start[v]!; e < up.start[v + 1]!; e++) {
          const u = up.target[e]!;
          const outside = place[u]! < left || place[u]! > right;
          if (outside && !(u >= graph.items && v >= graph.items)) marked.add(v * graph.count + u);
        }
      }
      left = inner === -1 ? left : right;
    }
  }
  return marked;
}

function innerUpper(graph: Proper, up: Csr, v: number): number {
  if (v < graph.items) return -1;
  const u = up.target[up.start[v]!]!;
  return u >= graph.items ? u : -1;
}

interface Blocks {
  readonly root: Uint32Array;
  /** Next vertex of the block, circular. */
  readonly next: Uint32Array;
}

function alignVertices(graph: Proper, order: Order, side: Csr, conflicts: Set<number>, way: Way): Blocks {
  const { start, vertex, place } = order;
  const root = Uint32Array.from({ length: graph.count }, (_, v) => v);
  const next = root.slice();
  for (let i = 0; i < graph.ranks; i++) {
    const r = way.down ? i : graph.ranks - 1 - i;
    const size = start[r + 1]! - start[r]!;
    let bound = way.right ? Infinity : -1;
    for (let k = 0; k < size; k++) {
      const v = vertex[start[r]! + (way.right ? size - 1 - k : k)]!;
      const first = side.start[v]!;
      const degree = side.start[v + 1]! - first;
      if (degree === 0) continue;
      const low = first + ((degree - 1) >> 1);
      const high = first + (degree >> 1);
      for (let m = 0; m <= high - low; m++) {
        const u = side.target[way.right ? high - m : low + m]!;
        if (next[v] !== v) break;
        const key = way.down ? v * graph.count + u : u * graph.count + v;
        const free = way.right ? place[u]! < bound : place[u]! > bound;
        if (!free || conflicts.has(key)) continue;
        next[u] = v;
        root[v] = root[u]!;
        next[v] = root[v]!;
        bound = place[u]!;
      }
    }
  }
  return { root, next };
}

/** Least distance between the centres of two neighbours of a rank. */
export function distance(graph: Proper, width: Float32Array, a: number, b: number): number {
  const item = (v: number) => v < graph.items;
  const gap = item(a) && item(b) ? boxGap : lineGap;
  return (item(a) ? width[a]! / 2 : 0) + (item(b) ? width[b]! / 2 : 0) + gap;
}

/** Packs blocks to one side in two passes over their graph: as far left as possible, then right into the slack. */
function compact(graph: Proper, order: Order, blocks: Blocks, width: Float32Array, way: Way): Float64Array {
  const { root, next } = blocks;
  const { start, vertex, place } = order;
  /** The neighbour on the far side, or -1. */
  const beyond = (v: number) => {
    const at = place[v]! + (way.right ? -1 : 1);
    const r = graph.rank[v]!;
    return at < 0 || at >= start[r + 1]! - start[r]! ? -1 : vertex[start[r]! + at]!;
  };
  const waiting = new Uint32Array(graph.count);
  for (let v = 0; v < graph.count; v++) {
    const w = beyond(v);
    if (w >= 0) waiting[root[w]!]!++;
  }
  const queue: number[] = [];
  for (let v = 0; v < graph.count; v++) if (root[v] === v && waiting[v] === 0) queue.push(v);
  const x = new Float64Array(graph.count);
  for (let head = 0; head < queue.length; head++) {
    const block = queue[head]!;
    let v = block;
    do {
      const w = beyond(v);
      if (w >= 0) {
        const other = root[w]!;
        x[other] = Math.max(x[other]!, x[block]! + distance(graph, width, v, w));
        if (--waiting[other]! === 0) queue.push(other);
      }
      v = next[v]!;
    } while (v !== block);
  }
  for (let i = queue.length - 1; i >= 0; i--) {
    const block = queue[i]!;
    let limit = Infinity;
    let v = block;
    do {
      const w = beyond(v);
      if (w >= 0) limit = Math.min(limit, x[root[w]!]! - distance(graph, width, v, w));
      v = next[v]!;
    } while (v !== block);
    if (limit !== Infinity) x[block] = Math.max(x[block]!, limit);
  }
  for (let v = 0; v < graph.count; v++) if (root[v] !== v) x[v] = x[root[v]!]!;
  if (way.right) for (let v = 0; v < graph.count; v++) x[v] = -x[v]!;
  return x;
}

/** Shifts the four assignments onto the narrowest one and takes the mean of the two middle values. */
function balance(
  graph: Proper,
  results: readonly Float64Array[],
  ways: readonly Way[],
  width: Float32Array,
): Float64Array {
  const extents = results.map((x) => extentOf(graph, x, width));
  let narrowest = 0;
  extents.forEach((extent, i) => {
    const best = extents[narrowest]!;
    if (extent.max - extent.min < best.max - best.min) narrowest = i;
  });
  const target = extents[narrowest]!;
  const shifts = extents.map((extent, i) =>
    ways[i]!.right ? target.max - extent.max : target.min - extent.min,
  );
  const x = new Float64Array(graph.count);
  const four = new Float64Array(4);
  for (let v = 0; v < graph.count; v++) {
    for (let i = 0; i < 4; i++) four[i] = results[i]![v]! + shifts[i]!;
    four.sort();
    x[v] = (four[1]! + four[2]!) / 2;
  }
  return x;
}

/**
 * Where a rank holds a single vertex, everything below hangs on it alone and can be moved as a whole. All such vertices
 * come under one another: the trunk of a network is one straight line, however many blocks it has.
 */
function straightenTrunk(graph: Proper, { start, vertex }: Order, x: Float64Array): void {
  let trunk: number | undefined;
  let pending = 0;
  let shift = 0;
  const moveTo = (end: number) => {
    for (let k = start[pending]!; k < start[end]!; k++) x[vertex[k]!] = x[vertex[k]!]! + shift;
    pending = end;
  };
  for (let r = 0; r < graph.ranks; r++) {
    if (start[r + 1]! - start[r]! !== 1) continue;
    const at = x[vertex[start[r]!]!]!;
    trunk ??= at;
    shift = trunk - at;
    moveTo(r + 1);
  }
  moveTo(graph.ranks);
}

/** Moves the picture to x = 0. */
export function toCorner(graph: Proper, x: Float64Array, width: Float32Array): Float64Array {
  const { min } = extentOf(graph, x, width);
  return x.map((value) => value - min);
}

function extentOf(graph: Proper, x: Float64Array, width: Float32Array): { min: number; max: number } {
  let min = Infinity;
  let max = -Infinity;
  for (let v = 0; v < graph.count; v++) {
    const half = v < graph.items ? width[v]! / 2 : 0;
    min = Math.min(min, x[v]! - half);
    max = Math.max(max, x[v]! + half);
  }
  return { min, max };
}
