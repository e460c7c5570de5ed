import { describe, expect, it } from 'vitest';
import type { LaneSpace } from '../../../src/passes/support/lanes.ts';
import { lanes, laneSpace, plainSpace } from '../../../src/passes/support/lanes.ts';
import { random } from './runtime.ts';

function filled(space: LaneSpace): LaneSpace {
  const next = random(3);
  for (let i = 0; i < space.floats.length; i += 1) space.floats[i] = 2 * next() - 1;
  return space;
}

describe('sums over panels', () => {
  it.each([0, 1, 2, 7, 64, 301])('of %i terms are the same to the bit with vectors and without', (count) => {
    const size = 400 * (lanes + 2);
    const [fast, plain] = [filled(laneSpace(size)), filled(plainSpace(size))];
    for (const space of [fast, plain]) space.dots(5, 400, count, 401 + lanes * 399);
    expect(fast.floats).toEqual(plain.floats);
    for (let r = 0; r < lanes; r += 1) {
      let sum = 0;
      for (let k = 0; k < count; k += 1)
        sum += (fast.floats[5 + k] as number) * (fast.floats[400 + lanes * k + r] as number);
      expect(fast.floats[401 + lanes * 399 + r]).toBeCloseTo(sum, 4);
    }
  });

  it.each([1, 2, 17, 90])('round %i columns to the same codes, with vectors and without', (size) => {
    const columns = lanes * (size + 1);
    const [factor, squares, scales] = [7, 7 + size * size, 7 + size * (size + 1)];
    const [gains, first] = [scales + lanes, scales + 2 * lanes];
    const panel = (index: number) => first + columns * index;
    const places = {
      weights: panel(0),
      errors: panel(1),
      plain: panel(2),
      found: panel(3),
      nearest: panel(4),
    };
    const spaces = [filled(laneSpace(panel(5))), filled(plainSpace(panel(5)))] as const;
    for (const { floats } of spaces) {
      for (let i = 0; i < squares; i += 1) floats[i] = 0.2 * (floats[i] as number);
      for (let i = squares; i < gains; i += 1) floats[i] = 0.02 + Math.abs(floats[i] as number);
      floats.fill(0, gains, gains + lanes);
    }
    for (const space of spaces) space.round({ size, top: 7, factor, squares, scales, gains, ...places });
    const [{ floats }, plain] = spaces;
    expect(floats).toEqual(plain.floats);
    for (let r = 0; r < lanes; r += 1) {
      const scale = floats[scales + r] as number;
      const codes = (from: number) =>
        Array.from({ length: size }, (_, i) => (floats[from + lanes * i + r] as number) / scale);
      const weights = codes(places.weights);
      const costOf = (stored: readonly number[]) => {
        const error = stored.map((code, i) => (weights[i] as number) - code);
        return error.reduce((sum, own, i) => {
          let all = own;
          for (let k = i + 1; k < size; k += 1)
            all += (floats[factor + size * i + k] as number) * (error[k] as number);
          return sum + (floats[squares + i] as number) * (scale * all) ** 2;
        }, 0);
      };
      const [found, nearest] = [codes(places.found), codes(places.nearest)];
      for (const code of [...found, ...nearest]) expect(Math.abs(code - Math.round(code))).toBeLessThan(1e-5);
      for (const code of found) expect(Math.abs(code)).toBeLessThan(7.0001);
      for (const [i, code] of nearest.entries())
        expect(Math.abs(code - Math.max(-7, Math.min(7, weights[i] as number)))).toBeLessThan(0.50001);
      const gain = floats[gains + r] as number;
      expect(gain).toBeCloseTo(costOf(nearest) - costOf(found), 3);
    }
  });

  it('come from a place that grows', () => {
    expect(laneSpace(3_000_000).floats).toHaveLength(3_000_000);
    expect(laneSpace(16).floats).toHaveLength(16);
  });
});
