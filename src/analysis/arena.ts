import type { ArenaProblem, ArenaSolution } from './arenaProblem.ts';
import { sweep } from './sweep.ts';

/** Overlapping pairs that are looked at; wider problems get the allocation in order of time only. */
const mostPairs = 4_000_000;
/** Neighbours visited by the search, all its placements together. */
const searchBudget = 4_000_000;

/** Bytes live at each step. */
export function liveBytes({ bytes, first, last, steps }: ArenaProblem): Float64Array {
  const change = new Float64Array(steps + 1);
  bytes.forEach((size, block) => {
    change[first[block] as number] = (change[first[block] as number] as number) + size;
    change[(last[block] as number) + 1] = (change[(last[block] as number) + 1] as number) - size;
  });
  const live = new Float64Array(steps);
  let sum = 0;
  for (let step = 0; step < steps; step += 1) {
    sum += change[step] as number;
    live[step] = sum;
  }
  return live;
}

/**
 * Offsets by greedy first fit in several orders, the best of which is kept: the order of time, largest first (as
 * TensorFlow Lite Micro's GreedyMemoryPlanner), largest area first (size × lifetime), longest first; then a hill climb
 * that swaps blocks around the one which ends highest (the idea of Vela's HillClimb allocator). Offset calculation is
 * NP-hard (Pisarchyk and Lee, arXiv 2001.03288), so the bound, the largest sum of live bytes, is not always met.
 * The same problem always gives the same plan.
 */
export function planArena(problem: ArenaProblem, bound: number): ArenaSolution {
  let best = sweep(problem);
  if (best.peak <= bound) return best;
  const neighbours = findNeighbours(problem);
  if (neighbours === undefined) return best;
  const fit = new FirstFit(problem, neighbours);
  let bestOrder: Int32Array | undefined;
  let bestPlaced = Number.POSITIVE_INFINITY;
  for (const order of orders(problem)) {
    const peak = fit.place(order);
    if (peak < bestPlaced) [bestOrder, bestPlaced] = [order, peak];
    if (peak < best.peak) best = { offsets: fit.offsets.slice(), peak };
    if (best.peak <= bound) return best;
  }
  if (bestOrder === undefined) return best;
  const climbed = climb(problem, bestOrder, neighbours, bound);
  return climbed.peak < best.peak ? climbed : best;
}

/**
 * Greedy first fit, largest block first and ties in the order of time: what TensorFlow Lite Micro's GreedyMemoryPlanner
 * does. `undefined` when too many blocks overlap to look at all pairs.
 */
export function planLargestFirst(problem: ArenaProblem): ArenaSolution | undefined {
  const neighbours = findNeighbours(problem);
  if (neighbours === undefined) return undefined;
  const fit = new FirstFit(problem, neighbours);
  const peak = fit.place(sortedBy(problem, (block) => problem.bytes[block] as number));
  return { offsets: fit.offsets, peak };
}

function* orders(problem: ArenaProblem): Generator<Int32Array> {
  const { bytes, first, last } = problem;
  const life = (block: number) => (last[block] as number) - (first[block] as number) + 1;
  const size = (block: number) => bytes[block] as number;
  yield sortedBy(problem, size);
  yield sortedBy(problem, (block) => size(block) * life(block));
  yield sortedBy(problem, (block) => life(block) * 2 ** 20 + Math.log2(size(block) + 1));
  yield byBreadth(problem, size);
  yield byBreadth(problem, life);
}

/** The steps with the most live bytes first, and of each the blocks by descending key. */
function byBreadth(problem: ArenaProblem, key: (block: number) => number): Int32Array {
  const { bytes, first, last, steps } = problem;
  const live = liveBytes(problem);
  const rank = new Float64Array(bytes.length);
  // The broadest step a block lives in decides; a sparse table answers range maxima without walking lifetimes.
  const most = rangeMaximum(live, steps);
  for (let block = 0; block < bytes.length; block += 1) {
    rank[block] = most(first[block] as number, last[block] as number);
  }
  const order = sortedBy(problem, key);
  return order.sort((a, b) => (rank[b] as number) - (rank[a] as number));
}

/** Largest value between two positions, inclusive, in constant time. */
function rangeMaximum(values: Float64Array, count: number): (from: number, to: number) => number {
  const levels = [values];
  for (let span = 1; 2 * span <= count; span *= 2) {
    const below = levels.at(-1) as Float64Array;
    const level = new Float64Array(count - 2 * span + 1);
    for (let at = 0; at < level.length; at += 1) {
      level[at] = Math.max(below[at] as number, below[at + span] as number);
    }
    levels.push(level);
  }
  return (from, to) => {
    const depth = Math.floor(Math.log2(to - from + 1));
    const level = levels[depth] as Float64Array;
    return Math.max(level[from] as number, level[to - 2 ** depth + 1] as number);
  };
}

/** Blocks by descending key; ties keep the order of time, so plans are deterministic. */
function sortedBy({ bytes, first }: ArenaProblem, key: (block: number) => number): Int32Array {
  const order = Int32Array.from(bytes, (_, block) => block);
  return order.sort((a, b) => key(b) - key(a) || (first[a] as number) - (first[b] as number) || a - b);
}

/** For each block, those that live at some step together with it: `list[start[b]]` up to `list[start[b + 1]]`. */
interface Neighbours {
  readonly start: Int32Array;
  readonly list: Int32Array;
}

