import { describe, expect, it } from 'vitest';
import type { CrossMoments } from '../../../src/passes/pass.ts';
import { eliminate } from '../../../src/passes/pruneChannels/eliminate.ts';
import { budgetPlan, multipleFor, stepsOf } from '../../../src/passes/pruneChannels/plan.ts';
import type { Group } from '../../../src/passes/pruneChannels/groups.ts';
import { fitted } from '../../../src/passes/pruneChannels/repair.ts';
import { choleskyOf, damped, inverseOf, solveCholesky } from '../../../src/passes/support/cholesky.ts';
import { random } from './runtime.ts';

/** Vectors with correlated elements and a mean; row by row. */
function samplesOf(next: () => number, count: number, size: number): Float64Array {
  const mix = Float64Array.from({ length: size * size }, () => next() - 0.5);
  const out = new Float64Array(count * size);
  for (let n = 0; n < count; n += 1) {
    const source = Float64Array.from({ length: size }, () => next() + next() - 0.6);
    for (let i = 0; i < size; i += 1)
      for (let j = 0; j < size; j += 1)
        out[n * size + i] =
          (out[n * size + i] as number) + (mix[i * size + j] as number) * (source[j] as number);
  }
  return out;
}

function momentsOf(now: Float64Array, d: number, reference: Float64Array, e: number): CrossMoments {
  const count = now.length / d;
  const mean = new Float64Array(d);
  const referenceMean = new Float64Array(e);
  const gram = new Float64Array(d * d);
  const cross = new Float64Array(e * d);
  for (let n = 0; n < count; n += 1) {
    for (let j = 0; j < d; j += 1) {
      const x = (now[n * d + j] as number) / count;
      mean[j] = (mean[j] as number) + x;
      for (let i = 0; i < d; i += 1)
        gram[i * d + j] = (gram[i * d + j] as number) + (now[n * d + i] as number) * x;
      for (let i = 0; i < e; i += 1)
        cross[i * d + j] = (cross[i * d + j] as number) + (reference[n * e + i] as number) * x;
    }
    for (let i = 0; i < e; i += 1)
      referenceMean[i] = (referenceMean[i] as number) + (reference[n * e + i] as number) / count;
  }
  return { groups: 1, size: d, count, mean, gram, referenceSize: e, referenceMean, cross };
}

/** Mean squared difference of the outputs. */
function errorOf(
  w: Float64Array,
  x: Float64Array,
  d: number,
  v: Float64Array,
  y: Float64Array,
  e: number,
  shift: (o: number) => number,
): number {
  const count = x.length / d;
  let error = 0;
  for (let n = 0; n < count; n += 1)
    for (let o = 0; o < w.length / d; o += 1) {
      let gap = -shift(o);
      for (let i = 0; i < e; i += 1) gap += (v[o * e + i] as number) * (y[n * e + i] as number);
      for (let i = 0; i < d; i += 1) gap -= (w[o * d + i] as number) * (x[n * d + i] as number);
      error += (gap * gap) / count;
    }
  return error;
}

describe('refitting a layer', () => {
  it.each(Array.from({ length: 40 }, (_, seed) => seed))('is never worse than slicing, seed %i', (seed) => {
    const next = random(seed);
    const e = 3 + Math.floor(next() * 8);
    const left = Array.from({ length: e }, (_, i) => i).filter((i) => i === 0 || next() < 0.6);
    const [d, outputs, count] = [left.length, 4, seed % 4 === 0 ? 5 : 60];
    const reference = samplesOf(next, count, e);
    const drift = seed % 2 === 0 ? 0 : 0.3;
    const now = Float64Array.from({ length: count * d }, (_, at) => {
      const value = reference[Math.floor(at / d) * e + (left[at % d] as number)] as number;
      return value + drift * (next() - 0.5);
    });
    const before = Float64Array.from({ length: outputs * e }, () => next() - 0.5);
    const sliced = Float64Array.from(
      { length: outputs * d },
      (_, at) => before[Math.floor(at / d) * e + (left[at % d] as number)] as number,
    );
    const rows = Array.from({ length: outputs }, (_, o) => o);
    const moments = momentsOf(now, d, reference, e);
    const plain = errorOf(sliced, now, d, before, reference, e, () => 0);
    for (const centred of [true, false]) {
      const { matrix, shift } = fitted(before, sliced, rows, { inputs: d, groups: 1 }, moments, centred);
      const error = errorOf(matrix, now, d, before, reference, e, (o) =>
        centred ? (shift[o] as number) : 0,
      );
      expect(error).toBeLessThanOrEqual(plain * (1 + 1e-9) + 1e-12);
    }
    // Inputs that are all there and have not changed leave the weights alone.
    const same = momentsOf(reference, e, reference, e);
    const whole = fitted(before, before, rows, { inputs: e, groups: 1 }, same, true);
    whole.matrix.forEach((value, i) => expect(value).toBeCloseTo(before[i] as number, 9));
    for (const value of whole.shift) expect(value).toBeCloseTo(0, 9);
  });
});

