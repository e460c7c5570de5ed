import { describe, expect, it } from 'vitest';
import { rankCertainty } from '../../../src/optimize/sensitivity/certainty.ts';
import type { SampleNoise } from '../../../src/optimize/sensitivity/complete.ts';
import { completeNoise } from '../../../src/optimize/sensitivity/complete.ts';
import { firstSamples, nextRound, spreadOrder } from '../../../src/optimize/sensitivity/effort.ts';
import { random } from '../passes/runtime.ts';

/** Noise with a known truth: a level per layer, a hardness per sample, and what belongs to both. */
interface Oracle {
  readonly noise: readonly (readonly number[])[];
  readonly totals: readonly number[];
}

function oracle(
  seed: number,
  { layers, samples, decibels }: { layers: number; samples: number; decibels: number },
): Oracle {
  const normal = gaussian(seed);
  const uniform = random(seed + 1000);
  const hardness = Array.from({ length: samples }, () => Math.exp(0.5 * normal()));
  const noise = Array.from({ length: layers }, () => {
    const level = 10 ** ((decibels * uniform()) / 10);
    return hardness.map((each) => level * each * Math.exp(0.3 * normal()));
  });
  return { noise, totals: noise.map((row) => row.reduce((sum, each) => sum + each, 0)) };
}

