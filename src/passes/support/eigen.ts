import { KerfError } from '../../ir/errors.ts';

/** Eigenvalues in descending order; row `i` of `vectors` is the unit eigenvector of `values[i]`. */
interface Eigen {
  readonly values: Float64Array;
  readonly vectors: Float64Array;
}

/** Rounds of QL per eigenvalue; two or three are usual. */
const mostRounds = 60;

/**
 * Eigen decomposition of a symmetric `n` x `n` matrix, row-major: Householder's reduction to tridiagonal form, then QL
 * iterations with implicit shifts (Golub and Van Loan, Matrix Computations, 8.3). About 3 n^3 multiplications; only
 * the lower triangle is read.
 */
export function symmetricEigen(matrix: ArrayLike<number>, n: number): Eigen {
  const { diagonal, beside, reflections } = tridiagonal(matrix, n);
  const rows = reflectedIdentity(reflections, n);
  iterateQl(diagonal, beside, rows, n);
  const order = Array.from({ length: n }, (_, i) => i).sort(
    (a, b) => (diagonal[b] as number) - (diagonal[a] as number),
  );
  const values = Float64Array.from(order, (i) => diagonal[i] as number);
  const vectors = new Float64Array(n * n);
  for (const [to, from] of order.entries()) vectors.set(rows.subarray(from * n, (from + 1) * n), to * n);
  return { values, vectors };
}

interface Tridiagonal {
  readonly diagonal: Float64Array;
  /** `beside[i]` stands between diagonal entries `i` and `i + 1`. */
  readonly beside: Float64Array;
  /** Row `k` is the unit vector of the reflection that cleared column `k`; zero where none was needed. */
  readonly reflections: Float64Array;
}

function tridiagonal(matrix: ArrayLike<number>, n: number): Tridiagonal {
  const a = new Float64Array(n * n);
  for (let i = 0; i < n; i += 1)
    for (let j = 0; j <= i; j += 1) {
      a[i * n + j] = matrix[i * n + j] as number;
      a[j * n + i] = matrix[i * n + j] as number;
    }
  const beside = new Float64Array(n);
  const reflections = new Float64Array(n * n);
  const w = new Float64Array(n);
  for (let k = 0; k < n - 1; k += 1) {
    const v = reflections.subarray(k * n, (k + 1) * n);
    beside[k] = reflector(a.subarray(k * n, (k + 1) * n), v, k + 1);
    if (k < n - 2) reflectBothSides(a, v, w, k + 1, n);
  }
  const diagonal = Float64Array.from({ length: n }, (_, i) => a[i * n + i] as number);
  return { diagonal, beside, reflections };
}

/** Writes to `v` the unit vector whose reflection maps `row[first..]` to a multiple of e_first; gives that multiple. */
function reflector(row: Float64Array, v: Float64Array, first: number): number {
  let largest = 0;
  for (let i = first; i < row.length; i += 1) largest = Math.max(largest, Math.abs(row[i] as number));
  const head = row[first] as number;
  if (largest === 0 || first === row.length - 1) return head;
  let square = 0;
  for (let i = first; i < row.length; i += 1) square += ((row[i] as number) / largest) ** 2;
  const norm = largest * Math.sqrt(square);
  const target = head > 0 ? -norm : norm;
  let length = 0;
  for (let i = first; i < row.length; i += 1) {
    const value = ((row[i] as number) - (i === first ? target : 0)) / largest;
    v[i] = value;
    length += value * value;
  }
  length = Math.sqrt(length);
  for (let i = first; i < row.length; i += 1) v[i] = (v[i] as number) / length;
  return target;
}

/** A := H A H for the trailing block, H = I - 2 v vT: a symmetric update of rank two. */
function reflectBothSides(a: Float64Array, v: Float64Array, w: Float64Array, first: number, n: number): void {
  let inner = 0;
  for (let i = first; i < n; i += 1) {
    let sum = 0;
    for (let j = first; j < n; j += 1) sum += (a[i * n + j] as number) * (v[j] as number);
    w[i] = sum;
    inner += sum * (v[i] as number);
  }
  for (let i = first; i < n; i += 1) w[i] = (w[i] as number) - inner * (v[i] as number);
  for (let i = first; i < n; i += 1) {
    const vi = 2 * (v[i] as number);
    const wi = 2 * (w[i] as number);
    for (let j = first; j < n; j += 1) {
      const at = i * n + j;
      a[at] = (a[at] as number) - vi * (w[j] as number) - wi * (v[j] as number);
    }
  }
}

