import { type Csr, buildCsr } from './csr.ts';
import type { Ranking } from './rank.ts';

/** Edges over more ranks than this are drawn as stubs: full lines would cross the whole picture. */
const maxSpan = 40;

/**
 * The ranked graph with dummies, so that every segment joins neighbouring ranks. Vertices below `items` are items, the
 * others are dummies. Edges that leave one item share their dummies: one value fans out from one line.
 */
export interface Proper {
  readonly items: number;
  readonly count: number;
  readonly ranks: number;
  readonly rank: Uint32Array;
  readonly down: Csr;
  readonly up: Csr;
  /** First dummy of the chain below an item; the chain is consecutive. */
  readonly chain: Int32Array;
  /** Per edge: 1 when it is a stub and has no segments. */
  readonly stub: Uint8Array;
}

/** Splits edges into segments. The span limit shrinks when dummies would outnumber items by far. */
export function makeProper(items: number, ranking: Ranking): Proper {
  const { rank, upper, lower } = ranking;
  let limit = maxSpan;
  let reach = chainLengths(items, ranking, limit);
  while (limit > 4 && reach.dummies > 6 * items + 2000) {
    limit = limit >> 1;
    reach = chainLengths(items, ranking, limit);
  }
  const count = items + reach.dummies;
  const chain = new Int32Array(items).fill(-1);
  const ranks = new Uint32Array(count);
  ranks.set(rank);
  const stub = new Uint8Array(upper.length);
  const segFrom: number[] = [];
  const segTo: number[] = [];
  let next = items;
  for (let v = 0; v < items; v++) {
    const length = reach.length[v]!;
    if (length === 0) continue;
    chain[v] = next;
    for (let k = 0; k < length; k++, next++) {
      ranks[next] = rank[v]! + 1 + k;
      segFrom.push(k === 0 ? v : next - 1);
      segTo.push(next);
    }
  }
  for (let e = 0; e < upper.length; e++) {
    const span = rank[lower[e]!]! - rank[upper[e]!]!;
    if (span > limit) {
      stub[e] = 1;
      continue;
    }
    segFrom.push(span === 1 ? upper[e]! : chain[upper[e]!]! + span - 2);
    segTo.push(lower[e]!);
  }
  const from = Uint32Array.from(segFrom);
  const to = Uint32Array.from(segTo);
  return {
    items,
    count,
    ranks: ranking.ranks,
    rank: ranks,
    down: buildCsr(count, from, to),
    up: buildCsr(count, to, from),
    chain,
    stub,
  };
}

function chainLengths(items: number, { rank, upper, lower }: Ranking, limit: number) {
  const length = new Uint32Array(items);
  for (let e = 0; e < upper.length; e++) {
    const u = upper[e]!;
    const span = rank[lower[e]!]! - rank[u]!;
    if (span <= limit && span - 1 > length[u]!) length[u] = span - 1;
  }
  let dummies = 0;
  for (const n of length) dummies += n;
  return { length, dummies };
}
