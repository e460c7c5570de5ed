import type { Cost, Levels } from './roundingRow.ts';
import { codeFor, descend, slopeOf, sweep } from './roundingRow.ts';

/** Rows of weights that meet the same inputs, and how they may be stored. */
interface RoundingTask {
  readonly rows: number;
  /** `rows` x `size` of the cost, row-major: what the rounded weights should come close to. */
  readonly weights: Float64Array;
  /** 0 where the code is zero whatever the weight, as after pruning; `rows` x `size`. */
  readonly keep?: Uint8Array | undefined;
  /** Each row takes the set that serves it best. */
  readonly levels: readonly Levels[];
  /** Neighbours of a row that share a scale; 0 for one scale per row. */
  readonly block: number;
  /** One scale for all rows together. */
  readonly oneScale?: boolean;
  /** Lower bounds of the scales, one per row. */
  readonly leastScales?: ArrayLike<number> | undefined;
}

export interface RoundedRows {
  /** `rows` x `size`. */
  readonly codes: Int8Array;
  /** One per row, or `rows` x blocks; float32 numbers. */
  readonly scales: Float32Array;
  /** Sum of e H eT over the rows, H damped. */
  readonly cost: number;
}

/** Shares of the largest magnitude that the largest code may stand for. */
const shares = Float64Array.from({ length: 28 }, (_, i) => 1.08 - 0.03 * i);
/** Multiply-accumulates that the search for the scales of one layer may take. */
const searchWork = 6e8;
/** Rounds of descent and refitted scales; most rows settle in a few. */
const mostRounds = 12;

/** One row in the cost's order, with room to work in. */
interface Row {
  readonly weights: Float64Array;
  readonly keep: Uint8Array | undefined;
  readonly scales: Float64Array;
  readonly codes: Float64Array;
  readonly errors: Float64Array;
  readonly slope: Float64Array;
  /** Which scale an element has. */
  readonly groups: Uint32Array;
  readonly groupCount: number;
  /** A scale per group. */
  readonly groupScales: Float64Array;
}

interface Trial {
  readonly levels: Levels;
  readonly groupScales: Float64Array;
  cost: number;
}

/**
 * Rounds rows of weights so that e H eT is small: GPTQ from several scales, the best of them improved by coordinate
 * descent on the codes and least squares on the scales in turn. Never costs more than rounding each weight by itself.
 */
export function roundRows(cost: Cost, task: RoundingTask): RoundedRows {
  const { size } = cost;
  const blocks = task.block === 0 ? 1 : Math.ceil(size / task.block);
  const codes = new Int8Array(task.rows * size);
  const scales = new Float32Array(task.rows * blocks);
  const shared = task.oneScale === true ? sharedTrial(cost, task) : undefined;
  let total = 0;
  for (let r = 0; r < task.rows; r += 1) {
    const row = rowOf(cost, task, r);
    if (row.weights.every((weight) => weight === 0)) {
      // Channels that were added or emptied on purpose; not every set of codes has a zero.
      scales.fill(shared?.groupScales[0] ?? 1, r * blocks, (r + 1) * blocks);
      continue;
    }
    const least = task.leastScales?.[r] ?? 0;
    const best = shared ?? bestTrial(cost, row, task, least);
    total += settle(cost, row, best, shared === undefined ? least : undefined);
    for (let i = 0; i < size; i += 1) if (row.weights[i] === 0 && cost.idle[i] === 1) row.codes[i] = 0;
    for (let i = 0; i < size; i += 1) codes[r * size + (cost.order[i] as number)] = row.codes[i] as number;
    scales.set(row.groupScales, r * blocks);
  }
  return { codes, scales, cost: total };
}

