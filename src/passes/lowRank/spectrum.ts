import type { InputMoments } from '../pass.ts';
import type { DenseLayer } from '../support/denseLayer.ts';
import { matrixOf } from '../support/denseLayer.ts';
import { symmetricEigen } from '../support/eigen.ts';

/**
 * How a layer's outputs spread: principal axes of y = W x over the calibration data. Projecting the outputs on the first
 * r axes and adding back the mean loses exactly the variances behind r, the least of any rank r.
 */
export interface Spectrum {
  readonly layer: DenseLayer;
  /** W, `outputs` x `inputs`. */
  readonly weights: Float64Array;
  /** Variance along each axis, descending, never negative. */
  readonly variances: Float64Array;
  /** Row i is the unit vector of axis i. */
  readonly axes: Float64Array;
  /** Mean of W x. */
  readonly mean: Float64Array;
}

/** Output PCA: W Cov(x) WT = U diag(variances) UT (Swift-SVD, arXiv 2604.01609; equals whitened SVD of W). */
export function spectrumOf(
  layer: DenseLayer,
  moments: Pick<InputMoments, 'mean' | 'gram'>,
  w: Float64Array = matrixOf(layer),
): Spectrum {
  const { outputs: o, inputs: d } = layer;
  const { mean, gram } = moments;
  const covariance = gram.map(
    (value, i) => value - (mean[Math.floor(i / d)] as number) * (mean[i % d] as number),
  );
  const product = productOf(productOf(w, covariance, o, d, d), transposeOf(w, o, d), o, d, o);
  const { values, vectors } = symmetricEigen(product, o);
  const outputMean = productOf(w, mean, o, d, 1);
  const variances = values.map((value) => Math.max(0, value));
  return { layer, weights: w, variances, axes: vectors, mean: outputMean };
}

/** W as up · down of rank `r`, and what the bias gains so that the mean output stays. */
export interface Factors {
  /** r x inputs, row-major. */
  readonly down: Float64Array;
  /** outputs x r, row-major. */
  readonly up: Float64Array;
  readonly shift: Float64Array;
}

export function factorsOf({ layer, weights, axes, mean }: Spectrum, r: number): Factors {
  const { outputs: o, inputs: d } = layer;
  const first = axes.subarray(0, r * o);
  const up = transposeOf(first, r, o);
  const kept = productOf(up, productOf(first, mean, r, o, 1), o, r, 1);
  return {
    down: productOf(first, weights, r, o, d),
    up,
    shift: mean.map((value, i) => value - (kept[i] as number)),
  };
}

/** Share of the outputs' variance that rank `r` loses. */
export function lossOf({ variances }: Spectrum, r: number): number {
  let all = 0;
  let lost = 0;
  for (const [i, value] of variances.entries()) {
    all += value;
    if (i >= r) lost += value;
  }
  return all === 0 ? 0 : lost / all;
}

/** a (rows x inner) times b (inner x columns). */
export function productOf(
  a: Float64Array,
  b: Float64Array,
  rows: number,
  inner: number,
  columns: number,
): Float64Array {
  const out = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i += 1) {
    const to = out.subarray(i * columns, (i + 1) * columns);
    for (let k = 0; k < inner; k += 1) {
      const factor = a[i * inner + k] as number;
      if (factor === 0) continue;
      const from = k * columns;
      for (let j = 0; j < columns; j += 1) to[j] = (to[j] as number) + factor * (b[from + j] as number);
    }
  }
  return out;
}

function transposeOf(a: Float64Array, rows: number, columns: number): Float64Array {
  const out = new Float64Array(a.length);
  for (let i = 0; i < rows; i += 1)
    for (let j = 0; j < columns; j += 1) out[j * rows + i] = a[i * columns + j] as number;
  return out;
}
