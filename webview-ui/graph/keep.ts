import type { Csr } from './csr.ts';
import type { Order } from './order.ts';
import { distance } from './place.ts';
import type { Proper } from './ranks.ts';

/** With fewer boxes than this share in their old places the new picture owes nothing to the old one. */
const worthKeeping = 0.5;

/**
 * Puts what was there before back to where it was, as far as order and distances allow; what is new moves with its
 * neighbours. The four assignments of the placement are balanced over the whole picture, so that without this a change
 * anywhere shifts branches everywhere. Linear.
 */
export function keepPlaces(
  graph: Proper,
  order: Order,
  x: Float64Array,
  { keep, width }: { readonly keep: Float32Array; readonly width: Float32Array },
): Float64Array {
  let known = 0;
  for (const place of keep) if (!Number.isNaN(place)) known++;
  if (known < worthKeeping * graph.items) return x;
  const shift = shiftsOf(graph, x, keep);
  const result = new Float64Array(graph.count);
  for (let r = 0; r < graph.ranks; r++) placeRank(graph, order, r, { x, shift, keep, width, result });
  return result;
}

/** How far each vertex goes: what was there goes home, a line goes with the box it leaves, the rest with its neighbours. */
function shiftsOf(graph: Proper, x: Float64Array, keep: Float32Array): Float64Array {
  const shift = new Float64Array(graph.count).fill(Number.NaN);
  for (let v = 0; v < graph.items; v++) shift[v] = keep[v]! - x[v]!;
  const byRank = Uint32Array.from({ length: graph.count }, (_, v) => v).sort(
    (a, b) => graph.rank[a]! - graph.rank[b]! || a - b,
  );
  const fill = (vertices: Uint32Array, side: Csr) => {
    for (const v of vertices) if (Number.isNaN(shift[v]!)) shift[v] = meanShift(side, v, shift);
  };
  fill(byRank, graph.up);
  fill(byRank.reverse(), graph.down);
  for (let v = 0; v < graph.count; v++) if (Number.isNaN(shift[v]!)) shift[v] = 0;
  return shift;
}

function meanShift(side: Csr, v: number, shift: Float64Array): number {
  let sum = 0;
  let terms = 0;
  for (let k = side.start[v]!; k < side.start[v + 1]!; k++) {
    const each = shift[side.target[k]!]!;
    if (Number.isNaN(each)) continue;
    sum += each;
    terms++;
  }
  return terms === 0 ? Number.NaN : sum / terms;
}

interface Wishes {
  readonly x: Float64Array;
  readonly shift: Float64Array;
  readonly keep: Float32Array;
  readonly width: Float32Array;
  readonly result: Float64Array;
}

/** A run of vertices that touch, at the weighted mean of where they would like the run to begin. */
interface Run {
  wish: number;
  weight: number;
  size: number;
}

/** Boxes in their old places give way last. */
const homeWeight = 1e7;

/** The nearest places that keep the distances: pools of neighbours that would overlap (isotonic regression). */
function placeRank(graph: Proper, { start, vertex }: Order, r: number, wishes: Wishes): void {
  const { x, shift, keep, width, result } = wishes;
  const [first, end] = [start[r]!, start[r + 1]!];
  const runs: Run[] = [];
  const offset = new Float64Array(end - first);
  for (let k = first; k < end; k++) {
    const v = vertex[k]!;
    if (k > first) offset[k - first] = offset[k - first - 1]! + distance(graph, width, vertex[k - 1]!, v);
    const home = v < graph.items && !Number.isNaN(keep[v]!);
    let run: Run = { wish: x[v]! + shift[v]! - offset[k - first]!, weight: home ? homeWeight : 1, size: 1 };
    for (let last = runs.at(-1); last !== undefined && last.wish > run.wish; last = runs.at(-1)) {
      runs.pop();
      const weight = last.weight + run.weight;
      run = {
        wish: (last.wish * last.weight + run.wish * run.weight) / weight,
        weight,
        size: last.size + run.size,
      };
    }
    runs.push(run);
  }
  let k = first;
  for (const { wish, size } of runs) {
    for (let i = 0; i < size; i++, k++) result[vertex[k]!] = wish + offset[k - first]!;
  }
}