function rowOf({ size, order }: Cost, { weights, block, keep }: RoundingTask, r: number): Row {
  const groupCount = block === 0 ? 1 : Math.ceil(size / block);
  return {
    weights: Float64Array.from(order, (at) => weights[r * size + at] as number),
    keep: keep && Uint8Array.from(order, (at) => keep[r * size + at] as number),
    scales: new Float64Array(size),
    codes: new Float64Array(size),
    errors: new Float64Array(size),
    slope: new Float64Array(size),
    groups: order.map((at) => (block === 0 ? 0 : Math.floor(at / block))),
    groupCount,
    groupScales: new Float64Array(groupCount),
  };
}

/** The trials that look best when each weight is rounded by itself, then the best of them under `sweep`. */
function bestTrial(cost: Cost, row: Row, task: RoundingTask, least: number): Trial {
  const trials = task.levels.map((levels) => simpleTrials(cost, row, levels, least));
  const work = (task.rows * cost.size * cost.size) / 2;
  const most = Math.max(2, Math.floor(searchWork / work));
  const wanted = trials
    .flat()
    .sort((a, b) => a.cost - b.cost)
    .slice(0, most);
  let best = wanted[0] as Trial;
  let bestCost = Number.POSITIVE_INFINITY;
  for (const trial of wanted) {
    const swept = sweptCost(cost, row, trial);
    if (swept >= bestCost) continue;
    bestCost = swept;
    best = trial;
  }
  return best;
}

/** Candidate scales with what they cost under the diagonal of H; with blocks, each block takes its own best. */
function simpleTrials({ h, size }: Cost, row: Row, levels: Levels, least: number): Trial[] {
  const top = Math.max(Math.abs(levels.low), Math.abs(levels.high));
  const largest = new Float64Array(row.groupCount);
  for (let i = 0; i < size; i += 1) {
    const group = row.groups[i] as number;
    largest[group] = Math.max(largest[group] as number, Math.abs(row.weights[i] as number));
  }
  const trials = Array.from(shares, (share) => ({
    levels,
    groupScales: largest.map((value) => usableScale((share * value) / top, least)),
    costs: new Float64Array(row.groupCount),
    cost: 0,
  }));
  for (const trial of trials) {
    for (let i = 0; i < size; i += 1) {
      const group = row.groups[i] as number;
      const scale = trial.groupScales[group] as number;
      const value = row.weights[i] as number;
      if (row.keep?.[i] === 0) continue;
      const error = value - scale * codeFor(value, scale, levels);
      const part = error * error * (h[i * size + i] as number);
      trial.costs[group] = (trial.costs[group] as number) + part;
      trial.cost += part;
    }
  }
  if (row.groupCount === 1) return trials;
  const mixed = { levels, groupScales: new Float64Array(row.groupCount), cost: 0 };
  for (let group = 0; group < row.groupCount; group += 1) {
    const costAt = (trial: (typeof trials)[number]) => trial.costs[group] as number;
    const best = trials.reduce((one, other) => (costAt(other) < costAt(one) ? other : one));
    mixed.groupScales[group] = best.groupScales[group] as number;
    mixed.cost += costAt(best);
  }
  return [mixed, ...trials];
}

/** As float32 stores it; a row of zeros gets 1, because a subnormal scale would lose its precision. */
function usableScale(scale: number, least: number): number {
  const rounded = Math.fround(Math.max(scale, least));
  return rounded > 1.2e-38 ? rounded : 1;
}

function applyTrial(row: Row, { groupScales }: Trial): void {
  row.groupScales.set(groupScales);
  spreadScales(row);
}

function spreadScales(row: Row): void {
  for (let i = 0; i < row.scales.length; i += 1)
    row.scales[i] = row.groupScales[row.groups[i] as number] as number;
}

function sweptCost(cost: Cost, row: Row, trial: Trial): number {
  applyTrial(row, trial);
  sweep(cost, row.weights, row.scales, trial.levels, row.codes, row.errors, row.keep);
  return slopeOf(cost, row.errors, row.slope);
}

