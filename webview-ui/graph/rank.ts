import { type Csr, buildCsr } from './csr.ts';

export interface Ranking {
  readonly rank: Uint32Array;
  readonly ranks: number;
  /** Edge ends after cycles were cut: `upper[e]` always has the smaller rank. */
  readonly upper: Uint32Array;
  readonly lower: Uint32Array;
}

/**
 * Ranks by longest path from the sources, then items with more readers than inputs (and whatever only feeds them) are
 * moved down to their first reader, which shortens edges. Linear. Cycles, which damaged models have and folded ones may have, are
 * cut at the item that comes first in the file.
 */
export function rankItems(count: number, from: Uint32Array, to: Uint32Array): Ranking {
  const place = topologicalPlaces(count, from, to);
  const upper = new Uint32Array(from.length);
  const lower = new Uint32Array(from.length);
  for (let e = 0; e < from.length; e++) {
    const forward = place[from[e]!]! < place[to[e]!]!;
    upper[e] = forward ? from[e]! : to[e]!;
    lower[e] = forward ? to[e]! : from[e]!;
  }
  const order = new Uint32Array(count);
  for (let v = 0; v < count; v++) order[place[v]!] = v;
  const down = buildCsr(count, upper, lower);
  const up = buildCsr(count, lower, upper);
  const rank = longestPath(order, down);
  settle(order, down, up, rank);
  return { rank, ranks: closeGaps(rank), upper, lower };
}

/** Place of each item in a topological order; file order decides between items that are free. */
function topologicalPlaces(count: number, from: Uint32Array, to: Uint32Array): Uint32Array {
  const down = buildCsr(count, from, to);
  const waiting = new Uint32Array(count);
  for (const target of to) waiting[target]!++;
  const place = new Uint32Array(count).fill(0xffffffff);
  const queue = new Uint32Array(count);
  let tail = 0;
  for (let v = 0; v < count; v++) if (waiting[v] === 0) place[(queue[tail] = v)] = tail++;
  let nextUnplaced = 0;
  for (let head = 0; head < count; head++) {
    if (head === tail) {
      while (place[nextUnplaced] !== 0xffffffff) nextUnplaced++;
      place[(queue[tail] = nextUnplaced)] = tail++;
    }
    const v = queue[head]!;
    for (let k = down.start[v]!; k < down.start[v + 1]!; k++) {
      const w = down.target[k]!;
      if (place[w] === 0xffffffff && --waiting[w]! === 0) place[(queue[tail] = w)] = tail++;
    }
  }
  return place;
}

function longestPath(order: Uint32Array, down: Csr): Uint32Array {
  const rank = new Uint32Array(order.length);
  for (const v of order) {
    for (let k = down.start[v]!; k < down.start[v + 1]!; k++) {
      const w = down.target[k]!;
      if (rank[w]! <= rank[v]!) rank[w] = rank[v]! + 1;
    }
  }
  return rank;
}

function settle(order: Uint32Array, down: Csr, up: Csr, rank: Uint32Array): void {
  const readers = (v: number) => down.start[v + 1]! - down.start[v]!;
  const inputs = (v: number) => up.start[v + 1]! - up.start[v]!;
  // An item floats when nothing above it has another reader: a mask's chain of casts belongs next to its use.
  const floats = new Uint8Array(order.length);
  for (const v of order) {
    let floating = 1;
    for (let k = up.start[v]!; k < up.start[v + 1]!; k++) {
      const u = up.target[k]!;
      if (floats[u] === 0 || readers(u) !== 1) floating = 0;
    }
    floats[v] = floating;
  }
  for (let i = order.length - 1; i >= 0; i--) {
    const v = order[i]!;
    if (readers(v) === 0 || (floats[v] === 0 && readers(v) <= inputs(v))) continue;
    let limit = Infinity;
    for (let k = down.start[v]!; k < down.start[v + 1]!; k++) {
      limit = Math.min(limit, rank[down.target[k]!]! - 1);
    }
    rank[v] = limit;
  }
}

/** Renumbers ranks so that none is empty; answers how many there are. */
function closeGaps(rank: Uint32Array): number {
  let highest = 0;
  for (const r of rank) highest = Math.max(highest, r);
  const used = new Uint32Array(highest + 1);
  for (const r of rank) used[r] = 1;
  let next = 0;
  for (let r = 0; r <= highest; r++) used[r] = used[r] === 1 ? next++ : 0;
  for (let v = 0; v < rank.length; v++) rank[v] = used[rank[v]!]!;
  return next;
}
