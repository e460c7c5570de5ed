import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { analyse } from '../../../src/analysis/analyse.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import { GraphEditor } from '../../../src/ir/edit.ts';
import type { Model, OnnxModel } from '../../../src/ir/model.ts';
import { withMainGraph } from '../../../src/ir/model.ts';
import { splitLayer } from '../../../src/passes/lowRank/rewrite.ts';
import type { Factors, Spectrum } from '../../../src/passes/lowRank/spectrum.ts';
import { factorsOf, lossOf, spectrumOf } from '../../../src/passes/lowRank/spectrum.ts';
import type { InputMoments } from '../../../src/passes/pass.ts';
import type { DenseLayer } from '../../../src/passes/support/denseLayer.ts';
import { biasOf, denseLayerOf } from '../../../src/passes/support/denseLayer.ts';
import { hasShared, modelFiles, samples, shared } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { startRunner } from '../../../src/runtime/process/launch.ts';
import { randomDataset } from '../../../src/runtime/data/random.ts';
import { top1 } from './accuracy.ts';
import { OnnxBuilder, operatorsOf, runPass } from './build.ts';
import { calibratorFor, temporaryFile } from './calibrate.ts';
import type { Outputs } from './runtime.ts';
import { floatsOf, onnxFeeds, relativeError, runOnnx, sqnrDb } from './runtime.ts';
import { runTflite } from './tflite.ts';

beforeAll(useSourceRunner);

const layersOf = (model: Model): DenseLayer[] =>
  model.graphs[0].nodes.flatMap((node) => denseLayerOf(model, node) ?? []);

async function spectraOf(model: Model, count?: number): Promise<Spectrum[]> {
  const layers = layersOf(model);
  const ids = layers.map((layer) => layer.node.id);
  const moments = await calibratorFor(model, undefined, count).moments(model, ids);
  return layers.map((layer) => spectrumOf(layer, moments.get(layer.node.id) as InputMoments));
}

function split<M extends Model>(
  model: M,
  spectra: readonly Spectrum[],
  factors: (of: Spectrum) => Factors,
): M {
  const editor = new GraphEditor(model.graphs[0], model);
  for (const spectrum of spectra) {
    const bias = biasOf(model.graphs[0], spectrum.layer) as Float64Array;
    splitLayer(model, editor, spectrum.layer, factors(spectrum), bias);
  }
  return withMainGraph(model, editor.finish()) as M;
}

/** Outputs for the samples that the calibrator of these tests sees. */
async function calibrationOutputs(model: Model, count: number): Promise<Outputs> {
  const runner = startRunner();
  const session = await runner.open(await temporaryFile(model), { optimization: 'basic' });
  const data = randomDataset(session.info.inputs, { seed: 5, count });
  const outputs: Record<string, Float32Array> = {};
  for (let i = 0; i < count; i += 1)
    for (const [name, tensor] of Object.entries(await session.run(data.feeds(i, 1))))
      outputs[`${i}/${name}`] = floatsOf(tensor);
  runner.kill();
  return outputs;
}

/** Best factors for the weight alone, whatever it meets: the output PCA of white, centred inputs. */
function plainSvd({ layer }: Spectrum, rank: number): Factors {
  const size = layer.inputs;
  const gram = new Float64Array(size * size);
  for (let i = 0; i < size; i += 1) gram[i * size + i] = 1;
  return factorsOf(spectrumOf(layer, { mean: new Float64Array(size), gram }), rank);
}