/** tr(D H DT) of the best weights without some columns. */
function bruteForce(w: Float64Array, h: Float64Array, d: number, gone: ReadonlySet<number>): number {
  const left = Array.from({ length: d }, (_, i) => i).filter((i) => !gone.has(i));
  const s = left.length;
  const part = Float64Array.from(
    { length: s * s },
    (_, at) => h[(left[Math.floor(at / s)] as number) * d + (left[at % s] as number)] as number,
  );
  const factor = choleskyOf(part, s);
  let error = 0;
  for (let o = 0; o < w.length / d; o += 1) {
    const right = Float64Array.from(left, (i) => {
      let sum = 0;
      for (const j of gone) sum += (h[i * d + j] as number) * (w[o * d + j] as number);
      return sum;
    });
    const delta = right.slice();
    solveCholesky(factor, s, delta);
    for (const i of gone)
      for (const j of gone)
        error += (w[o * d + i] as number) * (h[i * d + j] as number) * (w[o * d + j] as number);
    for (let i = 0; i < s; i += 1) error -= (right[i] as number) * (delta[i] as number);
  }
  return error;
}

describe('elimination', () => {
  it.each([1, 2, 3, 4])('takes the cheapest channel and knows the least squares error, seed %i', (seed) => {
    const next = random(seed);
    const [channels, taps, outputs] = [5, 2, 3];
    const d = channels * taps;
    const x = samplesOf(next, 50, d);
    const h = damped(momentsOf(x, d, x, d).gram, d, 1e-3);
    const w = Float64Array.from({ length: outputs * d }, () => next() - 0.5);
    const columns = Array.from({ length: channels }, (_, c) => Int32Array.of(c, c + channels));
    const term = {
      outputs,
      inputs: d,
      weights: w,
      inverse: inverseOf(choleskyOf(h, d), d),
      columns,
      scale: 1,
    };
    const { order, errors } = eliminate([term], new Float64Array(channels), 1);
    const firsts = columns.map((own) => bruteForce(w, h, d, new Set(own)));
    expect(order[0]).toBe(firsts.indexOf(Math.min(...firsts)));
    const gone = new Set<number>();
    order.forEach((channel, m) => {
      for (const column of columns[channel] as Int32Array) gone.add(column);
      const expected = bruteForce(w, h, d, gone);
      expect(Math.abs((errors[m + 1] as number) - expected)).toBeLessThan(1e-5 * (1 + expected));
    });
    expect(order.length).toBe(channels - 1);
  });
});

describe('plans', () => {
  const group = (count: number, width = 1): Group => ({
    classes: Array.from({ length: count }, (_, i) => i),
    axes: [],
    producers: [],
    width,
  });

  it('leave multiples, counted on the weights', () => {
    expect(stepsOf(group(16), 4)).toEqual([4, 8, 12]);
    expect(stepsOf(group(10), 4)).toEqual([2, 6]);
    expect(stepsOf(group(4, 16), 8)).toEqual([1, 2, 3]);
    expect(stepsOf(group(3), 4)).toEqual([]);
  });

  it('leave whole blocks where there are four, parts of them elsewhere', () => {
    const multiples = (block: number) => [8, 16, 32, 64].map((count) => multipleFor(group(count), block));
    expect(multiples(16)).toEqual([4, 4, 8, 16]);
    expect(multiples(8)).toEqual([4, 4, 8, 8]);
    expect(multiples(4)).toEqual([4, 4, 4, 4]);
    expect(multipleFor(group(4, 16), 16)).toBe(16);
  });

  it('are within a quarter of the best where all can be tried', () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const next = random(seed);
      const groups = [group(6), group(6), group(6)];
      const curves = groups.map(() => {
        const errors = new Float64Array(6);
        for (let m = 1; m < 6; m += 1) errors[m] = (errors[m - 1] as number) + next() * m;
        return { order: Int32Array.of(0, 1, 2, 3, 4), errors };
      });
      const cost = ([a = 0, b = 0, c = 0]: readonly number[]) => (6 - a) * (6 - b) + (6 - b) * (6 - c);
      const errorOfPlan = (plan: readonly number[]) =>
        plan.reduce((sum, m, g) => sum + (curves[g]?.errors[m] as number), 0);
      const plan = budgetPlan(groups, curves, [{ cost, target: 40 }], () => 1);
      let best = Number.POSITIVE_INFINITY;
      for (let at = 0; at < 216; at += 1) {
        const other = [at % 6, Math.floor(at / 6) % 6, Math.floor(at / 36)];
        if (cost(other) <= 40) best = Math.min(best, errorOfPlan(other));
      }
      expect(cost(plan)).toBeLessThanOrEqual(40);
      expect(errorOfPlan(plan)).toBeLessThanOrEqual(best * 1.25 + 1e-9);
    }
  });
});
