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

/** Overlapping pairs that may be looked at altogether; wider problems get the linear allocator only. */
const pairBudget = 30_000_000;
/** Restarts of the search that moves the block at the top of the arena to the front. */
const mostRestarts = 96;

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
 * Offsets by greedy first fit in several orders, the best of which is kept: largest first (as TensorFlow Lite Micro's
 * GreedyMemoryPlanner), largest area first (size × lifetime), longest first, and the order of time; then restarts that
 * place the block which ended highest first. Offset calculation is NP-hard (Pisarchyk and Lee, arXiv 2001.03288), so
 * the bound (the largest sum of live bytes) is not always met.
 */
export function planArena(problem: ArenaProblem, bound: number): ArenaSolution {
  let best = sweep(problem);
  let budget = pairBudget;
  const pairs = overlapCount(problem);
  const spend = () => {
    budget -= pairs + problem.bytes.length;
    return budget >= 0;
  };
  const better = (solution: ArenaSolution) => {
    if (solution.peak < best.peak) best = solution;
  };
  for (const key of sortKeys(problem)) {
    if (best.peak <= bound || !spend()) return best;
    better(place(problem, sortedBy(problem, key)));
  }
  let order = sortedBy(problem, (block) => problem.bytes[block] as number);
  for (let restart = 0; restart < mostRestarts && best.peak > bound && spend(); restart += 1) {
    const solution = place(problem, order);
    better(solution);
    const promoted = promoteTop(problem, solution, order);
    if (promoted === undefined) break;
    order = promoted;
  }
  return best;
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

/** The order with the highest block moved one half towards the front; `undefined` when it is there already. */
function promoteTop(
  { bytes }: ArenaProblem,
  { offsets, peak }: ArenaSolution,
  order: readonly number[],
): readonly number[] | undefined {
  const at = order.findIndex((block) => (offsets[block] as number) + (bytes[block] as number) === peak);
  if (at <= 0) return undefined;
  const to = Math.floor(at / 2);
  const moved = order[at] as number;
  return [...order.slice(0, to), moved, ...order.slice(to, at), ...order.slice(at + 1)];
}

function overlapCount({ first, last, steps }: ArenaProblem): number {
  const starts = new Float64Array(steps + 1);
  const ends = new Float64Array(steps + 1);
  first.forEach((step, block) => {
    starts[step] = (starts[step] as number) + 1;
    ends[last[block] as number] = (ends[last[block] as number] as number) + 1;
  });
  let live = 0;
  let pairs = 0;
  for (let step = 0; step < steps; step += 1) {
    const added = starts[step] as number;
    pairs += added * (live + added);
    live += added - (ends[step] as number);
  }
  return pairs;
}

/** First fit: each block goes to the lowest gap between the placed blocks that live at the same time. */
function place(problem: ArenaProblem, order: readonly number[]): ArenaSolution {
  const { bytes, first, last, steps } = problem;
  const offsets = new Float64Array(bytes.length);
  const timeline = new Timeline(steps);
  let peak = 0;
  for (const block of order) {
    const from = first[block] as number;
    const to = last[block] as number;
    const size = bytes[block] as number;
    const neighbours = timeline.overlapping(from, to, first);
    neighbours.sort((a, b) => (offsets[a] as number) - (offsets[b] as number));
    let offset = 0;
    for (const other of neighbours) {
      const start = offsets[other] as number;
      if (start - offset >= size) break;
      offset = Math.max(offset, start + (bytes[other] as number));
    }
    offsets[block] = offset;
    peak = Math.max(peak, offset + size);
    timeline.add(block, from, to);
  }
  return { offsets, peak };
}

/** Which placed blocks live during a span: those that live at its start, and those that start within it. */
class Timeline {
  readonly #leaves: number;
  /** Segment tree over the steps; a block is listed at the few nodes that cover its lifetime. */
  readonly #tree = new Map<number, number[]>();
  readonly #starting = new Map<number, number[]>();
  readonly #startTimes: number[] = [];

  constructor(steps: number) {
    this.#leaves = 2 ** Math.ceil(Math.log2(Math.max(1, steps)));
  }

  add(block: number, from: number, to: number): void {
    let low = from + this.#leaves;
    let high = to + this.#leaves + 1;
    for (; low < high; low >>= 1, high >>= 1) {
      if (low & 1) push(this.#tree, low++, block);
      if (high & 1) push(this.#tree, --high, block);
    }
    if (!this.#starting.has(from)) insertSorted(this.#startTimes, from);
    push(this.#starting, from, block);
  }

  overlapping(from: number, to: number, first: readonly number[]): number[] {
    const found: number[] = [];
    for (let node = from + this.#leaves; node >= 1; node >>= 1) {
      const blocks = this.#tree.get(node);
      if (blocks !== undefined) for (const block of blocks) found.push(block);
    }
    for (let at = lowerBound(this.#startTimes, from + 1); at < this.#startTimes.length; at += 1) {
      const time = this.#startTimes[at] as number;
      if (time > to) break;
      for (const block of this.#starting.get(time) ?? [])
        if ((first[block] as number) > from) found.push(block);
    }
    return found;
  }
}

function push(lists: Map<number, number[]>, key: number, value: number): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
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

function insertSorted(sorted: number[], value: number): void {
  sorted.splice(lowerBound(sorted, value), 0, value);
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