describe('factors of full rank give the same outputs', () => {
  const files = [
    ...['digits.onnx', 'digits.tflite'].map((name) => path.join(samples, name)),
    ...modelFiles('.onnx').filter((file) => /cifar_(resnet|vit)_folded/.test(file)),
    ...modelFiles('.tflite').filter((file) => /ad01_fp32|vww_96_float/.test(file)),
  ].map((file) => [path.basename(file), file] as const);
  it.each(files)('%s', async (_, file) => {
    const { model } = readModelFile(file);
    const prepared = (await runPass('simplify', model)).model;
    const spectra = await spectraOf(prepared, 2);
    expect(spectra.length).toBeGreaterThan(3);
    const after = split(prepared, spectra, (spectrum) => factorsOf(spectrum, spectrum.layer.outputs));
    expect(after.graphs[0].nodes.length).toBeGreaterThanOrEqual(
      prepared.graphs[0].nodes.length + spectra.length,
    );
    const [before, result] =
      model.dialect === 'onnx'
        ? [await runOnnx(model, onnxFeeds(model, 3)), await runOnnx(after as OnnxModel, onnxFeeds(model, 3))]
        : [await runTflite(model), await runTflite(after)];
    expect(relativeError(before, result)).toBeLessThan(1e-4);
  });

  it.each([9, 13])('every spelling of a layer, opset %i', async (opset) => {
    const g = new OnnxBuilder(6);
    g.input('x', ['N', 4, 5]);
    g.node('Conv', ['x', g.floats('w', [9, 4, 3])], 'c', { pads: [1, 1], strides: [1] });
    g.node('MatMul', ['c', g.floats('m', [5, 6])], 's');
    g.node('Add', [g.floats('sb', [6]), 's'], 'sum');
    g.node('MatMul', ['sum', g.floats('n', [6, 6])], 't');
    g.node('Flatten', ['t'], 'f');
    g.node('Gemm', ['f', g.floats('a', [54, 8]), g.floats('ab', [1])], 'p', { alpha: 0.5, beta: 2 });
    g.node('Gemm', ['p', g.floats('q', [12, 8]), g.floats('qb', [1, 12])], 'y', { transB: 1, beta: 0.5 });
    const model = g.output('y').model(opset);
    const spectra = await spectraOf(model);
    expect(spectra.length).toBe(5);
    const after = split(model, spectra, (spectrum) => factorsOf(spectrum, spectrum.layer.outputs));
    const error = relativeError(await calibrationOutputs(model, 3), await calibrationOutputs(after, 3));
    expect(error).toBeLessThan(1e-4);
  });
});

/** One random layer whose inputs are correlated and far from zero mean. */
function randomLayer(seed: number): OnnxModel {
  const g = new OnnxBuilder(seed);
  const channels = 2 + g.choose(6);
  const outputs = 4 + g.choose(12);
  g.input('x', ['N', 3, 6, 6]);
  g.node('Conv', ['x', g.floats('w0', [channels, 3, 1, 1]), g.floats('b0', [channels])], 'c0');
  g.node('Relu', ['c0'], 'r');
  if (g.choose(2) === 0) {
    const pads = g.choose(2) === 0 ? [0, 0, 0, 0] : [1, 1, 1, 1];
    const strides = [1 + g.choose(2), 1];
    g.node('Conv', ['r', g.floats('w', [outputs, channels, 3, 3]), g.floats('b', [outputs])], 'y', {
      pads,
      strides,
    });
  } else {
    g.node('Transpose', ['r'], 't', { perm: [0, 2, 3, 1] });
    if (g.choose(2) === 0) g.node('MatMul', ['t', g.floats('w', [channels, outputs])], 'y');
    else {
      g.node('Reshape', ['t', g.integers('flat', [-1, channels])], 'f');
      g.node('Gemm', ['f', g.floats('w', [outputs, channels]), g.floats('b', [outputs])], 'y', { transB: 1 });
    }
  }
  return g.output('y').model();
}

