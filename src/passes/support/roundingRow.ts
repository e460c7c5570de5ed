import { choleskyOf, damped } from './cholesky.ts';

/** The codes that a weight may take: `low`, `low + step`, ... up to `high`, times the scale. */
export interface Levels {
  readonly low: number;
  readonly step: number;
  readonly high: number;
}

/**
 * What an error costs: e H eT for an error e of one row of weights. Everything here is in the order of `order`, in which
 * inputs that cost more come later: they are rounded first, and the others make up for them.
 */
export interface Cost {
  readonly size: number;
  /** Place in this order to index in the weight's. */
  readonly order: Uint32Array;
  /** H, damped. */
  readonly h: Float64Array;
  /** 1 where an input never varies, so that only the damping costs. */
  readonly idle: Uint8Array;
  /** R of H = RT R, upper triangle, each row divided by its diagonal. */
  readonly factor: Float64Array;
}

/** Share of the mean diagonal that is added to H (Frantar et al. 2022, arXiv 2210.17323). */
const damping = 0.01;

/** H is `size` x `size`, symmetric, positive semidefinite. */
export function costOf(h: Float64Array, size: number): Cost {
  const firm = damped(h, size, damping);
  const order = Uint32Array.from({ length: size }, (_, i) => i).sort(
    (a, b) => (firm[a * size + a] as number) - (firm[b * size + b] as number) || a - b,
  );
  const turned = new Float64Array(size * size);
  for (let i = 0; i < size; i += 1)
    for (let j = 0; j < size; j += 1)
      turned[i * size + j] = firm[(order[i] as number) * size + (order[j] as number)] as number;
  const idle = Uint8Array.from(order, (at) => ((h[at * size + at] as number) === 0 ? 1 : 0));
  return { size, order, h: turned, idle, factor: unitUpper(choleskyOf(turned, size), size) };
}

function unitUpper(l: Float64Array, n: number): Float64Array {
  const upper = new Float64Array(n * n);
  for (let i = 0; i < n; i += 1)
    for (let j = i; j < n; j += 1) upper[i * n + j] = (l[j * n + i] as number) / (l[i * n + i] as number);
  return upper;
}

/** Nearest code to `value / scale`. */
export function codeFor(value: number, scale: number, { low, step, high }: Levels): number {
  const code = low + step * Math.round((value / scale - low) / step);
  return code < low ? low : code > high ? high : code;
}

/**
 * GPTQ (Frantar et al. 2022) in the form of Babai's nearest plane: from the last place to the first, each weight is
 * rounded after it made up for the errors behind it; to zero where `keep` is 0.
 */
export function sweep(
  { size, factor }: Cost,
  weights: Float64Array,
  scales: Float64Array,
  levels: Levels,
  codes: Float64Array,
  errors: Float64Array,
  keep?: Uint8Array,
): void {
  for (let i = size - 1; i >= 0; i -= 1) {
    const row = i * size;
    let target = weights[i] as number;
    for (let k = i + 1; k < size; k += 1) target += (factor[row + k] as number) * (errors[k] as number);
    const scale = scales[i] as number;
    const code = keep?.[i] === 0 ? 0 : codeFor(target, scale, levels);
    codes[i] = code;
    errors[i] = (weights[i] as number) - scale * code;
  }
}

/** The row with some weights at zero and the others moved to make up for it in one sweep (SparseGPT, arXiv 2301.00774). */
export function sparseSweep(
  { size, order, factor }: Cost,
  row: Float64Array,
  keep: Uint8Array,
): Float64Array {
  const out = new Float64Array(size);
  const errors = new Float64Array(size);
  for (let i = size - 1; i >= 0; i -= 1) {
    const at = order[i] as number;
    let target = row[at] as number;
    for (let k = i + 1; k < size; k += 1) target += (factor[i * size + k] as number) * (errors[k] as number);
    out[at] = keep[at] === 1 ? target : 0;
    errors[i] = (row[at] as number) - (out[at] as number);
  }
  return out;
}

/** H e; the cost is its product with e. */
export function slopeOf({ size, h }: Cost, errors: Float64Array, slope: Float64Array): number {
  let total = 0;
  for (let i = 0; i < size; i += 1) {
    const row = i * size;
    let sum = 0;
    for (let k = 0; k < size; k += 1) sum += (h[row + k] as number) * (errors[k] as number);
    slope[i] = sum;
    total += sum * (errors[i] as number);
  }
  return total;
}

/**
 * One round of coordinate descent (QuantEase, arXiv 2309.01885): each code goes where the cost is least while the
 * others stay. Keeps `errors` and `slope` = H e in step. Gives how many codes changed.
 */
export function descend(
  { size, h }: Cost,
  scales: Float64Array,
  levels: Levels,
  codes: Float64Array,
  errors: Float64Array,
  slope: Float64Array,
  keep?: Uint8Array,
): number {
  let moved = 0;
  for (let i = size - 1; i >= 0; i -= 1) {
    if (keep?.[i] === 0) continue;
    const scale = scales[i] as number;
    const before = codes[i] as number;
    const after = codeFor(scale * before + (slope[i] as number) / (h[i * size + i] as number), scale, levels);
    if (after === before) continue;
    moved += 1;
    const change = scale * (before - after);
    codes[i] = after;
    errors[i] = (errors[i] as number) + change;
    const row = i * size;
    for (let k = 0; k < size; k += 1) slope[k] = (slope[k] as number) + change * (h[row + k] as number);
  }
  return moved;
}
