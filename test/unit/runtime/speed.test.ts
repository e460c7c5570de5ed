import { beforeAll, expect, it } from 'vitest';
import { startRunner } from '../../../src/runtime/process/launch.ts';
import { compareSpeed, isSlower } from '../../../src/runtime/measure/speed.ts';
import { OnnxBuilder } from '../passes/build.ts';
import { temporaryFile } from '../passes/calibrate.ts';
import { useSourceRunner } from '../support/runner.ts';

beforeAll(useSourceRunner);

/** `layers` products of square matrices in a row. */
function chain(layers: number) {
  const g = new OnnxBuilder(1);
  let value = g.input('x', [64, 256]);
  for (let i = 0; i < layers; i += 1)
    value = g.node('MatMul', [value, g.floats(`w${i}`, [256, 256], () => g.number() / 16)], `y${i}`);
  return g.output(value).model();
}

it('believes the fastest runs, or so many pairs as chance would not make', () => {
  const pairs = (below: number, above: number) =>
    Float64Array.from({ length: below + above }, (_, i) => (i < below ? 0.6 : 1.1));
  expect(isSlower(pairs(8, 1), 1.02)).toBe(true);
  expect(isSlower(pairs(5, 4), 1.02)).toBe(false);
  expect(isSlower(pairs(5, 4), 0.6)).toBe(true);
  expect(isSlower(pairs(4, 5), 0.6)).toBe(false);
});

it('tells a model that does ten times the work from the one before, and says so both ways', async () => {
  const [light, heavy] = [await temporaryFile(chain(2)), await temporaryFile(chain(20))];
  const slower = await compareSpeed(startRunner, { before: light, after: heavy });
  expect(slower.slower).toBe(true);
  expect(slower.speedup).toBeLessThan(0.5);
  expect(slower.afterMs).toBeGreaterThan(slower.beforeMs);
  const faster = await compareSpeed(startRunner, { before: heavy, after: light });
  expect(faster.slower).toBe(false);
  expect(faster.speedup).toBeGreaterThan(2);
  expect(faster).toMatchObject({ threads: 1, runtime: expect.stringContaining('onnxruntime') });
});