function gaussian(seed: number): () => number {
  const uniform = random(seed);
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

const seenOn = (rows: Oracle['noise'], samples: ReadonlySet<number>): SampleNoise[] =>
  rows.map((row) => row.map((noise, sample) => (samples.has(sample) ? noise : undefined)));

function spearman(a: readonly number[], b: readonly number[]): number {
  const rank = (values: readonly number[]) => {
    const sorted = [...values].sort((x, y) => x - y);
    return values.map((value) => sorted.indexOf(value));
  };
  const [x, y] = [rank(a), rank(b)];
  const sum = x.reduce((total, each, at) => total + (each - (y[at] ?? 0)) ** 2, 0);
  return 1 - (6 * sum) / (a.length * (a.length ** 2 - 1));
}

const mean = (values: readonly number[]) => values.reduce((sum, each) => sum + each, 0) / values.length;

describe('noise known on some samples', () => {
  it('comes with a standard error that is the error', () => {
    const scores: number[] = [];
    for (let seed = 1; seed <= 40; seed += 1) {
      const { noise, totals } = oracle(seed, { layers: 40, samples: 128, decibels: 25 });
      const found = completeNoise(seenOn(noise, new Set(spreadOrder(128).slice(0, 24))), 128);
      const off = found.map(({ total }, at) => Math.log(total / (totals[at] as number)));
      // What all layers share moves none beside the others.
      const shared = mean(off);
      for (const [at, { error }] of found.entries()) scores.push(((off[at] as number) - shared) / error);
    }
    const spread = Math.sqrt(mean(scores.map((score) => score ** 2)));
    // Ratio estimates from few samples of a skewed hardness take their errors for a little smaller than they are.
    expect(spread).toBeGreaterThan(0.85);
    expect(spread).toBeLessThan(1.2);
  });

  it('is exact where all is known, and filled in where the samples are hard for all alike', () => {
    const hardness = [1, 5, 2, 9, 0.5, 3];
    const rows = [3, 7].map((level) => hardness.map((each) => level * each));
    const [all, part] = completeNoise(
      [rows[0] ?? [], (rows[1] ?? []).map((v, at) => (at < 3 ? v : undefined))],
      6,
    );
    expect(all).toEqual({ total: 61.5, error: 0 });
    expect(part?.total).toBeCloseTo(143.5, 2);
    expect(
      completeNoise(
        [
          [0, 0, undefined],
          [1, 2, 3],
        ],
        3,
      )[0],
    ).toEqual({ total: 0, error: 0 });
  });
});

describe('certainty of an order', () => {
  it('expects the correlation that there is', () => {
    for (const [decibels, count] of [
      [25, 8],
      [25, 32],
      [5, 16],
    ] as const) {
      const expected: number[] = [];
      const actual: number[] = [];
      for (let seed = 1; seed <= 30; seed += 1) {
        const { noise, totals } = oracle(seed, { layers: 50, samples: 128, decibels });
        const found = completeNoise(seenOn(noise, new Set(spreadOrder(128).slice(0, count))), 128);
        const estimates = found.map(({ total, error }) => ({ level: Math.log(total), error }));
        expected.push(rankCertainty(estimates).correlation);
        actual.push(
          spearman(
            found.map(({ total }) => total),
            totals,
          ),
        );
      }
      expect(Math.abs(mean(expected) - mean(actual))).toBeLessThan(0.3 * (1 - mean(actual)) + 5e-4);
    }
  });

  it('is complete without errors, or where nothing is near', () => {
    const estimates = [1, 2, 3].map((level) => ({ level, error: 0 }));
    expect(rankCertainty(estimates)).toEqual({ correlation: 1, shifts: [0, 0, 0] });
    const far = [0, 10, Number.NEGATIVE_INFINITY].map((level) => ({
      level,
      error: Number.isFinite(level) ? 0.1 : 0,
    }));
    expect(rankCertainty(far).correlation).toBe(1);
  });
});

describe('samples by what the order takes', () => {
  /** The whole procedure on an oracle; the order found, and the work of it. */
  function run({ noise, totals }: Oracle, most: number) {
    const samples = totals.length === 0 ? 0 : (noise[0] as readonly number[]).length;
    const costs = noise.map((_, at) => 1 - at / noise.length);
    const naive = noise.length * samples;
    const effort = { first: 0.12 * naive, most: most * naive, wanted: 0.99 };
    const rows = noise.map((): (number | undefined)[] => Array.from({ length: samples }, () => undefined));
    const order = spreadOrder(samples);
    let work = 0;
    let taken = 0;
    let next: { samples: number; chosen: readonly number[] } | undefined = {
      samples: firstSamples(costs, samples, effort),
      chosen: [...noise.keys()],
    };
    while (next !== undefined) {
      const window = order.slice(taken, taken + next.samples);
      taken += window.length;
      work += 2 * window.length;
      for (const at of next.chosen)
        for (const sample of window) {
          (rows[at] as (number | undefined)[])[sample] = noise[at]?.[sample];
          work += costs[at] as number;
        }
      const found = completeNoise(rows, samples);
      const measured = found.map(({ total, error }, at) => ({
        level: Math.log(total),
        error,
        cost: costs[at] as number,
        measured: rows[at]?.filter((each) => each !== undefined).length ?? 0,
      }));
      next = nextRound(measured, { taken, samples, rows: 1, left: effort.most - work }, effort);
    }
    const found = completeNoise(rows, samples).map(({ total }) => total);
    const counts = rows.map((row) => row.filter((each) => each !== undefined).length);
    return { correlation: spearman(found, totals), share: work / naive, counts };
  }

  it('stops early where layers are far apart, and takes more where they are not', () => {
    const far = [1, 2, 3, 4, 5].map((seed) =>
      run(oracle(seed, { layers: 50, samples: 128, decibels: 40 }), 0.34),
    );
    const near = [1, 2, 3, 4, 5].map((seed) =>
      run(oracle(seed, { layers: 50, samples: 128, decibels: 5 }), 0.34),
    );
    for (const { correlation, share, counts } of far) {
      expect(correlation).toBeGreaterThan(0.99);
      expect(share).toBeLessThanOrEqual(0.12);
      expect(new Set(counts).size).toBe(1);
    }
    for (const { share, counts } of near) {
      expect(share).toBeLessThanOrEqual(0.34);
      expect(share).toBeGreaterThan(0.12);
      expect(Math.max(...counts)).toBeGreaterThan(Math.min(...counts));
    }
    expect(mean(near.map(({ correlation }) => correlation))).toBeGreaterThan(0.98);
  });

  it('reaches what is wanted when it may cost what it takes', () => {
    const found = [1, 2, 3, 4, 5, 6, 7, 8].map((seed) =>
      run(oracle(seed, { layers: 60, samples: 96, decibels: 6 }), 2),
    );
    expect(mean(found.map(({ correlation }) => correlation))).toBeGreaterThan(0.988);
  });

  it('measures everything on everything without a limit, and never fewer than a few', () => {
    const costs = Array.from({ length: 50 }, () => 1);
    expect(firstSamples(costs, 64, undefined)).toBe(64);
    expect(firstSamples(costs, 64, { first: 1, most: 10, wanted: 0.99 })).toBe(8);
    expect(firstSamples(costs, 5, { first: 1, most: 10, wanted: 0.99 })).toBe(5);
  });
});