/** All overlapping pairs, or `undefined` when there are too many. */
function findNeighbours({ bytes, first, last }: ArenaProblem): Neighbours | undefined {
  const byTime = bytes.map((_, block) => block).sort((a, b) => (first[a] as number) - (first[b] as number));
  const left: number[] = [];
  const right: number[] = [];
  let live: number[] = [];
  for (const block of byTime) {
    const now = first[block] as number;
    if (live.some((other) => (last[other] as number) < now)) {
      live = live.filter((other) => (last[other] as number) >= now);
    }
    if (left.length + live.length > mostPairs) return undefined;
    for (const other of live) {
      left.push(other);
      right.push(block);
    }
    live.push(block);
  }
  return compressed(bytes.length, left, right);
}

function compressed(count: number, left: readonly number[], right: readonly number[]): Neighbours {
  const start = new Int32Array(count + 1);
  for (const side of [left, right])
    for (const block of side) start[block + 1] = (start[block + 1] as number) + 1;
  for (let block = 0; block < count; block += 1)
    start[block + 1] = (start[block + 1] as number) + (start[block] as number);
  const fill = start.slice();
  const list = new Int32Array(2 * left.length);
  const put = (block: number, other: number) => {
    list[fill[block] as number] = other;
    fill[block] = (fill[block] as number) + 1;
  };
  left.forEach((block, index) => {
    put(block, right[index] as number);
    put(right[index] as number, block);
  });
  return { start, list };
}

/** First fit: each block goes to the lowest gap between the placed blocks that live at the same time. */
class FirstFit {
  readonly #bytes: Float64Array;
  readonly #neighbours: Neighbours;
  /** Neighbours of the block at hand that are placed already, by offset. */
  readonly #placed: Int32Array;
  readonly offsets: Float64Array;

  constructor({ bytes }: ArenaProblem, neighbours: Neighbours) {
    this.#bytes = Float64Array.from(bytes);
    this.#neighbours = neighbours;
    this.#placed = new Int32Array(bytes.length);
    this.offsets = new Float64Array(bytes.length);
  }

  /** Places all blocks into `offsets`, in this order; gives the peak. */
  place(order: Int32Array): number {
    this.offsets.fill(-1);
    let peak = 0;
    for (const block of order) {
      const size = this.#bytes[block] as number;
      const offset = this.#lowestGap(this.#gather(block), size);
      this.offsets[block] = offset;
      if (offset + size > peak) peak = offset + size;
    }
    return peak;
  }

  /** Insertion sort: a block has few neighbours, and this loop is where the search spends its time. */
  #gather(block: number): number {
    const { start, list } = this.#neighbours;
    const end = start[block + 1] as number;
    let count = 0;
    for (let at = start[block] as number; at < end; at += 1) {
      const other = list[at] as number;
      const offset = this.offsets[other] as number;
      if (offset < 0) continue;
      let slot = count;
      for (; slot > 0; slot -= 1) {
        const before = this.#placed[slot - 1] as number;
        if ((this.offsets[before] as number) <= offset) break;
        this.#placed[slot] = before;
      }
      this.#placed[slot] = other;
      count += 1;
    }
    return count;
  }

  #lowestGap(count: number, size: number): number {
    let offset = 0;
    for (let index = 0; index < count; index += 1) {
      const other = this.#placed[index] as number;
      const begin = this.offsets[other] as number;
      if (begin - offset >= size) break;
      offset = Math.max(offset, begin + (this.#bytes[other] as number));
    }
    return offset;
  }
}

/** Swaps the turn of a block at or under the top of the arena with another's, and keeps what is not worse. */
function climb(
  problem: ArenaProblem,
  start: Int32Array,
  neighbours: Neighbours,
  bound: number,
): ArenaSolution {
  const random = generator(start.length);
  const fit = new FirstFit(problem, neighbours);
  const order = start.slice();
  let peak = fit.place(order);
  let best = { offsets: fit.offsets.slice(), peak };
  let around = underTop(problem, fit.offsets, peak, neighbours);
  const swap = (a: number, b: number) => {
    const kept = order[a] as number;
    order[a] = order[b] as number;
    order[b] = kept;
  };
  const each = neighbours.list.length + start.length;
  for (let spent = each; spent < searchBudget && best.peak > bound; spent += each) {
    const a = order.indexOf(around[random(around.length)] as number);
    const b = random(2) === 0 ? random(order.length) : order.indexOf(around[random(around.length)] as number);
    swap(a, b);
    const tried = fit.place(order);
    if (tried > peak) {
      swap(a, b);
      continue;
    }
    peak = tried;
    around = underTop(problem, fit.offsets, peak, neighbours);
    if (peak < best.peak) best = { offsets: fit.offsets.slice(), peak };
  }
  return best;
}

/** The highest block, and those that live with it. */
function underTop(
  { bytes }: ArenaProblem,
  offsets: Float64Array,
  peak: number,
  { start, list }: Neighbours,
): readonly number[] {
  const top = bytes.findIndex((size, block) => (offsets[block] as number) + size === peak);
  return [top, ...list.subarray(start[top], start[top + 1])];
}

/** Integers below `limit`, the same ones every time (xorshift32, Marsaglia 2003). */
function generator(seed: number): (limit: number) => number {
  let state = (seed * 2_654_435_761) >>> 0 || 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % limit;
  };
}
