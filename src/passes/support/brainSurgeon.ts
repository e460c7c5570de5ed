import { choleskyOf, damped, inverseOf, solveCholesky } from './cholesky.ts';

/** Which weights of a row may go together, and which have to stay. */
export interface SparsePattern {
  /** Per weight, the unit it belongs to: all weights of a unit go together. -1 stays. */
  readonly unitOf: Int32Array;
  readonly units: number;
  /** Per unit, the group that it belongs to, and how many units of a group may go; absent: as many as there are. */
  readonly groupOf?: Int32Array;
  readonly mostOfGroup?: number;
}

/** In which order the units of a row go when each time the cheapest goes, and what each costs then. */
export interface Elimination {
  readonly order: Int32Array;
  /** Added squared error at the output, after the other weights made up for it. */
  readonly costs: Float64Array;
}

/** Share of the mean diagonal that is added to H. */
const damping = 0.01;
/** Rows longer than this are scored once instead of after every step: the cost grows with the cube. */
export const longestExact = 1200;

interface Surgeon {
  readonly size: number;
  readonly h: Float64Array;
  readonly inverse: Float64Array;
}

export function surgeonFor(h: Float64Array, size: number): Surgeon {
  const firm = damped(h, size, damping);
  return { size, h: firm, inverse: inverseOf(choleskyOf(firm, size), size) };
}

/**
 * Optimal Brain Surgeon on one row of weights (Hassibi and Stork 1993; per row as in OBC, Frantar and Alistarh 2022,
 * arXiv 2208.11580): the unit p with the least w_p [(H^-1)_pp]^-1 w_p goes, the others take the update
 * -H^-1_:p [(H^-1)_pp]^-1 w_p. `H^-1` is downdated after each step.
 */
export function eliminate(surgeon: Surgeon, weights: Float64Array, pattern: SparsePattern): Elimination {
  return surgeon.size > longestExact
    ? scoredOnce(surgeon, weights, pattern)
    : exactly(surgeon, weights, pattern);
}

interface State {
  /** Weights that are still there, by their index in the row. */
  places: Int32Array;
  weights: Float64Array;
  /** H^-1 over the places, lower triangle. */
  inverse: Float64Array;
}

function exactly({ size, inverse }: Surgeon, weights: Float64Array, pattern: SparsePattern): Elimination {
  let state: State = {
    places: Int32Array.from({ length: size }, (_, i) => i),
    weights: weights.slice(),
    inverse: inverse.slice(),
  };
  const order: number[] = [];
  const costs: number[] = [];
  const gone = new Uint8Array(pattern.units);
  const perGroup = new Map<number, number>();
  let left = size;
  for (;;) {
    let best = -1;
    let least = Number.POSITIVE_INFINITY;
    let chosen: readonly number[] = [];
    for (const [unit, at] of membersOf(state, pattern, gone)) {
      const group = pattern.groupOf?.[unit];
      if (group !== undefined && (perGroup.get(group) ?? 0) >= (pattern.mostOfGroup ?? 0)) continue;
      const cost = costOfUnit(state, at);
      if (cost < least) {
        least = cost;
        best = unit;
        chosen = at;
      }
    }
    if (best < 0) break;
    for (const at of chosen) remove(state, at);
    left -= chosen.length;
    gone[best] = 1;
    const group = pattern.groupOf?.[best];
    if (group !== undefined) perGroup.set(group, (perGroup.get(group) ?? 0) + 1);
    order.push(best);
    costs.push(least);
    if (left < 0.8 * state.places.length) state = compacted(state, pattern, gone);
  }
  return { order: Int32Array.from(order), costs: Float64Array.from(costs) };
}

/** Units that may still go, with the positions of their weights in the state. */
function membersOf({ places }: State, { unitOf }: SparsePattern, gone: Uint8Array): Map<number, number[]> {
  const members = new Map<number, number[]>();
  for (let i = 0; i < places.length; i += 1) {
    const unit = unitOf[places[i] as number] as number;
    if (unit < 0 || gone[unit] === 1) continue;
    const list = members.get(unit);
    if (list === undefined) members.set(unit, [i]);
    else list.push(i);
  }
  return members;
}

function costOfUnit({ weights, inverse, places }: State, at: readonly number[]): number {
  const n = places.length;
  if (at.length === 1) {
    const i = at[0] as number;
    return (weights[i] as number) ** 2 / (inverse[i * n + i] as number);
  }
  const k = at.length;
  const part = new Float64Array(k * k);
  for (let i = 0; i < k; i += 1)
    for (let j = 0; j <= i; j += 1) part[i * k + j] = entry(inverse, n, at[i] as number, at[j] as number);
  const b = Float64Array.from(at, (i) => weights[i] as number);
  const solved = b.slice();
  solveCholesky(choleskyOf(part, k), k, solved);
  return solved.reduce((sum, value, i) => sum + value * (b[i] as number), 0);
}

