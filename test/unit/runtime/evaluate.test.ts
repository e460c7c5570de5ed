import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { writeModelFile } from '../../../src/formats/io/models.ts';
import { compareOutputs } from '../../../src/runtime/measure/compare.ts';
import { evaluate } from '../../../src/runtime/measure/evaluate.ts';
import { startRunner } from '../../../src/runtime/process/launch.ts';
import { inTop } from '../../../src/runtime/outputs.ts';
import { hasShared, samples, shared } from '../support/models.ts';
import { npy, npz } from '../support/npy.ts';
import { useSourceRunner } from '../support/runner.ts';
import { temporaryFolder } from '../support/temporary.ts';
import { floatModel, int8Model } from '../support/tinyTflite.ts';

const folder = temporaryFolder();
const digits = join(samples, 'digits.onnx');
const test = join(samples, 'digits-test.npz');
beforeAll(useSourceRunner);

describe('figures', () => {
  const scores = (...data: number[]) => [{ dims: [data.length], data: Float64Array.from(data) }];

  it('follow their definitions', () => {
    const comparison = compareOutputs();
    comparison.add(scores(3, 4), scores(3, 5));
    comparison.add(scores(2, 1), scores(1, 2));
    const result = comparison.result(0);
    expect(result?.agreement).toBe(0.5);
    // Signal 9 + 25 + 1 + 4, noise 1 + 1 + 1.
    expect(result?.sqnrDb).toBeCloseTo(10 * Math.log10(39 / 3), 10);
    expect(result?.cosine).toBeCloseTo((29 / (5 * Math.sqrt(34)) + 4 / 5) / 2, 10);
    // Two classes: the softmax is the logistic function of the difference.
    const p = (difference: number) => 1 / (1 + Math.exp(-difference));
    const kl = (a: number, b: number) => a * Math.log(a / b) + (1 - a) * Math.log((1 - a) / (1 - b));
    expect(result?.klDiv).toBeCloseTo((kl(p(2), p(1)) + kl(p(1), p(-1))) / 2, 6);
  });

  it('take probabilities as they are and stay finite where one is zero', () => {
    const comparison = compareOutputs();
    comparison.add(scores(1, 0, 0), scores(0.5, 0.5, 0));
    const kl = comparison.result(0)?.klDiv as number;
    expect(kl).toBeCloseTo(0.5 * Math.log(0.5) + 0.5 * Math.log(0.5 / 1e-6), 3);
  });

  it('are perfect for equal outputs', () => {
    const comparison = compareOutputs();
    comparison.add(scores(1, 2), scores(1, 2));
    expect(comparison.result(0)).toEqual({ agreement: 1, sqnrDb: null, cosine: 1, klDiv: 0 });
    expect(compareOutputs().result(0)).toBeUndefined();
  });

  it('count the first of equal scores as the higher one', () => {
    const values = Float64Array.of(5, 7, 7, 1);
    expect([0, 1, 2, 3].map((label) => inTop(values, label, 1))).toEqual([false, true, false, false]);
    expect([0, 1, 2, 3].map((label) => inTop(values, label, 2))).toEqual([false, true, true, false]);
  });
});

