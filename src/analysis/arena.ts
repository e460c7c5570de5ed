/** Sizes and lifetimes of blocks that must not overlap in memory while they overlap in time. */
export interface ArenaProblem {
  readonly bytes: readonly number[];
  /** First and last step of each block, inclusive. */
  readonly first: readonly number[];
  readonly last: readonly number[];
  readonly steps: number;
}

export interface ArenaSolution {
  readonly offsets: Float64Array;
  readonly peak: number;
}

/** Overlapping pairs that are looked at; wider problems get the allocation in order of time only. */
const mostPairs = 4_000_000;
/** Neighbours visited by the search, all its placements together. */
const searchBudget = 6_000_000;

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
  let bestOrder: readonly number[] = [];
  for (const key of sortKeys(problem)) {
    const order = sortedBy(problem, key);
    const solution = place(problem, order, neighbours);
    if (bestOrder.length === 0 || solution.peak < best.peak) bestOrder = order;
    if (solution.peak < best.peak) best = solution;
    if (best.peak <= bound) return best;
  }
  const climbed = climb(problem, bestOrder, neighbours, bound);
  return climbed.peak < best.peak ? climbed : best;
}

function sortKeys({ bytes, first, last }: ArenaProblem): readonly ((block: number) => number)[] {
  const life = (block: number) => (last[block] as number) - (first[block] as number) + 1;
  return [
    (block) => bytes[block] as number,
    (block) => (bytes[block] as number) * life(block),
    (block) => life(block) * 2 ** 20 + Math.log2((bytes[block] as number) + 1),
  ];
}

/** Blocks by descending key; ties keep the order of time, so plans are deterministic. */
function sortedBy({ bytes, first }: ArenaProblem, key: (block: number) => number): readonly number[] {
  const order = bytes.map((_, block) => block);
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
function place({ bytes }: ArenaProblem, order: readonly number[], neighbours: Neighbours): ArenaSolution {
  const offsets = new Float64Array(bytes.length).fill(-1);
  let peak = 0;
  for (const block of order) {
    const placed: number[] = [];
    for (let at = neighbours.start[block] as number; at < (neighbours.start[block + 1] as number); at += 1) {
      const other = neighbours.list[at] as number;
      if ((offsets[other] as number) >= 0) placed.push(other);
    }
    placed.sort((a, b) => (offsets[a] as number) - (offsets[b] as number));
    const size = bytes[block] as number;
    let offset = 0;
    for (const other of placed) {
      const begin = offsets[other] as number;
      if (begin - offset >= size) break;
      offset = Math.max(offset, begin + (bytes[other] as number));
    }
    offsets[block] = offset;
    peak = Math.max(peak, offset + size);
  }
  return { offsets, peak };
}

/** Swaps the turn of a block at or under the top of the arena with another's, and keeps what is not worse. */
function climb(
  problem: ArenaProblem,
  start: readonly number[],
  neighbours: Neighbours,
  bound: number,
): ArenaSolution {
  const random = generator(start.length);
  let order = start;
  let current = place(problem, order, neighbours);
  let best = current;
  const each = neighbours.list.length + start.length;
  for (let spent = each; spent < searchBudget && best.peak > bound; spent += each) {
    const around = [...underTop(problem, current, neighbours)];
    const a = order.indexOf(around[random(around.length)] as number);
    const b = random(2) === 0 ? random(order.length) : order.indexOf(around[random(around.length)] as number);
    const tried = swapped(order, a, b);
    const solution = place(problem, tried, neighbours);
    if (solution.peak > current.peak) continue;
    order = tried;
    current = solution;
    if (solution.peak < best.peak) best = solution;
  }
  return best;
}

/** The highest block, and those that live with it. */
function underTop(
  { bytes }: ArenaProblem,
  { offsets, peak }: ArenaSolution,
  { start, list }: Neighbours,
): Set<number> {
  const top = bytes.findIndex((size, block) => (offsets[block] as number) + size === peak);
  return new Set([top, ...list.subarray(start[top], start[top + 1])]);
}

function swapped(order: readonly number[], a: number, b: number): readonly number[] {
  const copy = [...order];
  copy[a] = order[b] as number;
  copy[b] = order[a] as number;
  return copy;
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

/** Gaps looked at before a block is put on top instead. */
const mostGaps = 512;

/** Allocation in the order of time with a free list: the lowest gap that fits, else the top. */
function sweep({ bytes, first, last, steps }: ArenaProblem): ArenaSolution {
  const offsets = new Float64Array(bytes.length);
  const starting: number[][] = Array.from({ length: steps }, () => []);
  const ending: number[][] = Array.from({ length: steps }, () => []);
  first.forEach((step, block) => starting[step]?.push(block));
  last.forEach((step, block) => ending[step]?.push(block));
  const free = new FreeList();
  for (let step = 0; step < steps; step += 1) {
    const blocks = starting[step] as number[];
    blocks.sort((a, b) => (bytes[b] as number) - (bytes[a] as number) || a - b);
    for (const block of blocks) offsets[block] = free.take(bytes[block] as number);
    for (const block of ending[step] as number[]) free.give(offsets[block] as number, bytes[block] as number);
  }
  return { offsets, peak: free.peak };
}

function lowerBound(sorted: readonly number[], value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

class FreeList {
  readonly #starts: number[] = [];
  readonly #sizes: number[] = [];
  #top = 0;
  peak = 0;

  take(size: number): number {
    const count = Math.min(this.#starts.length, mostGaps);
    for (let gap = 0; gap < count; gap += 1) {
      if ((this.#sizes[gap] as number) < size) continue;
      const start = this.#starts[gap] as number;
      this.#starts[gap] = start + size;
      this.#sizes[gap] = (this.#sizes[gap] as number) - size;
      if (this.#sizes[gap] === 0) this.#remove(gap);
      return start;
    }
    const start = this.#top;
    this.#top += size;
    this.peak = Math.max(this.peak, this.#top);
    return start;
  }

  give(start: number, size: number): void {
    if (size === 0) return;
    let at = lowerBound(this.#starts, start);
    this.#starts.splice(at, 0, start);
    this.#sizes.splice(at, 0, size);
    if (at > 0 && (this.#starts[at - 1] as number) + (this.#sizes[at - 1] as number) === start) {
      this.#sizes[at - 1] = (this.#sizes[at - 1] as number) + size;
      this.#remove(at);
      at -= 1;
    }
    const end = (this.#starts[at] as number) + (this.#sizes[at] as number);
    if (this.#starts[at + 1] === end) {
      this.#sizes[at] = (this.#sizes[at] as number) + (this.#sizes[at + 1] as number);
      this.#remove(at + 1);
    }
    if ((this.#starts[at] as number) + (this.#sizes[at] as number) === this.#top) {
      this.#top = this.#starts[at] as number;
      this.#remove(at);
    }
  }

  #remove(gap: number): void {
    this.#starts.splice(gap, 1);
    this.#sizes.splice(gap, 1);
  }
}
