import { describe, expect, it } from 'vitest';
import type { ArenaProblem, ArenaSolution } from '../../../src/analysis/arenaProblem.ts';
import { liveBytes, planArena } from '../../../src/analysis/arena.ts';
import { generator } from './random.ts';

function randomProblem(seed: number, blocks: number, steps: number): ArenaProblem {
  const random = generator(seed);
  const spans = Array.from({ length: blocks }, () => {
    const first = random(steps);
    return { first, last: Math.min(steps - 1, first + random(4)), bytes: 1 + random(9) };
  });
  return {
    bytes: spans.map((span) => span.bytes),
    first: spans.map((span) => span.first),
    last: spans.map((span) => span.last),
    steps,
  };
}

function boundOf(problem: ArenaProblem): number {
  return Math.max(...liveBytes(problem));
}

/** No two blocks that live at the same time overlap, and all lie within the peak. */
function expectSound({ bytes, first, last }: ArenaProblem, { offsets, peak }: ArenaSolution): void {
  for (let a = 0; a < bytes.length; a += 1) {
    const end = (offsets[a] as number) + (bytes[a] as number);
    expect(end).toBeLessThanOrEqual(peak);
    for (let b = 0; b < a; b += 1) {
      const together =
        (first[a] as number) <= (last[b] as number) && (first[b] as number) <= (last[a] as number);
      if (!together) continue;
      const apart =
        end <= (offsets[b] as number) ||
        (offsets[b] as number) + (bytes[b] as number) <= (offsets[a] as number);
      expect(apart).toBe(true);
    }
  }
}

/** The smallest arena there is: every order of first fit reaches every arrangement that is pushed down. */
function bruteForce(problem: ArenaProblem): number {
  const count = problem.bytes.length;
  const offsets: number[] = Array(count).fill(-1);
  let best = Number.POSITIVE_INFINITY;
  const visit = (placed: number, peak: number) => {
    if (peak >= best) return;
    if (placed === count) {
      best = peak;
      return;
    }
    for (let block = 0; block < count; block += 1) {
      if ((offsets[block] as number) >= 0) continue;
      const offset = lowest(problem, offsets, block);
      offsets[block] = offset;
      visit(placed + 1, Math.max(peak, offset + (problem.bytes[block] as number)));
      offsets[block] = -1;
    }
  };
  visit(0, 0);
  return best;
}

function lowest({ bytes, first, last }: ArenaProblem, offsets: readonly number[], block: number): number {
  const taken = offsets
    .map((offset, other) => ({ offset, end: offset + (bytes[other] as number), other }))
    .filter(({ offset, other }) => {
      const together =
        (first[block] as number) <= (last[other] as number) &&
        (first[other] as number) <= (last[block] as number);
      return offset >= 0 && together;
    })
    .sort((a, b) => a.offset - b.offset);
  let at = 0;
  for (const { offset, end } of taken) {
    if (offset - at >= (bytes[block] as number)) break;
    at = Math.max(at, end);
  }
  return at;
}

describe('the arena planner', () => {
  it('finds the smallest arena of small random problems', () => {
    let exact = 0;
    const rounds = 60;
    for (let seed = 1; seed <= rounds; seed += 1) {
      const problem = randomProblem(seed, 7, 6);
      const bound = boundOf(problem);
      const plan = planArena(problem, bound);
      const optimum = bruteForce(problem);
      expectSound(problem, plan);
      expect(optimum).toBeGreaterThanOrEqual(bound);
      expect(plan.peak).toBeGreaterThanOrEqual(optimum);
      if (plan.peak === optimum) exact += 1;
    }
    expect(exact).toBe(rounds);
  });

  it('stays within 5 % of the bound on larger ones, without overlap, and always gives the same plan', () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const problem = randomProblem(seed, 120, 60);
      const bound = boundOf(problem);
      const plan = planArena(problem, bound);
      expectSound(problem, plan);
      expect(plan.peak / bound).toBeLessThanOrEqual(1.05);
      expect(planArena(problem, bound).offsets).toEqual(plan.offsets);
    }
  });

  it('plans blocks that all live at once in one pass', () => {
    const count = 20_000;
    const problem: ArenaProblem = {
      bytes: Array(count).fill(4),
      first: Array.from({ length: count }, (_, index) => index),
      last: Array(count).fill(count - 1),
      steps: count,
    };
    expect(planArena(problem, 4 * count).peak).toBe(4 * count);
  });
});