describe('low-rank on random layers', () => {
  it.each(Array.from({ length: 12 }, (_, seed) => seed))(
    'is never worse than the plain SVD of the weight, and loses what it says, seed %i',
    async (seed) => {
      const model = randomLayer(seed);
      const count = 6;
      const spectrum = (await spectraOf(model, count)).find(
        ({ layer }) => layer.node.outputs[0] === 'y',
      ) as Spectrum;
      const most = Math.min(spectrum.layer.outputs, spectrum.layer.inputs);
      const before = await calibrationOutputs(model, count);
      const errorOf = async (factors: Factors) => {
        const after = await calibrationOutputs(
          split(model, [spectrum], () => factors),
          count,
        );
        let error = 0;
        for (const [name, values] of Object.entries(before))
          for (const [i, value] of values.entries()) error += (value - (after[name]?.[i] as number)) ** 2;
        return error;
      };
      const points = Object.values(before).reduce((sum, all) => sum + all.length, 0) / spectrum.layer.outputs;
      const total = spectrum.variances.reduce((sum, value) => sum + value, 0) * points;
      for (const rank of new Set([1, Math.ceil(most / 2), most - 1])) {
        const own = await errorOf(factorsOf(spectrum, rank));
        expect(own).toBeLessThanOrEqual((await errorOf(plainSvd(spectrum, rank))) + 1e-6 * total);
        expect(Math.abs(own - lossOf(spectrum, rank) * total)).toBeLessThan(1e-4 * total);
      }
    },
  );
});

describe('low-rank', () => {
  /** A convolution whose weights have rank 4 only, and a dense layer of full rank. */
  const deficient = () => {
    const g = new OnnxBuilder(12);
    const [o, c, r] = [24, 16, 4];
    const left = Array.from({ length: o * r }, () => g.number());
    const right = Array.from({ length: r * c * 9 }, () => g.number());
    g.input('x', ['N', c, 6, 6]);
    const weight = g.floats('w', [o, c, 3, 3], (i) => {
      const [row, column] = [Math.floor(i / (c * 9)), i % (c * 9)];
      let sum = 0;
      for (let k = 0; k < r; k += 1)
        sum += (left[row * r + k] as number) * (right[k * c * 9 + column] as number);
      return sum;
    });
    g.node('Conv', ['x', weight, g.floats('b', [o])], 'a', { pads: [1, 1, 1, 1] });
    g.node('Relu', ['a'], 'y');
    return g.output('y').model();
  };

  it('finds the rank of a weight and changes nothing else', async () => {
    const model = deficient();
    const options = { energy: 0.999999 };
    const {
      model: after,
      changed,
      notes,
    } = await runPass('low-rank', model, { options, calibrator: calibratorFor(model) });
    expect(operatorsOf(after)).toBe('Conv:2 Relu:1');
    expect(after.graphs[0].values.get('w_down')?.constant?.dims).toEqual([4, 16, 3, 3]);
    expect(after.graphs[0].values.get('w_up')?.constant?.dims).toEqual([24, 4, 1, 1]);
    expect(changed).toContain('Conv:a');
    expect(notes[0]).toMatch(/1 layers factorized on 32 samples of seeded random inputs/);
    const feeds = onnxFeeds(model, 3, 2);
    expect(relativeError(await runOnnx(model, feeds), await runOnnx(after, feeds))).toBeLessThan(1e-4);
  });

  it.each([{ energy: 1 }, { macs: 1 }])('changes nothing with %j', async (options) => {
    const model = deficient();
    const result = await runPass('low-rank', model, { options, calibrator: calibratorFor(model) });
    expect(result.model).toBe(model);
  });

  it('refuses where no rank pays, and says so', async () => {
    const g = new OnnxBuilder(12);
    g.input('x', ['N', 16]);
    g.node('MatMul', ['x', g.floats('w', [16, 16])], 'y');
    const model = g.output('y').model();
    const result = await runPass('low-rank', model, { calibrator: calibratorFor(model) });
    expect(result.model).toBe(model);
    expect(result.notes).toEqual(['1 layers stay whole: no rank that pays keeps enough']);
  });

  it('needs calibration data', async () => {
    await expect(runPass('low-rank', deficient())).rejects.toMatchObject({ reason: 'bad-dataset' });
  });

  it.each(['digits.onnx', 'digits.tflite'])('meets a budget of MACs on %s', async (name) => {
    const { model } = readModelFile(path.join(samples, name));
    const calibrator = calibratorFor(model, path.join(samples, 'digits-calibration.npz'));
    const before = analyse(model).totals.macs as number;
    for (const macs of [0.8, 0.6]) {
      const { model: after } = await runPass('low-rank', model, { options: { macs }, calibrator });
      const left = (analyse(after).totals.macs as number) / before;
      expect(left).toBeLessThanOrEqual(macs);
      expect(left).toBeGreaterThan(macs - 0.1);
    }
    const none = await runPass('low-rank', model, { options: { macs: 0.01 }, calibrator });
    expect(none.notes.join()).toContain('the smallest ranks do not reach 1 %');
  });

  it('makes up for lost ranks when layers are refitted', async () => {
    const { model } = readModelFile(path.join(samples, 'digits.onnx'));
    const calibrator = calibratorFor(model, path.join(samples, 'digits-calibration.npz'));
    const hits: number[] = [];
    for (const refit of [false, true]) {
      const options = { macs: 0.3, refit };
      const { model: after } = await runPass('low-rank', model, { options, calibrator });
      hits.push(await top1(after, path.join(samples, 'digits-test.npz')));
    }
    console.info(`low-rank of digits at 30 % of the MACs, without and with refit: ${hits}`);
    expect(hits[1]).toBeGreaterThanOrEqual(hits[0] as number);
  });

  it('stays inside the chosen layers', async () => {
    const { model } = readModelFile(path.join(samples, 'digits.onnx'));
    const [first, second] = layersOf((await runPass('fuse', model)).model).slice(1);
    const layers = [(second ?? first)?.node.id ?? ''];
    const calibrator = calibratorFor(model);
    const { model: after } = await runPass('low-rank', model, {
      layers,
      options: { energy: 0.5 },
      calibrator,
    });
    const added = after.graphs[0].nodes.filter((node) => node.id.endsWith('/low'));
    expect(added.map((node) => node.id)).toEqual([`${layers[0]}/low`]);
  });
});

