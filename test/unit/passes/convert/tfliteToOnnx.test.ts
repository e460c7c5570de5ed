import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readModelFile, writeModelFile } from '../../../../src/formats/io/models.ts';
import type { TfliteModel } from '../../../../src/ir/model.ts';
import { decodeFloats } from '../../../../src/ir/numbers.ts';
import { tfliteToOnnx } from '../../../../src/passes/convert/toOnnx/convert.ts';
import { randomDataset } from '../../../../src/runtime/random.ts';
import { startRunner } from '../../../../src/runtime/launch.ts';
import type { HostTensor } from '../../../../src/runtime/runner.ts';
import { modelFiles } from '../../support/models.ts';
import { useSourceRunner } from '../../support/runner.ts';

/** Largest difference seen between the two runtimes: integer models in steps, float ones relative to the range. */
const cases: Record<string, { readonly steps?: number; readonly relative?: number }> = {
  'digits.tflite': { relative: 1e-4 },
  'pretrainedResnet.tflite': { relative: 1e-4 },
  'vww_96_float.tflite': { relative: 1e-4 },
  'ad01_fp32.tflite': { relative: 1e-4 },
  'vww_96_int8.tflite': { steps: 0 },
  'kws_ref_model.tflite': { steps: 0 },
  'ad01_int8.tflite': { steps: 0 },
};

const runner = startRunner();
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kerf-test-'));
beforeAll(useSourceRunner);
afterAll(() => {
  runner.kill();
  fs.rmSync(folder, { recursive: true });
});

const numbers = (tensor: HostTensor | undefined) =>
  tensor === undefined
    ? []
    : [
        ...decodeFloats(
          tensor.dtype,
          tensor.data,
          tensor.dims.reduce((a, b) => a * b, 1),
        ),
      ];

const files = modelFiles('.tflite').filter((file) => path.basename(file) in cases);

describe.each(files.map((file) => [path.basename(file), file]))('%s', (name, file) => {
  it('gives the same outputs in ONNX Runtime as in LiteRT', async () => {
    const { model } = tfliteToOnnx(readModelFile(file).model as TfliteModel);
    const target = path.join(folder, `${name}.onnx`);
    await writeModelFile(model, target);
    const before = await runner.open(file, {});
    const after = await runner.open(target, {});
    const data = randomDataset(before.info.inputs, { seed: 3, count: 4 });
    const { steps, relative } = cases[name] as (typeof cases)[string];
    for (let sample = 0; sample < 4; sample += 1) {
      const feeds = data.feeds(sample, 1);
      const want = numbers(Object.values(await before.run(feeds))[0]);
      const renamed = Object.fromEntries(
        after.info.inputs.map((input, i) => [input.name, Object.values(feeds)[i] as HostTensor]),
      );
      const seen = numbers(Object.values(await after.run(renamed))[0]);
      const scale = relative === undefined ? 1 : Math.max(...want.map(Math.abs));
      const worst = Math.max(...seen.map((value, i) => Math.abs(value - (want[i] as number)) / scale));
      expect(worst).toBeLessThanOrEqual(steps ?? (relative as number));
    }
  });
});
