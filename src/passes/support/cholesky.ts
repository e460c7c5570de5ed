import { KerfError } from '../../ir/errors.ts';

/**
 * Lower triangle L of a symmetric positive definite matrix A = L LT, `n` x `n`, row-major; zeros above the diagonal.
 * Reads the lower triangle only; n^3 / 6 multiplications. Throws `KerfError('internal')` when A is not positive definite.
 */
export function choleskyOf(a: ArrayLike<number>, n: number): Float64Array {
  const l = new Float64Array(n * n);
  const sums = new Float64Array(4);
  // Two rows and two columns at once: each number that is fetched takes part in two products.
  for (let i = 0; i < n; i += 2) {
    const rows = Math.min(2, n - i);
    for (let j = 0; j < i; j += 2) {
      products(l, i * n, (i + rows - 1) * n, j * n, j, sums, n);
      for (let r = 0; r < rows; r += 1) {
        const at = (i + r) * n + j;
        const first = ((a[at] as number) - (sums[2 * r] as number)) / (l[j * n + j] as number);
        const below = (j + 1) * n + j;
        const rest = (sums[2 * r + 1] as number) + first * (l[below] as number);
        l[at] = first;
        l[at + 1] = ((a[at + 1] as number) - rest) / (l[below + 1] as number);
      }
    }
    for (let r = 0; r < rows; r += 1) finishRow(a, l, n, i + r, i);
  }
  return l;
}

/** Inner products of two rows with two rows, over their first `count` elements. */
function products(
  l: Float64Array,
  left: number,
  right: number,
  above: number,
  count: number,
  sums: Float64Array,
  n: number,
): void {
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  for (let k = 0; k < count; k += 1) {
    const a = l[left + k] as number;
    const b = l[right + k] as number;
    const c = l[above + k] as number;
    const d = l[above + n + k] as number;
    s0 += a * c;
    s1 += a * d;
    s2 += b * c;
    s3 += b * d;
  }
  sums[0] = s0;
  sums[1] = s1;
  sums[2] = s2;
  sums[3] = s3;
}

/** The elements of a row from `from` up to the diagonal. */
function finishRow(a: ArrayLike<number>, l: Float64Array, n: number, i: number, from: number): void {
  const row = i * n;
  for (let j = from; j <= i; j += 1) {
    let sum = a[row + j] as number;
    for (let k = 0; k < j; k += 1) sum -= (l[row + k] as number) * (l[j * n + k] as number);
    if (j < i) l[row + j] = sum / (l[j * n + j] as number);
    else if (sum > 0) l[row + j] = Math.sqrt(sum);
    else throw new KerfError('internal', 'a matrix is not positive definite');
  }
}

/** Solves L LT x = b in place. */
export function solveCholesky(l: Float64Array, n: number, b: Float64Array): void {
  for (let i = 0; i < n; i += 1) {
    let sum = b[i] as number;
    const row = i * n;
    for (let k = 0; k < i; k += 1) sum -= (l[row + k] as number) * (b[k] as number);
    b[i] = sum / (l[row + i] as number);
  }
  for (let i = n - 1; i >= 0; i -= 1) {
    const value = (b[i] as number) / (l[i * n + i] as number);
    b[i] = value;
    const row = i * n;
    for (let k = 0; k < i; k += 1) b[k] = (b[k] as number) - value * (l[row + k] as number);
  }
}

/** The inverse of A = L LT, symmetric. */
export function inverseOf(l: Float64Array, n: number): Float64Array {
  const inverse = new Float64Array(n * n);
  for (let i = 0; i < n; i += 1) {
    const column = inverse.subarray(i * n, (i + 1) * n);
    column[i] = 1;
    solveCholesky(l, n, column);
  }
  return inverse;
}

/** A copy of a symmetric matrix with `share` of its mean diagonal added to the diagonal, so that it can be factored. */
export function damped(a: Float64Array, n: number, share: number): Float64Array {
  let trace = 0;
  for (let i = 0; i < n; i += 1) trace += a[i * n + i] as number;
  const add = Math.max((share * trace) / n, 1e-30);
  const copy = a.slice();
  for (let i = 0; i < n; i += 1) copy[i * n + i] = Math.max(0, copy[i * n + i] as number) + add;
  return copy;
}
