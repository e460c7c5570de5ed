import { describe, expect, it } from 'vitest';
import { activationEncoding } from '../../../src/passes/support/quantization.ts';

/** The next float32 above a positive one. */
function nextFloat(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer);
  bits[0] = (bits[0] as number) + 1;
  return new Float32Array(bits.buffer)[0] as number;
}

describe('the encoding of an activation under a bound', () => {
  it.each([
    [6.01, 6],
    [60, 6],
    [1e6, 6],
    [1, 0.7],
    [3e38, 1],
  ])('of a range up to %d below %d has the largest scale whose top stays below', (max, cap) => {
    const { scale } = activationEncoding({ min: 0, max }, 'uint8', cap);
    expect(Math.fround(scale * 255)).toBeLessThanOrEqual(cap);
    expect(Math.fround(nextFloat(scale) * 255)).toBeGreaterThan(cap);
  });

  it('keeps the scale of a range within it', () => {
    expect(activationEncoding({ min: 0, max: 5 }, 'uint8', 6).scale).toBe(Math.fround(5 / 255));
  });
});