/** Most points lost with three quarters of the MACs. */
const subjects = hasShared
  ? ([
      ['own/cifar_resnet.onnx', 1.6],
      ['own/cifar_vit.onnx', 1],
    ] as const)
  : [];
const shareOf = (after: Model, model: Model) =>
  (100 * (analyse(after).totals.macs as number)) / (analyse(model).totals.macs as number);

describe('low-rank measured', () => {
  it.each(subjects)(
    '%s',
    async (name, most) => {
      const { model } = readModelFile(path.join(shared, 'models', name));
      const data = path.join(shared, 'data/cifar10-test-2000.onnx.json');
      const calibrator = calibratorFor(model, path.join(shared, 'data/cifar10-calib-512.onnx.json'));
      const reference = await top1(model, data);
      const { model: after } = await runPass('low-rank', model, { options: { macs: 0.75 }, calibrator });
      const hits = await top1(after, data);
      const share = shareOf(after, model);
      console.info(
        `low-rank macs=0.75 ${name}: ${hits.toFixed(2)} of ${reference.toFixed(2)} %, ${share.toFixed(1)} % of the MACs`,
      );
      expect(reference - hits).toBeLessThan(most);
      expect(share).toBeLessThan(75.01);
    },
    300_000,
  );

  it.runIf(hasShared)(
    'ad01_fp32.tflite',
    async () => {
      const { model } = readModelFile(path.join(shared, 'models/tflite/ad01_fp32.tflite'));
      const before = await runTflite(model);
      for (const options of [{}, { macs: 0.75 }]) {
        const { model: after } = await runPass('low-rank', model, {
          options,
          calibrator: calibratorFor(model),
        });
        const noise = sqnrDb(before, await runTflite(after));
        const share = shareOf(after, model);
        console.info(
          `low-rank ${JSON.stringify(options)} ad01_fp32.tflite: ${noise.toFixed(1)} dB, ${share.toFixed(1)} % of the MACs`,
        );
        expect(noise).toBeGreaterThan(50);
        expect(share).toBeLessThan(75.01);
      }
    },
    100_000,
  );
});
