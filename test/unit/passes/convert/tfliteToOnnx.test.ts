import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readModelFile, writeModelFile } from '../../../../src/formats/io/models.ts';
import type { TfliteModel } from '../../../../src/ir/model.ts';
import { byteSize } from '../../../../src/ir/dtype.ts';
import { decodeFloats } from '../../../../src/ir/numbers.ts';
import { tfliteToOnnx } from '../../../../src/passes/convert/toOnnx/convert.ts';
import { layout } from '../../../../src/passes/layout/layout.ts';
import { randomDataset } from '../../../../src/runtime/data/random.ts';
import { startRunner } from '../../../../src/runtime/process/launch.ts';
import type { HostTensor, TensorInfo, Tensors } from '../../../../src/runtime/runner.ts';
import { modelFiles } from '../../support/models.ts';
import { useSourceRunner } from '../../support/runner.ts';

/**
 * Largest difference seen between the two runtimes: integer models in steps, float ones relative to the range. Two
 * transposes may be left: one behind the input, one before a layer that reads the map as a vector.
 */
const cases: Record<
  string,
  { readonly steps?: number; readonly relative?: number; readonly transposes?: number }
> = {
  'digits.tflite': { relative: 1e-4 },
  'pretrainedResnet.tflite': { relative: 1e-4 },
  'vww_96_float.tflite': { relative: 1e-4 },
  'ad01_fp32.tflite': { relative: 1e-4 },
  'hello_world_float.tflite': { relative: 1e-4 },
  'trained_lstm.tflite': { relative: 1e-4 },

  // Activations are rounded to 8 bits as it runs: a float that differs in its last bit may be rounded to the next step.
  'kws_ref_model_float32.tflite': { relative: 1e-3 },
  'vww_96_int8.tflite': { steps: 0 },
  'kws_ref_model.tflite': { steps: 0 },
  'ad01_int8.tflite': { steps: 0 },
  'hello_world_int8.tflite': { steps: 0 },
  'micro_speech_quantized.tflite': { steps: 0 },
  'str_ww_ref_model.tflite': { steps: 0 },
  'keyword_scrambled_8bit.tflite': { steps: 0 },
  'trained_lstm_int8.tflite': { steps: 0 },
  'pretrainedResnet_quant.tflite': { steps: 0 },
  'mobilenet_v2_q.tflite': { steps: 0 },
  'dtln.tflite': { steps: 0 },
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

function zeros({ dtype, dims }: TensorInfo): HostTensor {
  const count = dims.reduce((a, b) => a * b, 1);
  return { dtype, dims, data: new Uint8Array(byteSize(dtype, count) ?? 0) };
}

/** What came out as `…_next` goes in again. */
function statesOf(outputs: Tensors): Tensors {
  const next = Object.entries(outputs).filter(([name]) => name.endsWith('_next'));
  return Object.fromEntries(next.map(([name, tensor]) => [name.slice(0, -'_next'.length), tensor]));
}

describe.each(files.map((file) => [path.basename(file), file]))('%s', (name, file) => {
  it('gives the same outputs in ONNX Runtime as in LiteRT, without chains of transposes', async () => {
    const { steps, relative } = cases[name] as (typeof cases)[string];
    const converted = tfliteToOnnx(readModelFile(file).model as TfliteModel).model;
    const { model } = await layout.run(converted, {}, { seed: 1, step: async () => {} });
    const left = model.graphs[0].nodes.filter((node) => node.op === 'Transpose');
    expect(left.length).toBeLessThanOrEqual(2);
    const target = path.join(folder, `${name}.onnx`);
    await writeModelFile(model, target);
    const before = await runner.open(file, {});
    const after = await runner.open(target, {});
    const data = randomDataset(before.info.inputs, { seed: 3, count: 4 });
    let states: Tensors = {};
    for (let sample = 0; sample < 4; sample += 1) {
      const feeds = data.feeds(sample, 1);
      const want = numbers(Object.values(await before.run(feeds))[0]);
      const all = after.info.inputs.map((input, i): [string, HostTensor] => [
        input.name,
        states[input.name] ?? Object.values(feeds)[i] ?? zeros(input),
      ]);
      const outputs = await after.run(Object.fromEntries(all));
      states = statesOf(outputs);
      const seen = numbers(Object.values(outputs)[0]);
      const scale = relative === undefined ? 1 : Math.max(...want.map(Math.abs));
      const worst = Math.max(...seen.map((value, i) => Math.abs(value - (want[i] as number)) / scale));
      expect(worst).toBeLessThanOrEqual(steps ?? (relative as number));
    }
  });
});