function entry(lower: Float64Array, n: number, i: number, j: number): number {
  return (i >= j ? lower[i * n + j] : lower[j * n + i]) as number;
}

/** Takes weight `p` out: the others move, and its row and column of the inverse become zero. */
function remove({ weights, inverse, places }: State, p: number): void {
  const n = places.length;
  const column = new Float64Array(n);
  for (let i = 0; i < n; i += 1) column[i] = entry(inverse, n, p, i);
  const pivot = column[p] as number;
  const factor = (weights[p] as number) / pivot;
  for (let i = 0; i < n; i += 1) {
    const value = column[i] as number;
    if (value === 0) continue;
    weights[i] = (weights[i] as number) - factor * value;
    const share = value / pivot;
    const row = i * n;
    for (let j = 0; j <= i; j += 1)
      inverse[row + j] = (inverse[row + j] as number) - share * (column[j] as number);
  }
  weights[p] = 0;
  for (let i = 0; i < n; i += 1) {
    if (i >= p) inverse[i * n + p] = 0;
    if (i <= p) inverse[p * n + i] = 0;
  }
}

function compacted({ places, weights, inverse }: State, { unitOf }: SparsePattern, gone: Uint8Array): State {
  const n = places.length;
  const kept: number[] = [];
  for (let i = 0; i < n; i += 1) {
    const unit = unitOf[places[i] as number] as number;
    if (unit < 0 || gone[unit] === 0) kept.push(i);
  }
  const m = kept.length;
  const smaller = new Float64Array(m * m);
  for (let i = 0; i < m; i += 1)
    for (let j = 0; j <= i; j += 1)
      smaller[i * m + j] = inverse[(kept[i] as number) * n + (kept[j] as number)] as number;
  return {
    places: Int32Array.from(kept, (i) => places[i] as number),
    weights: Float64Array.from(kept, (i) => weights[i] as number),
    inverse: smaller,
  };
}

/** Units by the cost that each would have as the first to go. */
function scoredOnce({ size, inverse }: Surgeon, weights: Float64Array, pattern: SparsePattern): Elimination {
  const scores = new Float64Array(pattern.units);
  for (let i = 0; i < size; i += 1) {
    const unit = pattern.unitOf[i] as number;
    if (unit < 0) continue;
    const score = (weights[i] as number) ** 2 / (inverse[i * size + i] as number);
    scores[unit] = (scores[unit] as number) + score;
  }
  const sorted = Int32Array.from(scores, (_, unit) => unit).sort(
    (a, b) => (scores[a] as number) - (scores[b] as number) || a - b,
  );
  const perGroup = new Map<number, number>();
  const order = sorted.filter((unit) => {
    const group = pattern.groupOf?.[unit];
    if (group === undefined) return true;
    const count = perGroup.get(group) ?? 0;
    perGroup.set(group, count + 1);
    return count < (pattern.mostOfGroup ?? 0);
  });
  return { order, costs: Float64Array.from(order, (unit) => scores[unit] as number) };
}

/**
 * The weights on the places where `keep` is 1 that come closest to `wanted` under H, the others zero: H_SS w_S = (H
 * wanted)_S. Given `slope` it stands for H wanted.
 */
export function fittedOn(
  h: Float64Array,
  size: number,
  keep: Uint8Array,
  wanted: Float64Array,
  slope?: Float64Array,
): Float64Array {
  const places: number[] = [];
  for (let i = 0; i < size; i += 1) if (keep[i] === 1) places.push(i);
  const n = places.length;
  const part = new Float64Array(n * n);
  const right = new Float64Array(n);
  for (let i = 0; i < n; i += 1) {
    const row = (places[i] as number) * size;
    for (let j = 0; j <= i; j += 1) part[i * n + j] = h[row + (places[j] as number)] as number;
    if (slope !== undefined) right[i] = slope[places[i] as number] as number;
    else {
      let sum = 0;
      for (let k = 0; k < size; k += 1) sum += (h[row + k] as number) * (wanted[k] as number);
      right[i] = sum;
    }
  }
  if (n > 0) solveCholesky(choleskyOf(part, n), n, right);
  const out = new Float64Array(size);
  for (let i = 0; i < n; i += 1) out[places[i] as number] = right[i] as number;
  return out;
}
