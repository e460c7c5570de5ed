import { describe, expect, it } from 'vitest';
import { problemsOf } from '../../../src/optimize/recipe.ts';
import { cumulativeCurve } from '../../../src/optimize/sensitivity/curve.ts';
import { spreadOrder } from '../../../src/optimize/sensitivity/effort.ts';
import { stepOfScheme } from '../../../src/optimize/sensitivity/schemes.ts';
import { passes } from '../../../src/passes/registry.ts';

describe('schemes', () => {
  it('are steps that the passes take', () => {
    expect(stepOfScheme('prune50', 'onnx')).toEqual({ pass: 'prune-magnitude', options: { sparsity: 0.5 } });
    for (const scheme of ['int8', 'int8-weights', 'int4', 'fp16', 'prune30'])
      expect(problemsOf({ steps: [stepOfScheme(scheme, 'onnx')] }, passes)).toEqual([]);
    expect(() => stepOfScheme('int17', 'onnx')).toThrow(/no scheme 'int17'/);
  });
});

describe('samples', () => {
  it('are taken in an order whose every beginning is spread', () => {
    const order = spreadOrder(64);
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 64 }, (_, index) => index));
    const first = order.slice(0, 8).sort((a, b) => a - b);
    const gaps = first.slice(1).map((place, at) => place - (first[at] ?? 0));
    expect(Math.max(...gaps)).toBeLessThanOrEqual(16);
  });
});

describe('cumulative curve', () => {
  it('adds noise powers from the least sensitive layer on', () => {
    const layer = (id: string, sqnrDb: number | null) => ({ id, name: id, op: 'Conv', sqnrDb });
    const curve = cumulativeCurve([layer('a', 20), layer('b', 20), layer('c', null)]);
    expect(curve[0]).toEqual({ layers: 1, predictedSqnrDb: null });
    expect(curve[1]?.predictedSqnrDb).toBeCloseTo(20, 9);
    expect(curve[2]?.predictedSqnrDb).toBeCloseTo(20 - 10 * Math.log10(2), 9);
  });
});
