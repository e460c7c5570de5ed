import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeModel } from '../../../../src/formats/encode.ts';
import { readModelFile } from '../../../../src/formats/io/models.ts';
import type { Model, OnnxModel, TfliteModel } from '../../../../src/ir/model.ts';
import { decodeNumbers } from '../../../../src/ir/numbers.ts';
import { convertOnnx, tidied } from '../../../../src/passes/convert/onnxModel.ts';
import { tfliteToOnnx } from '../../../../src/passes/convert/toOnnx/convert.ts';
import { randomDataset } from '../../../../src/runtime/data/random.ts';
import { startRunner } from '../../../../src/runtime/process/launch.ts';
import type { HostTensor } from '../../../../src/runtime/runner.ts';
import { hasShared, samples, shared } from '../../support/models.ts';
import { useSourceRunner } from '../../support/runner.ts';
import { operatorsOf, runPass } from '../build.ts';
import { calibratorFor, temporaryFile } from '../calibrate.ts';

const context = { seed: 1, step: async () => {} };
const runner = startRunner();
beforeAll(useSourceRunner);
afterAll(() => runner.kill());

const publicModel = (name: string) => path.join(shared, 'models', name);
const read = (file: string) => readModelFile(file).model;
const onnx = async (file: string) => (await convertOnnx(read(file) as OnnxModel, context)).model;

const bytesOf = (model: Model) => encodeModel(model).reduce((sum, part) => sum + part.length, 0);

const numbersOf = ({ dtype, data, dims }: HostTensor) =>
  decodeNumbers(
    dtype,
    data,
    dims.reduce((a, b) => a * b, 1),
  );

/** Largest difference over four seeded inputs, against the largest number or in codes. */
async function difference(
  a: Model,
  b: Model,
): Promise<{ readonly relative: number; readonly steps: number }> {
  const [before, after] = [
    await runner.open(await temporaryFile(a), {}),
    await runner.open(await temporaryFile(b), {}),
  ];
  const data = randomDataset(before.info.inputs, { seed: 3, count: 4 });
  let [worst, span] = [0, 0];
  for (let sample = 0; sample < data.samples; sample += 1) {
    const feeds = data.feeds(sample, 1);
    const [wanted, seen] = [await before.run(feeds), await after.run(feeds)];
    for (const [name, tensor] of Object.entries(wanted)) {
      const expected = numbersOf(tensor);
      numbersOf(seen[name] as HostTensor).forEach((value, i) => {
        worst = Math.max(worst, Math.abs(value - (expected[i] as number)));
        span = Math.max(span, Math.abs(expected[i] as number));
      });
    }
  }
  await Promise.all([before.close(), after.close()]);
  return { relative: worst / span, steps: worst };
}

const floats = [
  path.join(samples, 'digits.onnx'),
  ...(hasShared
    ? [
        'own/cifar_resnet.onnx',
        'own/cifar_mobilenet.onnx',
        'own/cifar_vit.onnx',
        'onnx/mnist.onnx',
        'onnx/ultraface.onnx',
      ].map(publicModel)
    : []),
];

describe.each(floats.map((file) => [path.basename(file), file]))('%s', (_name, file) => {
  it('gives in LiteRT what it gives in ONNX Runtime, with clean layouts', async () => {
    const model = await onnx(file);
    expect((await difference(read(file), model)).relative).toBeLessThan(1e-4);
    const convolutions = model.graphs[0].nodes.filter((node) => node.op.endsWith('CONV_2D')).length;
    const transposes = model.graphs[0].nodes.filter((node) => node.op === 'TRANSPOSE').length;
    // One behind the input; each output of a detector; and those of attention.
    expect(transposes, operatorsOf(model)).toBeLessThanOrEqual(Math.max(16, convolutions / 4));
  });
});

describe('quantized models', () => {
  it('keep their scales, their accuracy and their size', async () => {
    const float = read(path.join(samples, 'digits.onnx'));
    const { model } = await runPass('quantize-static', float, { calibrator: calibratorFor(float) });
    const converted = await convertOnnx(model as OnnxModel, context);
    const integers = converted.model.graphs[0].nodes.filter((node) => {
      const type = converted.model.graphs[0].values.get(node.outputs[0] as string)?.type;
      return type?.kind === 'tensor' && type.dtype === 'int8';
    });
    expect(integers.length).toBeGreaterThan(6);
    expect((await difference(model, converted.model)).relative).toBeLessThan(0.02);
    expect(bytesOf(converted.model)).toBeLessThan(1.1 * bytesOf(model));
  });
});

/** Float models, and how much they may grow; and integer models, which come back code by code. */
const roundTrips: Record<string, 'float' | 'integer'> = {
  'vww_96_float.tflite': 'float',
  'ad01_fp32.tflite': 'float',
  'pretrainedResnet.tflite': 'float',
  'kws_ref_model_float32.tflite': 'float',
  'vww_96_int8.tflite': 'integer',
  'kws_ref_model.tflite': 'integer',
  'ad01_int8.tflite': 'integer',
  'pretrainedResnet_quant.tflite': 'integer',
  'micro_speech_quantized.tflite': 'integer',
};

describe.runIf(hasShared).each(Object.entries(roundTrips))('%s to ONNX and back', (name, kind) => {
  it('gives the same outputs in a file of the same size', async () => {
    const model = read(publicModel(`tflite/${name}`)) as TfliteModel;
    const there = await tidied(tfliteToOnnx(model).model, context);
    const back = await convertOnnx(there as OnnxModel, context);
    const found = await difference(model, back.model);
    if (kind === 'float') expect(found.relative).toBeLessThan(1e-4);
    else expect(found.steps).toBe(0);
    expect(bytesOf(back.model)).toBeLessThan(1.05 * bytesOf(model));
  });
});
