import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { Model } from '../../../src/ir/model.ts';
import { readFloats } from '../../../src/ir/numbers.ts';
import { multiplyLayerOf } from '../../../src/passes/support/denseLayer.ts';
import { hasShared, samples, shared } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { top1 } from './accuracy.ts';
import { OnnxBuilder, runPass } from './build.ts';
import { calibratorFor } from './calibrate.ts';

beforeAll(useSourceRunner);

const onnx = path.join(samples, 'digits.onnx');
const tflite = path.join(samples, 'digits.tflite');
const calibration = path.join(samples, 'digits-calibration.npz');
const test = path.join(samples, 'digits-test.npz');

function network() {
  const g = new OnnxBuilder(7);
  g.input('x', [1, 3, 8, 8]);
  const conv = (from: string, to: string, dims: readonly number[]) =>
    g.node('Conv', [from, g.floats(`${to}.w`, dims)], to, { pads: [1, 1, 1, 1] });
  conv('x', 'a', [8, 3, 3, 3]);
  g.node('Relu', [g.norm('a', 8, 'an')], 'ar');
  conv('ar', 'b', [8, 8, 3, 3]);
  g.node('Relu', [g.norm('b', 8, 'bn')], 'br');
  g.node('Add', ['ar', 'br'], 'sum');
  g.norm('sum', 8, 'y');
  return g.output('y').model();
}

/** Whether every norm stands on what its input has over the data. */
async function expectOwnStatistics(model: Model, calibrator: ReturnType<typeof calibratorFor>) {
  const norms = model.graphs[0].nodes.filter(({ op }) => op === 'BatchNormalization');
  const seen = await calibrator.channels(
    model,
    norms.map(({ inputs: [value] }) => ({ value: value as string, axis: 1 })),
  );
  expect(norms.length).toBeGreaterThan(1);
  for (const { inputs } of norms) {
    const moments = seen.get(inputs[0] as string);
    const [mean, variance] = [inputs[3], inputs[4]].map((id) =>
      readFloats(model.graphs[0].values.get(id as string)?.constant as never),
    );
    moments?.mean.forEach((value, c) => expect(mean?.[c]).toBeCloseTo(value, 4));
    moments?.variance.forEach((value, c) => expect((variance?.[c] as number) / value).toBeCloseTo(1, 3));
  }
}

describe('norm-statistics', () => {
  it('gives every norm the statistics of what it reads after the ones before it have changed', async () => {
    const model = network();
    const calibrator = calibratorFor(model, undefined, 24);
    const { model: after, changed } = await runPass('norm-statistics', model, { calibrator });
    expect(changed).toHaveLength(3);
    await expectOwnStatistics(after, calibrator);
  });

  it('changes only the layers that were chosen', async () => {
    const model = network();
    const [, second] = model.graphs[0].nodes.filter(({ op }) => op === 'BatchNormalization');
    const calibrator = calibratorFor(model, undefined, 8);
    const layers = [second?.id as string];
    const { changed } = await runPass('norm-statistics', model, { calibrator, layers });
    expect(changed).toEqual(layers);
  });

  it('is the identity where there is nothing to estimate', async () => {
    const { model } = readModelFile(tflite);
    const calibrator = calibratorFor(model, calibration, 8);
    await expect(runPass('norm-statistics', model, { calibrator })).resolves.toMatchObject({ model });
  });
});

/** The model with the smallest half of the weights of every layer gone. */
async function damaged(file: string): Promise<{ model: Model; bare: Model }> {
  const { model } = readModelFile(file);
  const { model: bare } = await runPass('prune-magnitude', model, { options: { sparsity: 0.6 } });
  return { model, bare };
}

describe('means and variances without batch normalization', () => {
  it.each([onnx, tflite])('%s: layers have the statistics of the original again', async (file) => {
    const { model } = readModelFile(file);
    const calibrator = calibratorFor(model, calibration, 32);
    const options = { sparsity: 0.6, update: 'statistics' };
    const { model: after } = await runPass('prune-magnitude', model, { options, calibrator });
    const ids = model.graphs[0].nodes.flatMap((node) =>
      multiplyLayerOf(model, node) && multiplyLayerOf(after, node) ? [node.id] : [],
    );
    // Read in front of activations, which both dialects allow by the moments of the inputs.
    const [was, is] = [await deviations(model, ids, calibrator), await deviations(after, ids, calibrator)];
    expect(was.length).toBeGreaterThan(20);
    // The two are observed on different grids of positions.
    was.forEach((value, i) => expect(Math.abs((is[i] as number) / value - 1)).toBeLessThan(0.02));
  });

  it.each([onnx, tflite])('%s: gives back accuracy that plain pruning lost', async (file) => {
    const { model, bare } = await damaged(file);
    const calibrator = calibratorFor(model, calibration, 48);
    const options = { sparsity: 0.6, update: 'statistics' };
    const { model: after } = await runPass('prune-magnitude', model, { options, calibrator });
    const [worse, better] = [await top1(bare, test), await top1(after, test)];
    console.log(`${path.basename(file)}: 60 % by magnitude ${worse} %, with statistics ${better} %`);
    expect(better).toBeGreaterThan(worse);
  });

  it('leaves palettes as they are', async () => {
    const { model } = readModelFile(tflite);
    const calibrator = calibratorFor(model, calibration, 32);
    const { model: after, notes } = await runPass('cluster', model, { options: { bits: 3 }, calibrator });
    expect(notes.join(' ')).toContain('means of');
    for (const node of after.graphs[0].nodes) {
      const layer = multiplyLayerOf(after, node);
      if (layer !== undefined) expect(new Set(readFloats(layer.weight)).size).toBeLessThanOrEqual(8);
    }
  });
});

async function deviations(
  model: Model,
  ids: readonly string[],
  calibrator: ReturnType<typeof calibratorFor>,
): Promise<number[]> {
  const seen = await calibrator.moments(model, ids);
  return ids.flatMap((id) => {
    const node = model.graphs[0].nodes.find((one) => one.id === id);
    const layer = node && multiplyLayerOf(model, node);
    const moments = seen.get(id);
    if (layer === undefined || moments === undefined || layer.groups > 1) return [];
    const floats = readFloats(layer.weight);
    const d = layer.inputs;
    return Array.from({ length: layer.outputs }, (_, o) => {
      const at = (i: number) =>
        (layer.outputsFirst ? floats[o * d + i] : floats[i * layer.outputs + o]) as number;
      let mean = 0;
      let power = 0;
      for (let i = 0; i < d; i += 1) {
        mean += at(i) * (moments.mean[i] as number);
        for (let j = 0; j < d; j += 1) power += at(i) * at(j) * (moments.gram[i * d + j] as number);
      }
      return Math.sqrt(power - mean * mean);
    });
  });
}

describe.runIf(hasShared)('cifar_resnet', () => {
  const data = (name: string) => path.join(shared, `data/${name}.onnx.json`);

  it('norm-statistics gives back most of what pruning by magnitude took', async () => {
    const { model } = readModelFile(path.join(shared, 'models/own/cifar_resnet.onnx'));
    const { model: bare } = await runPass('prune-magnitude', model, { options: { sparsity: 0.5 } });
    const calibrator = calibratorFor(model, data('cifar10-calib-512'), 96);
    const { model: after } = await runPass('norm-statistics', bare, { calibrator });
    const judge = data('cifar10-test-2000');
    const [worse, better] = [await top1(bare, judge), await top1(after, judge)];
    console.log(`cifar_resnet: half by magnitude ${worse} %, with statistics estimated again ${better} %`);
    expect(better).toBeGreaterThan(worse + 1);
  });
});
