import { describe, expect, it } from 'vitest';
import { logisticCode, tanhCode } from '../../../../src/passes/convert/toOnnx/fixedPoint.ts';
import type { Storage } from '../../../../src/passes/convert/toOnnx/storage.ts';
import { fixedPointSum, tieSafeScales } from '../../../../src/passes/convert/toOnnx/tieSafe.ts';
import { random } from '../runtime.ts';

const stored = (scale: number, zero: number): Storage => ({
  dtype: 'uint8',
  quantization: { scale: Float32Array.of(scale), zeroPoint: [zero], axis: 0 },
});

describe('tieSafeScales', () => {
  it('gives scales with which exact arithmetic and floats find the codes of the integer kernel, for all pairs', () => {
    const next = random(7);
    for (let trial = 0; trial < 8; trial += 1) {
      const sign = trial % 2 === 0 ? 1 : -1;
      const [a, b, out] = [0, 1, 2].map(() => stored(0.02 + 0.05 * next(), Math.floor(256 * next()))) as [
        Storage,
        Storage,
        Storage,
      ];
      const scales = tieSafeScales({ a, b, out, sign });
      if (scales === undefined) continue;
      const kernel = fixedPointSum({ a, b, out, sign });
      const [zeroA, zeroB] = [a, b].map((each) => each.quantization.zeroPoint[0] ?? 0) as [number, number];
      const zero = out.quantization.zeroPoint[0] ?? 0;
      const step = out.quantization.scale[0] as number;
      const code = (value: number) => Math.max(0, Math.min(255, value + zero));
      for (let x = -zeroA; x <= 255 - zeroA; x += 1)
        for (let y = -zeroB; y <= 255 - zeroB; y += 1) {
          const real = (x * Math.fround(scales[0]) + sign * y * Math.fround(scales[1])) / step;
          if (code(Math.round(real)) !== code(kernel(x, y)))
            expect({ trial, x, y, real, kernel: kernel(x, y) }).toBeUndefined();
        }
    }
  });

  it('finds none where sums are ties exactly', () => {
    const half = { a: stored(0.05, 128), b: stored(0.05, 128), out: stored(0.1, 128) };
    expect(tieSafeScales({ ...half, sign: 1 })).toBeUndefined();
  });
});

describe('fixed-point gates', () => {
  it('stay within the errors that gemmlowp states, and on their side of 0 and 1', () => {
    for (let code = 0; code < 32768; code += 1) {
      const x = code / 4096;
      expect(Math.abs(logisticCode(code, 3) - 32768 / (1 + Math.exp(-x)))).toBeLessThan(8);
      expect(Math.abs(tanhCode(code, 3) - 32768 * Math.tanh(x))).toBeLessThan(16);
    }
    expect([logisticCode(0, 3), tanhCode(0, 3)]).toEqual([16384, 0]);
  });
});
