import { describe, expect, it } from 'vitest';
import type { Option } from '../../../src/optimize/mixed/knapsack.ts';
import type { FrontierPoint } from '../../../src/optimize/mixed/knapsack.ts';
import { frontierOf } from '../../../src/optimize/mixed/knapsack.ts';
import { keepOutsOf } from '../../../src/optimize/mixed/keepOut.ts';
import { mixedFrontier, mixedRecipe, pointOf } from '../../../src/optimize/mixed/plan.ts';
import type { MixedLayer } from '../../../src/optimize/mixed/report.ts';
import { stepOfScheme } from '../../../src/optimize/sensitivity/schemes.ts';
import { random } from '../passes/runtime.ts';
import { convNet } from '../rules/small.ts';

/** Every choice there is. */
function bruteForce(layers: readonly (readonly Option[])[]): readonly Option[] {
  return layers.reduce<readonly Option[]>(
    (sums, options) =>
      sums.flatMap((sum) =>
        options.map(({ cost, loss }) => ({ cost: sum.cost + cost, loss: sum.loss + loss })),
      ),
    [{ cost: 0, loss: 0 }],
  );
}

function randomLayers(seed: number, count: number): Option[][] {
  const next = random(seed);
  return Array.from({ length: count }, () =>
    Array.from({ length: 1 + Math.floor(next() * 4) }, () => ({
      cost: Math.floor(next() * 1000) - 200,
      loss: next() ** 3,
    })),
  );
}

/** The point with the least loss among those that cost at most `budget`; undefined when none does. */
function bestWithin(points: readonly FrontierPoint[], budget: number): FrontierPoint | undefined {
  return points.filter(({ cost }) => cost <= budget).at(-1);
}

describe('knapsack', () => {
  it('finds what trying everything finds, for every budget', () => {
    for (let seed = 1; seed <= 40; seed += 1) {
      const layers = randomLayers(seed, 1 + (seed % 8));
      const all = bruteForce(layers);
      const { points, exact } = frontierOf(layers);
      expect(exact).toBe(true);
      for (const point of points) {
        const sum = point.picks.reduce(
          (total, pick, at) => total + (layers[at]?.[pick]?.cost ?? Number.NaN),
          0,
        );
        expect(sum).toBeCloseTo(point.cost, 9);
      }
      for (let budget = -1600; budget <= 8000; budget += 333) {
        const within = all.filter(({ cost }) => cost <= budget);
        const best = bestWithin(points, budget);
        if (within.length === 0) expect(best).toBeUndefined();
        else expect(best?.loss).toBeCloseTo(Math.min(...within.map(({ loss }) => loss)), 9);
      }
    }
  });

  it('stays close and says so when it keeps fewer states than there are', () => {
    const layers = randomLayers(7, 12);
    const full = frontierOf(layers);
    const cut = frontierOf(layers, 8);
    expect(cut.exact).toBe(false);
    const [low, high] = [full.points[0]?.cost ?? 0, full.points.at(-1)?.cost ?? 0];
    for (const share of [0.2, 0.5, 0.8]) {
      const budget = low + share * (high - low);
      const slack = 0.5 * (high - low);
      const found = bestWithin(cut.points, budget + slack)?.loss ?? Number.POSITIVE_INFINITY;
      expect(found).toBeLessThanOrEqual((bestWithin(full.points, budget)?.loss ?? 0) + 1e-12);
    }
  });
});

describe('plans', () => {
  const layer = (id: string, sqnr8: number, sqnr4: number, bytes: number): MixedLayer => ({
    id,
    name: id,
    op: 'Conv',
    chosen: 'float',
    options: [
      { scheme: 'float', sqnrDb: null, bytes: 0, latencyMs: 0 },
      { scheme: 'int8', sqnrDb: sqnr8, bytes: (-3 * bytes) / 4, latencyMs: -1 },
      { scheme: 'int4', sqnrDb: sqnr4, bytes: (-7 * bytes) / 8, latencyMs: null },
    ],
  });
  const layers = [layer('a', 50, 12, 1000), layer('b', 50, 40, 4000)];
  const start = { fileBytes: 6000, latencyMs: 5 };

  it('puts the fewest bits where they hurt least', () => {
    const { points } = mixedFrontier(layers, { kind: 'size', bytes: 2000 });
    const best = bestWithin(points, 2000 - start.fileBytes);
    const shown = best && pointOf(layers, best, start);
    expect(shown?.counts).toEqual({ int8: 1, int4: 1 });
    expect(shown?.fileBytes).toBe(6000 - 750 - 3500);
    const recipe = mixedRecipe(layers, best?.picks ?? [], (scheme) => stepOfScheme(scheme, 'onnx'));
    expect(recipe.map(({ pass, layers: on }) => [pass, on])).toEqual([
      ['quantize-weights', ['b']],
      ['quantize-static', ['a']],
    ]);
  });

  it('takes no option whose latency is unknown when latency is what counts', () => {
    const { points } = mixedFrontier(layers, { kind: 'latency', ms: 3 });
    const shown = points.map((point) => pointOf(layers, point, start));
    expect(shown[0]).toMatchObject({ latencyMs: 3, counts: { int8: 2 } });
    expect(shown.every(({ counts }) => counts['int4'] === undefined)).toBe(true);
  });
});

describe('layers to keep out', () => {
  it('are the ends of a plain model, proposed but not taken', () => {
    const model = convNet(8, 8);
    const targets = model.graphs[0].nodes.filter(({ op }) => op === 'Conv');
    const found = keepOutsOf(model, targets);
    expect(found.length).toBeGreaterThan(0);
    expect(found.every(({ applied }) => !applied)).toBe(true);
  });
});
