import { sizeOf } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { Magnitudes } from './magnitudes.ts';
import { leastOf, magnitudesOf, mostOf, occurringIn, placeBehind } from './magnitudes.ts';

/** What is compared: the weights of each tensor alone, all by magnitude, or all by LAMP score. */
export type Scope = 'layer' | 'global' | 'lamp';

/** The elements of a tensor that go: those below a magnitude, and those on it before a place. */
export interface Cut {
  readonly magnitude: number;
  readonly equalUntil: number;
  /** How many go. */
  readonly count: number;
  /** How many of the tensor are zero before. */
  readonly zeros: number;
}

/** How little a weight is missed, from its magnitude, the squares of all larger ones, and how many equal ones count. */
type Score = (value: number, above: number, equal: number) => number;

/**
 * LAMP scores (Lee et al. 2021, arXiv 2010.07611): the square of a weight over the sum of the squares that are not
 * smaller. They do not depend on the scale of a layer, which batch-norm folding makes arbitrary.
 */
const lampScore: Score = (value, above, equal) =>
  value === 0 ? 0 : value ** 2 / (above + equal * value ** 2);
const magnitudeScore: Score = (value) => value;

/** Beyond every finite score. */
const beyond = 2 ** 129;
/** Sums of squares in another order differ in their last bits. */
const slack = 1e-9;

/**
 * The `share` of the elements of all tensors with the lowest scores, exactly, in two passes over their bytes (a third where
 * some of many equal ones go) and without holding them in memory: counts by the upper bits of the magnitudes bound the
 * scores, and only near the border the lower bits are counted as well. What is not finite stays.
 */
export async function smallestOf(
  tensors: readonly Tensor[],
  share: number,
  scope: Scope,
  step: (done: number) => Promise<void>,
): Promise<readonly Cut[]> {
  const score = scope === 'lamp' ? lampScore : magnitudeScore;
  const ranked: Ranked[] = [];
  for (const [index, tensor] of tensors.entries()) {
    await step((0.5 * index) / tensors.length);
    ranked.push(rankedBy(magnitudesOf(tensor), score));
  }
  const together = scope === 'layer' ? ranked.map((each) => [each]) : [ranked];
  const cuts: Cut[] = [];
  for (const some of together) {
    const border = borderOf(some, share);
    const fine: Fine[] = [];
    for (const each of some) {
      await step(0.5 + (0.5 * (cuts.length + fine.length)) / tensors.length);
      fine.push(fineOf(tensors[cuts.length + fine.length] as Tensor, each, border));
    }
    const counts = shared(fine, border.wanted, score);
    for (const [index, each] of fine.entries())
      cuts.push(cutAt(tensors[cuts.length] as Tensor, each, counts[index] as number));
  }
  return cuts;
}

/** The magnitudes of a tensor in groups, and what bounds their scores. */
interface Ranked {
  readonly magnitudes: Magnitudes;
  /** Elements before each group, and of all. */
  readonly before: Float64Array;
  /** Squares of all elements behind each group. */
  readonly above: Float64Array;
  /** Bounds of a group's scores; both rise with the group. */
  least(group: number): number;
  most(group: number): number;
}

function rankedBy(magnitudes: Magnitudes, score: Score): Ranked {
  const { upper, counts, squares } = magnitudes;
  const before = new Float64Array(upper.length + 1);
  const above = new Float64Array(upper.length);
  for (const [index, count] of counts.entries()) before[index + 1] = (before[index] as number) + count;
  for (let index = upper.length - 2; index >= 0; index -= 1)
    above[index] = (above[index + 1] as number) + (squares[index + 1] as number);
  const bound = (value: number, group: number, equal: number) => score(value, above[group] as number, equal);
  return {
    magnitudes,
    before,
    above,
    least(group) {
      const low = leastOf(upper[group] as number);
      return bound(low, group, (squares[group] as number) / low ** 2) * (1 - slack);
    },
    most: (group) => bound(mostOf(upper[group] as number), group, 1) * (1 + slack),
  };
}

/** How many go, and between which numbers the score of the last of them lies. */
interface Border {
  readonly wanted: number;
  readonly low: number;
  readonly high: number;
}

