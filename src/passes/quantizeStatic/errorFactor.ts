import type { LaneSpace, Panel } from '../support/lanes.ts';
import { lanes, laneSpace } from '../support/lanes.ts';

/** Second moments of what one group of a layer reads. */
interface GroupMoments {
  readonly size: number;
  /** Vectors that were seen. */
  readonly count: number;
  /** `size` x `size`. */
  readonly gram: Float64Array;
  /** Taken away from the vectors where a bias takes up what errors do to the mean. */
  readonly mean?: Float64Array;
}

/**
 * What an error e of a row of weights costs: e H eT = sum over i of d_i^2 (e_i + sum over k > i of u_ik e_k)^2, where H are
 * the moments with a little added to the diagonal, in the order of `order`: inputs that cost more come later.
 */
export interface ErrorFactor {
  readonly size: number;
  /** Place in this order to index in the weight's. */
  readonly order: Uint32Array;
  /** Row i of u, from its element i + 1 on, begins at number `size` i + i + 1; behind it lie the squares of d and panels. */
  readonly space: LaneSpace;
  readonly panels: Omit<Panel, 'size' | 'top'>;
}

/** Share of the mean diagonal that is added to H (Frantar et al. 2022, arXiv 2210.17323). */
const damping = 0.01;

/** By Cholesky, a panel of rows at a time, in float32: with the damping, rounding does not matter. */
export function errorFactor(moments: GroupMoments): ErrorFactor {
  const { size } = moments;
  let end = 0;
  const take = (count: number) => {
    const place = end;
    end += Math.ceil(count / lanes) * lanes;
    return place;
  };
  const panel = () => take(lanes * (size + lanes));
  const panels = {
    factor: take(size * size),
    squares: take(size),
    scales: take(lanes),
    gains: take(lanes),
    weights: panel(),
    errors: panel(),
    plain: panel(),
    found: panel(),
    nearest: panel(),
  };
  const space = laneSpace(end);
  const cost = costs(moments);
  const diagonal = new Float32Array(size);
  for (let first = 0; first < size; first += lanes) factorPanel(space, panels, cost, diagonal, first);
  for (let i = 0; i < size; i += 1) space.floats[panels.squares + i] = (diagonal[i] as number) ** 2;
  return { size, order: cost.order, space, panels };
}

interface Costs {
  readonly order: Uint32Array;
  /** What is on the diagonal at least. */
  readonly least: number;
  /** Writes the elements of row `order[i]` up to the diagonal to every `lanes`-th number from `to` on. */
  write(i: number, into: Float32Array, to: number): void;
}

/** H: shrunk towards its diagonal, as so many vectors as elements say little of correlations. */
function costs({ size, count, gram, mean }: GroupMoments): Costs {
  const own = new Float64Array(size);
  let trace = 0;
  for (let i = 0; i < size; i += 1) {
    own[i] = Math.max(0, (gram[i * size + i] as number) - (mean?.[i] ?? 0) ** 2);
    trace += own[i] as number;
  }
  const least = Math.max((damping * trace) / size, 1e-30);
  const order = Uint32Array.from(own, (_, i) => i).sort(
    (a, b) => (own[a] as number) - (own[b] as number) || a - b,
  );
  const trust = 1 - size / (size + count);
  return {
    order,
    least,
    write(i, into, to) {
      const at = order[i] as number;
      const row = at * size;
      const about = mean?.[at] ?? 0;
      for (let k = 0, place = to; k < i; k += 1, place += lanes) {
        const other = order[k] as number;
        const product =
          (gram[row + other] as number) - about * (mean === undefined ? 0 : (mean[other] as number));
        into[place] = trust * product;
      }
      into[to + lanes * i] = (own[at] as number) + least;
    },
  };
}

/** Rows `first` and the next few of L, H = L LT: below the diagonal of the square, and as columns of u above it. */
function factorPanel(
  { floats, dots }: LaneSpace,
  { weights: panel, gains: sum }: ErrorFactor['panels'],
  cost: Costs,
  diagonal: Float32Array,
  first: number,
): void {
  const size = diagonal.length;
  const rows = Math.min(lanes, size - first);
  floats.fill(0, panel, panel + lanes * (first + lanes));
  for (let r = 0; r < rows; r += 1) cost.write(first + r, floats, panel + r);
  for (let j = 0; j < first + rows; j += 1) {
    const at = panel + lanes * j;
    dots(size * j, panel, j, sum);
    for (let r = 0; r < lanes; r += 1)
      floats[at + r] = (floats[at + r] as number) - (floats[sum + r] as number);
    if (j >= first) diagonal[j] = Math.sqrt(Math.max(floats[at + j - first] as number, cost.least));
    const scale = 1 / (diagonal[j] as number);
    const from = Math.max(0, j - first);
    for (let r = from; r < rows; r += 1) {
      const value = (floats[at + r] as number) * scale;
      floats[at + r] = value;
      floats[size * (first + r) + j] = value;
      if (r > j - first) floats[size * j + first + r] = value * scale;
    }
  }
}
