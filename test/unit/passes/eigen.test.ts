import { describe, expect, it } from 'vitest';
import { symmetricEigen } from '../../../src/passes/support/eigen.ts';
import { random } from './runtime.ts';

/** Largest errors of V diag(values) VT against the matrix and of V VT against the identity. */
function errorsOf(matrix: Float64Array, n: number): { rebuilt: number; orthogonal: number } {
  const { values, vectors } = symmetricEigen(matrix, n);
  let rebuilt = 0;
  let orthogonal = 0;
  for (let i = 0; i < n; i += 1) {
    for (let j = 0; j < n; j += 1) {
      let sum = 0;
      let dot = 0;
      for (let k = 0; k < n; k += 1) {
        sum += (values[k] as number) * (vectors[k * n + i] as number) * (vectors[k * n + j] as number);
        dot += (vectors[i * n + k] as number) * (vectors[j * n + k] as number);
      }
      rebuilt = Math.max(rebuilt, Math.abs(sum - (matrix[i * n + j] as number)));
      orthogonal = Math.max(orthogonal, Math.abs(dot - (i === j ? 1 : 0)));
    }
  }
  return { rebuilt, orthogonal };
}

function symmetric(n: number, value: (i: number, j: number) => number): Float64Array {
  const matrix = new Float64Array(n * n);
  for (let i = 0; i < n; i += 1)
    for (let j = 0; j <= i; j += 1) {
      matrix[i * n + j] = value(i, j);
      matrix[j * n + i] = matrix[i * n + j] as number;
    }
  return matrix;
}

/** Sum of `rank` outer products of random vectors. */
function gram(n: number, rank: number, seed: number): Float64Array {
  const next = random(seed);
  const parts = Array.from({ length: rank }, () => Float64Array.from({ length: n }, () => next() - 0.5));
  return symmetric(n, (i, j) => parts.reduce((sum, x) => sum + (x[i] as number) * (x[j] as number), 0));
}

describe('symmetric eigen decomposition', () => {
  it.each([1, 2, 3, 4, 7, 20, 65])('of random matrices, n = %i', (n) => {
    const next = random(n);
    const matrix = symmetric(n, () => next() * 2 - 1);
    const { rebuilt, orthogonal } = errorsOf(matrix, n);
    expect(rebuilt).toBeLessThan(1e-12);
    expect(orthogonal).toBeLessThan(1e-12);
    const { values } = symmetricEigen(matrix, n);
    expect([...values]).toEqual([...values].toSorted((a, b) => b - a));
  });

  it('finds the known spectrum of the second difference', () => {
    const n = 40;
    const matrix = symmetric(n, (i, j) => (i === j ? 2 : i - j === 1 ? -1 : 0));
    const { values } = symmetricEigen(matrix, n);
    for (let k = 0; k < n; k += 1)
      expect(values[k]).toBeCloseTo(2 - 2 * Math.cos(((n - k) * Math.PI) / (n + 1)), 12);
  });

  it.each([
    [0, 30],
    [1, 30],
    [5, 30],
    [30, 30],
  ])('of Gram matrices of rank %i: the rest is zero', (rank, n) => {
    const matrix = gram(n, rank, 9);
    const { values } = symmetricEigen(matrix, n);
    for (let i = rank; i < n; i += 1) expect(Math.abs(values[i] as number)).toBeLessThan(1e-12);
    for (let i = 0; i < rank; i += 1) expect(values[i] as number).toBeGreaterThan(1e-12);
    const { rebuilt, orthogonal } = errorsOf(matrix, n);
    expect(Math.max(rebuilt, orthogonal)).toBeLessThan(1e-12);
  });

  it('of diagonal, repeated and badly scaled matrices', () => {
    const scales = [1e-30, 1, 1e30];
    for (const scale of scales) {
      const diagonal = symmetric(6, (i, j) => (i === j ? scale * (i % 3) : 0));
      expect([...symmetricEigen(diagonal, 6).values]).toEqual([2, 2, 1, 1, 0, 0].map((v) => v * scale));
      const { rebuilt, orthogonal } = errorsOf(
        gram(12, 12, 4).map((value) => value * scale),
        12,
      );
      expect(rebuilt / scale).toBeLessThan(1e-13);
      expect(orthogonal).toBeLessThan(1e-12);
    }
    const spread = symmetric(10, (i, j) => 10 ** (-i - j) * (i === j ? 2 : 1));
    expect(errorsOf(spread, 10).rebuilt).toBeLessThan(1e-14);
  });

  it.each([1, 2, 3, 4])('of graded matrices with dead channels, seed %i', (seed) => {
    const n = 48;
    const rank = 7 * seed;
    const scales = Array.from({ length: n }, (_, i) => (i % 5 === 0 ? 0 : 10 ** (-(i * seed) / 8)));
    const base = gram(n, rank, seed);
    const scaled = base.map(
      (value, at) => value * (scales[Math.floor(at / n)] as number) * (scales[at % n] as number),
    );
    for (const matrix of [scaled, scaled.toReversed()]) {
      const { rebuilt, orthogonal } = errorsOf(matrix, n);
      expect(Math.max(rebuilt, orthogonal)).toBeLessThan(1e-12);
    }
  });

  it('of 256 channels as the layers of a network have them', () => {
    const { rebuilt, orthogonal } = errorsOf(gram(256, 200, 2), 256);
    expect(Math.max(rebuilt, orthogonal)).toBeLessThan(1e-10);
  });
});
