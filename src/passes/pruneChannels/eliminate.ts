import { choleskyOf } from '../support/cholesky.ts';

/** A matrix that reads the channels of a group, among others, and the damped covariance of what it reads. */
export interface Term {
  readonly outputs: number;
  readonly inputs: number;
  /** `outputs` x `inputs`. */
  readonly weights: Float64Array;
  /** Inverse of the damped covariance, `inputs` x `inputs`. */
  readonly inverse: Float64Array;
  /** Per channel of the group, the columns that read it. */
  readonly columns: readonly Int32Array[];
  /** One over the variance of the outputs: errors of different layers are added as shares. */
  readonly scale: number;
}

/** In which order the channels of a group go, and what it costs. */
export interface Curve {
  /** Channels, by their place in the group. */
  readonly order: Int32Array;
  /** `errors[m]`: the error after the first m have gone, the rest refitted; shares of output variance, summed. */
  readonly errors: Float64Array;
}

/**
 * Removes one channel after another, each time the one whose loss the others make up for best: optimal brain surgeon
 * with blocks of columns (Frantar and Alistarh, "Optimal Brain Compression", arXiv 2208.11580, structured). The error is
 * exact for least squares on the calibration data. `price` adds a fixed cost per channel for readers without a term.
 */
export function eliminate(terms: readonly Term[], price: Float64Array, least: number): Curve {
  const count = price.length;
  const work = terms.map((term) => ({
    ...term,
    weights: term.weights.slice(),
    inverse: term.inverse.slice(),
    live: Int32Array.from({ length: term.inputs }, (_, i) => i),
  }));
  const left = new Set(Array.from({ length: count }, (_, i) => i));
  const order = new Int32Array(Math.max(0, count - least));
  const errors = new Float64Array(order.length + 1);
  for (let step = 0; step < order.length; step += 1) {
    let best = -1;
    let lowest = Number.POSITIVE_INFINITY;
    for (const channel of left) {
      let loss = price[channel] as number;
      for (const term of work) if (loss < lowest) loss += term.scale * lossOf(term, channel);
      if (loss < lowest) [best, lowest] = [channel, loss];
    }
    if (best < 0) best = left.values().next().value as number;
    left.delete(best);
    order[step] = best;
    errors[step + 1] = (errors[step] as number) + (Number.isFinite(lowest) ? Math.max(0, lowest) : 0);
    for (const term of work) remove(term, best);
  }
  return { order, errors };
}

type Working = Term & { live: Int32Array };

/** tr(W_c ((H^-1)_cc)^-1 W_cT). */
function lossOf({ outputs, inputs, weights, inverse, columns }: Working, channel: number): number {
  const own = columns[channel] as Int32Array;
  const b = own.length;
  if (b === 0) return 0;
  const factor = choleskyOf(blockOf(inverse, inputs, own), b);
  const solved = new Float64Array(b);
  let loss = 0;
  for (let o = 0; o < outputs; o += 1) {
    for (let i = 0; i < b; i += 1) {
      let sum = weights[o * inputs + (own[i] as number)] as number;
      for (let k = 0; k < i; k += 1) sum -= (factor[i * b + k] as number) * (solved[k] as number);
      const value = sum / (factor[i * b + i] as number);
      solved[i] = value;
      loss += value * value;
    }
  }
  return loss;
}

function blockOf(matrix: Float64Array, size: number, own: Int32Array): Float64Array {
  const b = own.length;
  const block = new Float64Array(b * b);
  let trace = 0;
  for (let i = 0; i < b; i += 1) {
    for (let j = 0; j < b; j += 1)
      block[i * b + j] = matrix[(own[i] as number) * size + (own[j] as number)] as number;
    trace += block[i * b + i] as number;
  }
  // Rounding of many updates may leave a block just short of positive definite.
  for (let i = 0; i < b; i += 1)
    block[i * b + i] = (block[i * b + i] as number) + 1e-9 * (trace / b) + 1e-300;
  return block;
}

/** Takes the columns out of the weights and the inverse; what is left of both is as if they had never been there. */
function remove(term: Working, channel: number): void {
  const { outputs, inputs, weights, inverse, columns } = term;
  const own = columns[channel] as Int32Array;
  const b = own.length;
  if (b === 0) return;
  const gone = new Set(own);
  const live = term.live.filter((i) => !gone.has(i));
  const factor = choleskyOf(blockOf(inverse, inputs, own), b);
  // L^-1 (H^-1)_c,: so that both updates are plain products.
  const rows = new Float64Array(b * inputs);
  for (let i = 0; i < b; i += 1) {
    const from = (own[i] as number) * inputs;
    for (const j of live) {
      let sum = inverse[from + j] as number;
      for (let k = 0; k < i; k += 1) sum -= (factor[i * b + k] as number) * (rows[k * inputs + j] as number);
      rows[i * inputs + j] = sum / (factor[i * b + i] as number);
    }
  }
  const solved = new Float64Array(b);
  for (let o = 0; o < outputs; o += 1) {
    for (let i = 0; i < b; i += 1) {
      let sum = weights[o * inputs + (own[i] as number)] as number;
      for (let k = 0; k < i; k += 1) sum -= (factor[i * b + k] as number) * (solved[k] as number);
      solved[i] = sum / (factor[i * b + i] as number);
    }
    subtract(weights, o * inputs, solved, rows, inputs, live);
  }
  for (const i of live) {
    for (let k = 0; k < b; k += 1) solved[k] = rows[k * inputs + i] as number;
    subtract(inverse, i * inputs, solved, rows, inputs, live);
  }
  term.live = live;
}

/** into[at + j] -= sum over k of factors[k] rows[k, j], for the columns that are left. */
function subtract(
  into: Float64Array,
  at: number,
  factors: Float64Array,
  rows: Float64Array,
  size: number,
  live: Int32Array,
): void {
  for (let k = 0; k < factors.length; k += 1) {
    const factor = factors[k] as number;
    if (factor === 0) continue;
    const from = k * size;
    for (let i = 0; i < live.length; i += 1) {
      const j = live[i] as number;
      into[at + j] = (into[at + j] as number) - factor * (rows[from + j] as number);
    }
  }
}

/** The curve of channels that go in order of fixed scores, whatever the others do. */
export function ranked(scores: Float64Array, least: number): Curve {
  const order = Int32Array.from(scores.keys()).sort((a, b) => (scores[a] as number) - (scores[b] as number));
  const errors = new Float64Array(Math.max(0, scores.length - least) + 1);
  const all = scores.reduce((sum, score) => sum + score, 0) || 1;
  for (let m = 1; m < errors.length; m += 1)
    errors[m] = (errors[m - 1] as number) + (scores[order[m - 1] as number] as number) / all;
  return { order: order.slice(0, errors.length - 1), errors };
}