describe('models', () => {
  it('reach the accuracy that the digits model was trained to', async () => {
    const report = await evaluate(startRunner, { model: digits, data: test });
    expect(report).toMatchObject({ samples: 500, data: test, top1: 0.984 });
    expect(report.reference).toBeUndefined();
  });

  it('are compared with a reference on made-up inputs too', async () => {
    const report = await evaluate(startRunner, { model: digits, reference: digits, samples: 5 });
    expect(report).toEqual({
      samples: 5,
      data: 'seeded random inputs (seed 0)',
      reference: { agreement: 1, sqnrDb: null, cosine: 1, klDiv: expect.closeTo(0, 9) },
    });
  });

  it('are compared in real numbers, whatever their element types', async () => {
    const [float, int8] = [join(folder, 'float.tflite'), join(folder, 'int8.tflite')];
    await writeModelFile(floatModel(), float);
    await writeModelFile(int8Model(), int8);
    // Multiples of the input scale, results within the output's range: integer arithmetic is exact here.
    const values = Float32Array.of(1, 2, 3, 2, 1, 1, 0, 3, -1);
    const data = join(folder, 'values.npz');
    writeFileSync(data, npz({ x: npy('<f4', [3, 3], values), y: npy('|u1', [3], Uint8Array.of(0, 1, 1)) }));
    // Made-up inputs of deviation 1 fall between the input's steps of 0.5, and results between the output's steps of 1.
    const rounded = await evaluate(startRunner, { seed: 3, samples: 20, model: int8, reference: float });
    expect(rounded.reference?.cosine).toBeGreaterThan(0.9);
    const exact = await evaluate(startRunner, { data, model: int8, reference: float });
    expect(exact).toMatchObject({ top1: 1, reference: { agreement: 1, sqnrDb: null } });
  });

  it('see the same made-up inputs as every other model compared with the reference', async () => {
    const [float, int8] = [join(folder, 'same-float.tflite'), join(folder, 'same-int8.tflite')];
    await writeModelFile(floatModel(), float);
    await writeModelFile(int8Model(), int8);
    const fed: number[] = [];
    const start = () => {
      const runner = startRunner();
      const open: typeof runner.open = async (path, options) => {
        const session = await runner.open(path, options);
        const run: typeof session.run = (feeds) => {
          const [input] = Object.values(feeds);
          if (path === float && input !== undefined) fed.push(...new Float32Array(input.data.slice().buffer));
          return session.run(feeds);
        };
        return { ...session, run };
      };
      return { ...runner, open };
    };
    await evaluate(start, { model: int8, reference: float, samples: 200 });
    // Standard normal numbers, not int8's whole range times the scale, which would deviate by 37.
    const deviation = Math.sqrt(fed.reduce((sum, value) => sum + value * value, 0) / fed.length);
    expect(fed).toHaveLength(600);
    expect(Math.abs(deviation - 1)).toBeLessThan(0.15);
  });

  it('refuse what cannot be evaluated', async () => {
    const unlabelled = join(samples, 'digits-calibration.npz');
    await expect(evaluate(startRunner, { model: digits, data: unlabelled })).rejects.toMatchObject({
      reason: 'bad-dataset',
      file: unlabelled,
    });
    const wrong = join(folder, 'wrong.npz');
    const images = npy('<f4', [1, 1, 8, 8], new Float32Array(64));
    writeFileSync(wrong, npz({ image: images, label: npy('|u1', [1], Uint8Array.of(10)) }));
    await expect(evaluate(startRunner, { model: digits, data: wrong })).rejects.toMatchObject({
      reason: 'bad-dataset',
      message: 'label 10, but the model knows 10 classes',
    });
  });

  it('stop when nobody waits any more', async () => {
    const abort = new AbortController();
    const onProgress = () => abort.abort();
    const running = evaluate(startRunner, { model: digits, data: test, signal: abort.signal, onProgress });
    await expect(running).rejects.toMatchObject({ reason: 'cancelled' });
    const late = evaluate(startRunner, { model: digits, data: test, signal: abort.signal });
    await expect(late).rejects.toMatchObject({ reason: 'cancelled' });
  });
});

describe.runIf(hasShared)('published accuracies', () => {
  const accuracies: readonly (readonly [string, string, number])[] = [
    ['own/cifar_resnet.onnx', 'cifar10-test-2000.onnx.json', 0.7863],
    ['own/cifar_mobilenet.onnx', 'cifar10-test-2000.onnx.json', 0.7971],
    ['own/cifar_vit.onnx', 'cifar10-test-2000.onnx.json', 0.6983],
  ];

  it.each(accuracies)('%s', async (model, data, published) => {
    const report = await evaluate(startRunner, {
      model: join(shared, 'models', model),
      data: join(shared, 'data', data),
      samples: 1000,
    });
    // Two standard deviations of 1,000 draws; what is published are 10,000 images.
    expect(Math.abs((report.top1 as number) - published)).toBeLessThan(0.026);
  });

  it('the MLPerf Tiny network in integers agrees with its float version', async () => {
    const report = await evaluate(startRunner, {
      model: join(shared, 'models/tflite/pretrainedResnet_quant.tflite'),
      reference: join(shared, 'models/tflite/pretrainedResnet.tflite'),
      data: join(shared, 'data/cifar10-test-2000.mlperf.json'),
      samples: 500,
    });
    expect(report.reference?.agreement).toBeGreaterThan(0.9);
    expect(report.top1).toBeGreaterThan(0.7);
  });
});
