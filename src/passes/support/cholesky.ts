import { KerfError } from '../../ir/errors.ts';

/**
 * Lower triangle L of a symmetric positive definite matrix A = L LT, `n` x `n`, row-major; zeros above the diagonal.
 * Reads the lower triangle only; n^3 / 6 multiplications. Throws `KerfError('internal')` when A is not positive definite.
 */
export function choleskyOf(a: ArrayLike<number>, n: number): Float64Array {
  const l = new Float64Array(n * n);
  for (let i = 0; i < n; i += 1) {
    const row = i * n;
    for (let j = 0; j <= i; j += 1) {
      const other = j * n;
      let sum = a[row + j] as number;
      for (let k = 0; k < j; k += 1) sum -= (l[row + k] as number) * (l[other + k] as number);
      if (j < i) l[row + j] = sum / (l[other + j] as number);
      else if (sum > 0) l[row + j] = Math.sqrt(sum);
      else throw new KerfError('internal', 'a matrix is not positive definite');
    }
  }
  return l;
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