/** The best scale for all rows together. */
function sharedTrial(cost: Cost, task: RoundingTask): Trial {
  const { size } = cost;
  const least = Math.max(0, ...Array.from(task.leastScales ?? []));
  let largest = 0;
  for (const value of task.weights) largest = Math.max(largest, Math.abs(value));
  const most = Math.max(2, Math.floor(searchWork / ((task.rows * size * size) / 2)));
  const some = shares.filter((_, i) => i % Math.ceil(shares.length / most) === 0);
  const trials = task.levels.flatMap((levels) => {
    const top = Math.max(Math.abs(levels.low), Math.abs(levels.high));
    return Array.from(some, (share) => {
      const groupScales = Float64Array.of(usableScale((share * largest) / top, least));
      return { levels, groupScales, cost: 0 };
    });
  });
  const rows = Array.from({ length: task.rows }, (_, r) => rowOf(cost, { ...task, block: 0 }, r));
  for (const trial of trials) for (const row of rows) trial.cost += sweptCost(cost, row, trial);
  return trials.reduce((one, other) => (other.cost < one.cost ? other : one));
}

/**
 * From the trial, descends on the codes and refits the scales until nothing improves; `least` undefined keeps the
 * scales. Leaves the best in `row` and gives its cost.
 */
function settle(cost: Cost, row: Row, trial: Trial, least: number | undefined): number {
  const { levels } = trial;
  let best = sweptCost(cost, row, trial);
  let kept = { codes: row.codes.slice(), scales: row.groupScales.slice() };
  const keep = (value: number) => {
    if (!(value < best)) return false;
    best = value;
    kept = { codes: row.codes.slice(), scales: row.groupScales.slice() };
    return true;
  };
  for (let round = 0; round < mostRounds; round += 1) {
    const moved = descend(cost, row.scales, levels, row.codes, row.errors, row.slope, row.keep);
    if (least !== undefined) refitScales(cost, row, least);
    const improved = keep(refresh(cost, row));
    if (moved === 0 && !improved) break;
  }
  applyTrial(row, trial);
  for (let i = 0; i < cost.size; i += 1)
    row.codes[i] =
      row.keep?.[i] === 0 ? 0 : codeFor(row.weights[i] as number, row.scales[i] as number, levels);
  keep(refresh(cost, row));
  row.codes.set(kept.codes);
  row.groupScales.set(kept.scales);
  return best;
}

/** Recomputes errors and slope from the codes; gives the cost. */
function refresh(cost: Cost, row: Row): number {
  for (let i = 0; i < cost.size; i += 1)
    row.errors[i] = (row.weights[i] as number) - (row.scales[i] as number) * (row.codes[i] as number);
  return slopeOf(cost, row.errors, row.slope);
}

/** Least squares on one scale after the other, the codes fixed: s += zT H e / zT H z. */
function refitScales({ h, size }: Cost, row: Row, least: number): void {
  for (let group = 0; group < row.groupCount; group += 1) {
    const members: number[] = [];
    for (let i = 0; i < size; i += 1) if (row.groups[i] === group && row.codes[i] !== 0) members.push(i);
    let along = 0;
    let across = 0;
    for (const i of members) {
      along += (row.codes[i] as number) * (row.slope[i] as number);
      let sum = 0;
      for (const j of members) sum += (h[i * size + j] as number) * (row.codes[j] as number);
      across += sum * (row.codes[i] as number);
    }
    if (!(across > 0)) continue;
    const before = row.groupScales[group] as number;
    const after = Math.fround(before + along / across);
    if (!(after > 1.2e-38) || after < least) continue;
    row.groupScales[group] = after;
    const change = before - after;
    for (const i of members) {
      const step = change * (row.codes[i] as number);
      row.errors[i] = (row.errors[i] as number) + step;
      if (row.groupCount === 1) continue;
      for (let k = 0; k < size; k += 1)
        row.slope[k] = (row.slope[k] as number) + step * (h[i * size + k] as number);
    }
  }
  spreadScales(row);
}
