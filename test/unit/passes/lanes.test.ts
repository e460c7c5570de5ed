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

  it('come from a place that grows', () => {
    expect(laneSpace(3_000_000).floats).toHaveLength(3_000_000);
    expect(laneSpace(16).floats).toHaveLength(16);
  });
});
