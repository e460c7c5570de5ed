import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { Model } from '../../../src/ir/model.ts';
import { evaluate } from '../../../src/runtime/measure/evaluate.ts';
import { startRunner } from '../../../src/runtime/process/launch.ts';
import { samples } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { runPass } from './build.ts';
import { calibratorFor, temporaryFile } from './calibrate.ts';

beforeAll(useSourceRunner);

const data = path.join(samples, 'digits-calibration.npz');

/** The model as a file brings it back: intermediate values that nobody described are not listed. */
async function saved(model: Model): Promise<Model> {
  return readModelFile(await temporaryFile(model)).model;
}

describe.each(['onnx', 'tflite'] as const)(
  'digits.%s, a scheme for each layer and a file after each step',
  (extension) => {
    it('runs and stays close', async () => {
      const float = readModelFile(path.join(samples, `digits.${extension}`)).model;
      const layers = float.graphs[0].nodes.flatMap(({ id, op }) =>
        /^(Conv|Gemm|CONV_2D|FULLY_CONNECTED)$/.test(op) ? [id] : [],
      );
      const [first, second, third, ...others] = layers as [string, string, string, ...string[]];
      let model: Model = float;
      const steps = [
        ['quantize-static', {}, [first, second]],
        ['quantize-static', { scheme: 'w4a8' }, [third]],
        ['quantize-weights', { bits: '8', smallest: 0 }, others],
      ] as const;
      for (const [pass, options, chosen] of steps) {
        const calibrator = calibratorFor(model, data, 64);
        const result = await runPass(pass, model, { options, layers: [...chosen], calibrator });
        expect(result.changed.length, pass).toBeGreaterThan(0);
        model = await saved(result.model);
      }
      const report = await evaluate(startRunner, {
        model: await temporaryFile(model),
        reference: await temporaryFile(float),
        data: path.join(samples, 'digits-test.npz'),
        samples: 100,
      });
      expect(report.reference?.sqnrDb).toBeGreaterThan(20);
    });
  },
);