/** The transposed product of all reflections: row `i` becomes the `i`-th eigenvector under QL. */
function reflectedIdentity(reflections: Float64Array, n: number): Float64Array {
  const q = new Float64Array(n * n);
  for (let i = 0; i < n; i += 1) q[i * n + i] = 1;
  for (let k = n - 3; k >= 0; k -= 1) {
    const v = reflections.subarray(k * n, (k + 1) * n);
    for (let row = k + 1; row < n; row += 1) {
      let dot = 0;
      for (let j = k + 1; j < n; j += 1) dot += (q[row * n + j] as number) * (v[j] as number);
      if (dot === 0) continue;
      for (let j = k + 1; j < n; j += 1) {
        q[row * n + j] = (q[row * n + j] as number) - 2 * dot * (v[j] as number);
      }
    }
  }
  return q;
}

function iterateQl(d: Float64Array, e: Float64Array, rows: Float64Array, n: number): void {
  let scale = 0;
  for (let i = 0; i < n; i += 1) scale = Math.max(scale, Math.abs(d[i] as number), Math.abs(e[i] as number));
  // What rounding leaves of the largest entries: in matrices of low rank it would never fall below the smallest ones.
  const least = scale * Number.EPSILON;
  for (let l = 0; l < n; l += 1) {
    for (let round = 0; ; round += 1) {
      const m = firstSplit(d, e, l, n, least);
      if (m === l) break;
      if (round === mostRounds)
        throw new KerfError('internal', 'the eigenvalues of a matrix did not converge');
      sweep(d, e, rows, l, m, n);
    }
  }
}

function firstSplit(d: Float64Array, e: Float64Array, l: number, n: number, least: number): number {
  let m = l;
  while (m < n - 1) {
    const size = Math.abs(d[m] as number) + Math.abs(d[m + 1] as number);
    if (Math.abs(e[m] as number) <= Math.max(Number.EPSILON * size, least)) break;
    m += 1;
  }
  return m;
}

/** One QL sweep with Wilkinson's shift over the unreduced block `l..m`. */
function sweep(d: Float64Array, e: Float64Array, rows: Float64Array, l: number, m: number, n: number): void {
  const half = ((d[l + 1] as number) - (d[l] as number)) / (2 * (e[l] as number));
  const root = Math.hypot(half, 1);
  let g = (d[m] as number) - (d[l] as number) + (e[l] as number) / (half + (half < 0 ? -root : root));
  let sine = 1;
  let cosine = 1;
  let shift = 0;
  for (let i = m - 1; i >= l; i -= 1) {
    const f = sine * (e[i] as number);
    const b = cosine * (e[i] as number);
    const r = Math.hypot(f, g);
    e[i + 1] = r;
    if (r === 0) {
      // The block fell apart in the middle of the sweep.
      d[i + 1] = (d[i + 1] as number) - shift;
      e[m] = 0;
      return;
    }
    sine = f / r;
    cosine = g / r;
    g = (d[i + 1] as number) - shift;
    const t = ((d[i] as number) - g) * sine + 2 * cosine * b;
    shift = sine * t;
    d[i + 1] = g + shift;
    g = cosine * t - b;
    rotate(rows, i * n, (i + 1) * n, n, sine, cosine);
  }
  d[l] = (d[l] as number) - shift;
  e[l] = g;
  e[m] = 0;
}

function rotate(rows: Float64Array, one: number, two: number, n: number, sine: number, cosine: number): void {
  for (let k = 0; k < n; k += 1) {
    const a = rows[one + k] as number;
    const b = rows[two + k] as number;
    rows[two + k] = sine * a + cosine * b;
    rows[one + k] = cosine * a - sine * b;
  }
}
