import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { Model } from '../../../src/ir/model.ts';
import { evaluate } from '../../../src/runtime/measure/evaluate.ts';
import { startRunner } from '../../../src/runtime/process/launch.ts';
import { samples } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { operatorsOf, runPass } from './build.ts';
import { calibratorFor, temporaryFile } from './calibrate.ts';

beforeAll(useSourceRunner);

const data = path.join(samples, 'digits-calibration.npz');

async function noiseOf(model: Model, after: Model): Promise<number> {
  const [one, other] = [await temporaryFile(after), await temporaryFile(model)];
  const test = path.join(samples, 'digits-test.npz');
  const report = await evaluate(startRunner, { model: one, reference: other, data: test, samples: 64 });
  return report.reference?.sqnrDb ?? 0;
}

describe('models whose weights are stored in 16 bits', () => {
  it.each([
    ['onnx', 'fp16', 'quantize-static', {}, 25],
    ['onnx', 'bf16', 'quantize-weights', { bits: '8', conv: true, smallest: 0 }, 30],
    ['onnx', 'fp16', 'quantize-dynamic', { smallest: 0, conv: true }, 30],
    ['tflite', 'fp16', 'quantize-dynamic', { smallest: 0 }, 30],
    ['tflite', 'fp16', 'quantize-static', {}, 25],
    ['tflite', 'fp16', 'quantize-weights', { smallest: 0 }, 30],
  ] as const)(
    '%s, %s: %s finds them as it does in 32 bits',
    async (extension, halve, pass, options, least) => {
      const float = readModelFile(path.join(samples, `digits.${extension}`)).model;
      const { model: narrow } = await runPass(halve, float);
      const run = (model: Model) =>
        runPass(pass, model, { options, calibrator: calibratorFor(model, data, 32) });
      const [wide, after] = [await run(float), await run(narrow)];
      expect(after.notes.join()).toContain('of 16 bits taken as float32 first');
      expect(operatorsOf(after.model)).toBe(operatorsOf(wide.model));
      expect(await noiseOf(float, after.model)).toBeGreaterThan(least);
    },
  );

  it('stay in 16 bits where a layer is left in float', async () => {
    const float = readModelFile(path.join(samples, 'digits.onnx')).model;
    const { model: narrow } = await runPass('fp16', float);
    const { model } = await runPass('quantize-weights', narrow);
    const types = [...model.graphs[0].values.values()].map(({ constant }) => constant?.dtype);
    expect(types).toContain('float16');
    expect(types).toContain('int8');
  });
});