function borderOf(ranked: readonly Ranked[], share: number): Border {
  const sum = (what: (each: Ranked) => number) => ranked.reduce((total, each) => total + what(each), 0);
  const finite = sum(({ before }) => before.at(-1) as number);
  const wanted = Math.min(finite, Math.round(share * sum(({ magnitudes }) => magnitudes.elements)));
  const reach = (bound: 'least' | 'most') =>
    firstWhere((score) => sum((each) => each.before[groupsBelow(each, bound, score)] as number) >= wanted);
  return { wanted, low: reach('least').before, high: reach('most').at };
}

/** How many groups have a bound below a score. */
function groupsBelow(ranked: Ranked, bound: 'least' | 'most', score: number): number {
  return firstIndex(ranked.magnitudes.upper.length, (group) => ranked[bound](group) >= score);
}

/** The first index that holds, when all behind it do. */
function firstIndex(length: number, holds: (index: number) => boolean): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Neighbouring doubles from 0 on of which the second is the first that holds. */
function firstWhere(holds: (score: number) => boolean): { readonly before: number; readonly at: number } {
  let [before, at] = [0, beyond];
  for (;;) {
    const middle = before + (at - before) / 2;
    if (middle <= before || middle >= at) return { before, at };
    if (holds(middle)) at = middle;
    else before = middle;
  }
}

/** The magnitudes of a tensor near the border one by one. */
interface Fine {
  /** Elements that are smaller than all of these. */
  readonly below: number;
  /** Larger than those and not larger than any other. */
  readonly lowest: number;
  readonly values: Float32Array;
  readonly counts: Uint32Array;
  /** Elements before each value, and of all. */
  readonly before: Float64Array;
  /** Squares of all larger elements. */
  readonly above: Float64Array;
  readonly zeros: number;
}

function fineOf(tensor: Tensor, ranked: Ranked, border: Border): Fine {
  const { upper, zeros } = ranked.magnitudes;
  const first = groupsBelow(ranked, 'most', border.low);
  const last = Math.max(first, groupsBelow(ranked, 'least', border.high));
  const { values, counts } = occurringIn(tensor, upper.subarray(first, last));
  const before = new Float64Array(values.length + 1);
  for (const [index, count] of counts.entries()) before[index + 1] = (before[index] as number) + count;
  const above = new Float64Array(values.length);
  let squares = ranked.above[last - 1] ?? 0;
  for (let index = values.length - 1; index >= 0; index -= 1) {
    above[index] = squares;
    squares += (counts[index] as number) * (values[index] as number) ** 2;
  }
  const next = upper[last];
  const lowest = values[0] ?? (next === undefined ? Number.POSITIVE_INFINITY : leastOf(next));
  return { below: ranked.before[first] as number, lowest, values, counts, before, above, zeros };
}

/** How many elements of each tensor go, when so many of all go together; of equal scores, those of the first tensors. */
function shared(fine: readonly Fine[], wanted: number, score: Score): readonly number[] {
  const countsBelow = (bound: number) => fine.map((each) => elementsBelow(each, bound, score));
  const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);
  if (wanted === 0) return fine.map(() => 0);
  const { before, at } = firstWhere((bound) => sum(countsBelow(bound)) >= wanted);
  const sure = countsBelow(before);
  const most = countsBelow(at);
  let rest = wanted - sum(sure);
  return sure.map((count, index) => {
    const more = Math.min(rest, (most[index] as number) - count);
    rest -= more;
    return count + more;
  });
}

/** How many elements of a tensor score less. Among equal magnitudes the score rises with every one that has gone. */
function elementsBelow({ below, values, counts, before, above }: Fine, bound: number, score: Score): number {
  const scoreOf = (index: number, gone: number) =>
    score(values[index] as number, above[index] as number, (counts[index] as number) - gone);
  const last = firstIndex(values.length, (index) => scoreOf(index, 0) >= bound) - 1;
  if (last < 0) return below;
  const gone = firstIndex(counts[last] as number, (each) => scoreOf(last, each) >= bound);
  return below + (before[last] as number) + gone;
}

function cutAt(tensor: Tensor, { below, lowest, values, counts, before, zeros }: Fine, count: number): Cut {
  if (count <= below) return { magnitude: count === 0 ? 0 : lowest, equalUntil: 0, count, zeros };
  const index = firstIndex(values.length, (each) => (before[each + 1] as number) >= count - below);
  const magnitude = values[index] as number;
  const equal = count - below - (before[index] as number);
  const equalUntil = equal === counts[index] ? sizeOf(tensor) : placeBehind(tensor, magnitude, equal);
  return { magnitude, equalUntil, count, zeros };
}
