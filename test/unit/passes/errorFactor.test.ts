import { describe, expect, it } from 'vitest';
import { errorFactor } from '../../../src/passes/quantizeStatic/errorFactor.ts';
import { roundedRows } from '../../../src/passes/quantizeStatic/panelRows.ts';
import { random } from './runtime.ts';

/** Moments of correlated vectors away from zero. */
function momentsOf(size: number, count: number) {
  const next = random(size);
  const gram = new Float64Array(size * size);
  const mean = new Float64Array(size);
  for (let n = 0; n < count; n += 1) {
    const common = next();
    const x = Float64Array.from({ length: size }, (_, i) => (i % 5) * common + next());
    for (let i = 0; i < size; i += 1) {
      mean[i] = (mean[i] as number) + (x[i] as number) / count;
      for (let j = 0; j < size; j += 1)
        gram[i * size + j] = (gram[i * size + j] as number) + ((x[i] as number) * (x[j] as number)) / count;
    }
  }
  return { size, count, gram, mean };
}

/** What the factor is one of: covariances, shrunk by so many vectors as elements, with 1 % of the mean on the diagonal. */
function dampedCovariance({ size, count, gram, mean }: ReturnType<typeof momentsOf>): number[][] {
  const at = (i: number, j: number) => (gram[i * size + j] ?? 0) - (mean[i] ?? 0) * (mean[j] ?? 0);
  const places = Array.from({ length: size }, (_, i) => i);
  const add = (0.01 * places.reduce((sum, i) => sum + at(i, i), 0)) / size;
  return places.map((i) =>
    places.map((j) => (i === j ? at(i, i) + add : (at(i, j) * count) / (size + count))),
  );
}

describe('the factor of what errors cost', () => {
  it.each([1, 9, 16, 17, 50])('of %i inputs gives back the moments', (size) => {
    const moments = momentsOf(size, 3 * size);
    const wanted = dampedCovariance(moments);
    const { order, panels, space } = errorFactor(moments);
    const u = (i: number, k: number) =>
      i === k ? 1 : k < i ? 0 : (space.floats[size * i + k] ?? Number.NaN);
    for (let a = 0; a < size; a += 1)
      for (let b = 0; b < size; b += 1) {
        let sum = 0;
        for (let i = 0; i < size; i += 1)
          sum += (space.floats[panels.squares + i] ?? Number.NaN) * u(i, a) * u(i, b);
        expect(sum).toBeCloseTo(wanted[order[a] ?? 0]?.[order[b] ?? 0] ?? Number.NaN, 4);
      }
  });

  it('lets every row cost at most what rounding to nearest does', () => {
    const size = 40;
    const moments = momentsOf(size, 100);
    const cost = dampedCovariance(moments);
    const next = random(2);
    const weights = Float64Array.from({ length: 16 * size }, () => next() - 0.5);
    const scales = Float32Array.from({ length: 16 }, (_, r) => 0.02 + 0.01 * r);
    const found = roundedRows(errorFactor(moments), weights, scales, 127);
    let better = 0;
    for (let r = 0; r < 16; r += 1) {
      const costOf = (codes: (at: number) => number) => {
        const error = Array.from(
          { length: size },
          (_, i) => (weights[r * size + i] ?? 0) - codes(r * size + i),
        );
        return error.reduce(
          (sum, e, i) => sum + error.reduce((s, f, j) => s + e * f * (cost[i]?.[j] ?? 0), 0),
          0,
        );
      };
      const scale = scales[r] ?? 1;
      const own = costOf((at) => found[at] ?? 0);
      const nearest = costOf((at) => scale * Math.round((weights[at] ?? 0) / scale));
      expect(own).toBeLessThanOrEqual(nearest * (1 + 1e-6));
      if (own < 0.8 * nearest) better += 1;
    }
    expect(better).toBeGreaterThan(8);
  });
});
