import type { Cost } from '../support/roundingRow.ts';

/** Rows that are rounded at once: each number of a matrix is fetched once for all of them. */
export const together = 4;
const descents = 4;

/** Four rows, element by element: what belongs to row r at place i stands at 4 i + r. */
type Rows = Float64Array;

/**
 * Up to four rows of weights in codes from -`top` to `top` of their scales: GPTQ, then coordinate descent, as in
 * `roundingRow`; rounding to nearest where that costs less. Gives the floats that the codes stand for.
 */
export function roundedRows(
  cost: Cost,
  weights: Float64Array,
  scales: Float64Array,
  top: number,
): Float64Array {
  const { size, order } = cost;
  const count = weights.length / size;
  const rows: Rows = new Float64Array(size * together);
  for (let i = 0; i < size; i += 1)
    for (let r = 0; r < count; r += 1)
      rows[together * i + r] = weights[r * size + (order[i] as number)] as number;
  const nearest: Rows = new Float64Array(rows.length);
  const errors: Rows = new Float64Array(rows.length);
  for (let at = 0; at < rows.length; at += 1) {
    nearest[at] = codeOf(rows[at] as number, scales[at % together] as number, top);
    errors[at] = (rows[at] as number) - (scales[at % together] as number) * (nearest[at] as number);
  }
  const plain = costsOf(cost, errors);
  const codes: Rows = new Float64Array(rows.length);
  sweep(cost, rows, scales, top, codes, errors);
  const slopes = slopesOf(cost, errors);
  for (let round = 0; round < descents; round += 1)
    if (!descend(cost, scales, top, codes, errors, slopes)) break;
  const found = new Float64Array(weights.length);
  for (let r = 0; r < count; r += 1) {
    let total = 0;
    for (let at = r; at < rows.length; at += together)
      total += (slopes[at] as number) * (errors[at] as number);
    const best = total < (plain[r] as number) ? codes : nearest;
    for (let i = 0; i < size; i += 1)
      found[r * size + (order[i] as number)] = (scales[r] as number) * (best[together * i + r] as number);
  }
  return found;
}

function codeOf(value: number, scale: number, top: number): number {
  const code = Math.round(value / scale);
  return code > top ? top : code < -top ? -top : code;
}

/** e H eT of each row, from the upper triangle of H. */
function costsOf({ size, h }: Cost, errors: Rows): Float64Array {
  let [a, b, c, d] = [0, 0, 0, 0];
  for (let i = 0; i < size; i += 1) {
    let [sumA, sumB, sumC, sumD] = [0, 0, 0, 0];
    for (let k = i + 1, at = i * size + k, e = together * k; k < size; k += 1, at += 1, e += together) {
      const x = h[at] as number;
      sumA += x * (errors[e] as number);
      sumB += x * (errors[e + 1] as number);
      sumC += x * (errors[e + 2] as number);
      sumD += x * (errors[e + 3] as number);
    }
    const own = h[i * size + i] as number;
    const e = together * i;
    a += (errors[e] as number) * (2 * sumA + own * (errors[e] as number));
    b += (errors[e + 1] as number) * (2 * sumB + own * (errors[e + 1] as number));
    c += (errors[e + 2] as number) * (2 * sumC + own * (errors[e + 2] as number));
    d += (errors[e + 3] as number) * (2 * sumD + own * (errors[e + 3] as number));
  }
  return Float64Array.of(a, b, c, d);
}

/** From the last place to the first, each weight is rounded after it made up for the errors behind it. */
function sweep(
  { size, factor }: Cost,
  rows: Rows,
  scales: Float64Array,
  top: number,
  codes: Rows,
  errors: Rows,
): void {
  const targets = new Float64Array(together);
  for (let i = size - 1; i >= 0; i -= 1) {
    const from = together * i;
    let a = rows[from] as number;
    let b = rows[from + 1] as number;
    let c = rows[from + 2] as number;
    let d = rows[from + 3] as number;
    for (let k = i + 1, at = i * size + k, e = together * k; k < size; k += 1, at += 1, e += together) {
      const x = factor[at] as number;
      a += x * (errors[e] as number);
      b += x * (errors[e + 1] as number);
      c += x * (errors[e + 2] as number);
      d += x * (errors[e + 3] as number);
    }
    targets[0] = a;
    targets[1] = b;
    targets[2] = c;
    targets[3] = d;
    for (let r = 0; r < together; r += 1) {
      const scale = scales[r] as number;
      const code = codeOf(targets[r] as number, scale, top);
      codes[from + r] = code;
      errors[from + r] = (rows[from + r] as number) - scale * code;
    }
  }
}

/** H e of each row. */
function slopesOf({ size, h }: Cost, errors: Rows): Rows {
  const slopes: Rows = new Float64Array(errors.length);
  for (let i = 0; i < size; i += 1) {
    let [a, b, c, d] = [0, 0, 0, 0];
    for (let k = 0, at = i * size, e = 0; k < size; k += 1, at += 1, e += together) {
      const x = h[at] as number;
      a += x * (errors[e] as number);
      b += x * (errors[e + 1] as number);
      c += x * (errors[e + 2] as number);
      d += x * (errors[e + 3] as number);
    }
    slopes[together * i] = a;
    slopes[together * i + 1] = b;
    slopes[together * i + 2] = c;
    slopes[together * i + 3] = d;
  }
  return slopes;
}

/** Each code goes where the cost is least while the others stay. Whether any went. */
function descend(
  { size, h }: Cost,
  scales: Float64Array,
  top: number,
  codes: Rows,
  errors: Rows,
  slopes: Rows,
): boolean {
  let moved = false;
  for (let at = codes.length - 1; at >= 0; at -= 1) {
    const i = Math.floor(at / together);
    const scale = scales[at % together] as number;
    const before = codes[at] as number;
    const wanted = scale * before + (slopes[at] as number) / (h[i * size + i] as number);
    const after = codeOf(wanted, scale, top);
    if (after === before) continue;
    moved = true;
    const change = scale * (before - after);
    codes[at] = after;
    errors[at] = (errors[at] as number) + change;
    for (let k = 0, to = at % together; k < size; k += 1, to += together)
      slopes[to] = (slopes[to] as number) + change * (h[i * size + k] as number);
  }
  return moved;
}
