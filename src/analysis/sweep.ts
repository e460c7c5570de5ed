import { lowerBound } from '../ir/sorted.ts';
import type { ArenaProblem, ArenaSolution } from './arenaProblem.ts';

/** Gaps looked at before a block is put on top instead. */
const mostGaps = 512;

/** Allocation in the order of time with a free list: the lowest gap that fits, else the top. */
export function sweep({ bytes, first, last, steps }: ArenaProblem): ArenaSolution {
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
