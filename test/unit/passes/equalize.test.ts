import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { Model, OnnxModel } from '../../../src/ir/model.ts';
import { readFloats } from '../../../src/ir/numbers.ts';
import { centredMoments, chooseCentres } from '../../../src/passes/equalize/centre.ts';
import { findChannels } from '../../../src/passes/equalize/channels.ts';
import { equalized } from '../../../src/passes/equalize/equalize.ts';
import { importanceOf } from '../../../src/passes/equalize/importance.ts';
import { withDivisors } from '../../../src/passes/equalize/rewrite.ts';
import { evaluate } from '../../../src/runtime/measure/evaluate.ts';
import { startRunner } from '../../../src/runtime/process/launch.ts';
import { samples } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { OnnxBuilder } from './build.ts';
import { calibratorFor, temporaryFile } from './calibrate.ts';
import { onnxFeeds, random, relativeError, runOnnx } from './runtime.ts';

beforeAll(useSourceRunner);

const everything = () => true;

/** Layers, a residual sum, a depthwise convolution, pooling and a dense head, with channels of very different sizes. */
function uneven(activation: 'Relu' | 'Clip'): OnnxModel {
  const g = new OnnxBuilder(3);
  g.input('x', ['N', 4, 8, 8]);
  const sizes = (i: number) => 4 ** ((i % 4) - 2);
  const conv = (from: string, to: string, channels: readonly [number, number], kernel: number, group = 1) => {
    const [inputs, outputs] = channels;
    const perFilter = (inputs / group) * kernel * kernel;
    const weight = g.floats(`${to}.w`, [outputs, inputs / group, kernel, kernel], (i) => {
      return g.number() * sizes(Math.floor(i / perFilter));
    });
    const pads = Array.from({ length: 4 }, () => (kernel - 1) / 2);
    const bias = g.floats(`${to}.b`, [outputs], (i) => g.number() * sizes(i));
    return g.node('Conv', [from, weight, bias], to, { group, pads });
  };
  const rectified = (from: string, to: string) =>
    activation === 'Relu'
      ? g.node('Relu', [from], to)
      : g.node('Clip', [from, g.floats(`${to}.low`, [], () => 0), g.floats(`${to}.high`, [], () => 6)], to);
  rectified(conv('x', 'a', [4, 8], 3), 'ar');
  rectified(conv('ar', 'b', [8, 8], 3, 8), 'br');
  conv('br', 'c', [8, 8], 1);
  conv('c', 'd', [8, 16], 1);
  rectified('d', 'dr');
  conv('dr', 'e', [16, 8], 1);
  g.node('Add', ['c', 'e'], 's');
  rectified(conv('s', 'f', [8, 8], 1), 'fr');
  g.node('MaxPool', ['fr'], 'p', { kernel_shape: [2, 2], strides: [2, 2] });
  g.node('GlobalAveragePool', ['p'], 'm');
  g.node('Flatten', ['m'], 'v', { axis: 1 });
  g.node('Gemm', ['v', g.floats('h.w', [5, 8]), g.floats('h.b', [5])], 'y', { transB: 1 });
  return g.output('y').model();
}

const form = (model: Model) => ({
  values: new Set(findChannels(model, everything).sites.all.keys()),
  perChannel: () => true,
  levels: 255,
  top: 127,
  roundingNoise: 0.5,
});

describe('equalization', () => {
  it.each(['Relu', 'Clip'] as const)(
    'of channels behind %s leaves the function as it is',
    async (activation) => {
      const model = uneven(activation);
      const calibrator = calibratorFor(model, undefined, 64);
      const { model: after, room } = await equalized(model, form(model), everything, calibrator);
      expect(after).not.toBe(model);
      expect(room.size).toBeGreaterThan(4);
      // New inputs may reach a bound that the calibration did not, so those are the judges for Relu alone.
      for (const seed of activation === 'Relu' ? [5, 11, 12] : [5]) {
        const feeds = onnxFeeds(model, seed, 3);
        const error = relativeError(await runOnnx(model, feeds), await runOnnx(after, feeds));
        expect(error).toBeLessThan(activation === 'Relu' ? 1e-4 : 0.05);
      }
    },
  );

  it('cuts nothing off at a Clip whose result stays in float', async () => {
    const g = new OnnxBuilder(6);
    g.input('x', ['N', 4, 8, 8]);
    g.node('Conv', ['x', g.floats('w', [8, 4, 1, 1]), g.floats('b', [8], (i) => 4 - i)], 'a');
    g.node('Clip', ['a', g.floats('low', [], () => 0), g.floats('high', [], () => 6)], 'c');
    g.node('GlobalAveragePool', ['c'], 'm');
    g.node('Flatten', ['m'], 'v', { axis: 1 });
    g.node('Gemm', ['v', g.floats('h', [5, 8])], 'y', { transB: 1 });
    const model = g.output('y').model();
    const calibrator = calibratorFor(model, undefined, 64);
    const some = { ...form(model), values: new Set(['x', 'm', 'v']) };
    const { model: after } = await equalized(model, some, everything, calibrator);
    expect(after).not.toBe(model);
    const feeds = onnxFeeds(model, 5, 8);
    expect(relativeError(await runOnnx(model, feeds), await runOnnx(after, feeds))).toBeLessThan(0.01);
  });

  it('holds for any divisors that respect the trees, on random ones', async () => {
    const model = uneven('Relu');
    const channels = findChannels(model, everything);
    const { sites } = channels;
    const next = random(8);
    const roots = Float64Array.from({ length: sites.slots }, () => 2 ** (6 * next() - 3));
    const divisors = roots.map((_, slot) =>
      sites.isFrozen(slot) ? 1 : (roots[sites.rootOf(slot)] as number),
    );
    expect(divisors.some((by) => by !== 1)).toBe(true);
    const after = withDivisors(model, channels, divisors);
    const feeds = onnxFeeds(model, 4, 2);
    expect(relativeError(await runOnnx(model, feeds), await runOnnx(after, feeds))).toBeLessThan(1e-4);
  });

  it('brings the channels of an activation to one size', async () => {
    const model = uneven('Relu');
    const calibrator = calibratorFor(model, undefined, 64);
    const { model: after } = await equalized(model, form(model), everything, calibrator);
    const spread = async (of: Model) => {
      const { max } = (await calibrator.channels(of, [{ value: 'ar', axis: 1 }])).get('ar') as {
        max: Float64Array;
      };
      return Math.max(...max) / Math.min(...max);
    };
    expect(await spread(after)).toBeLessThan((await spread(model)) / 2);
  });

  it('stops at what cannot absorb a factor', () => {
    const g = new OnnxBuilder(3);
    g.input('x', ['N', 4, 8, 8]);
    g.node('Conv', ['x', g.floats('w', [4, 4, 1, 1]), g.floats('b', [4])], 'a');
    g.node('Sigmoid', ['a'], 's');
    g.node('Conv', ['s', g.floats('v', [4, 4, 1, 1])], 'c');
    g.node('Relu', ['c'], 'r');
    const model = g.output('r').model();
    const { sites } = findChannels(model, everything);
    for (const site of sites.all.values()) expect(sites.isFrozen(site.first), site.value).toBe(true);
  });

  it('keeps layers that were not chosen', () => {
    const model = uneven('Relu');
    const { sites, layers } = findChannels(model, (node) => node.id !== 'Conv:b');
    expect(layers.map((layer) => layer.node.id)).not.toContain('Conv:b');
    for (const value of ['ar', 'b']) {
      const site = sites.all.get(value);
      expect(site === undefined || sites.isFrozen(site.first), value).toBe(true);
    }
  });

  it('of a TFLite model leaves its outputs as they are', async () => {
    const { model } = readModelFile(path.join(samples, 'digits.tflite'));
    const calibrator = calibratorFor(model, path.join(samples, 'digits-calibration.npz'));
    const { model: after } = await equalized(model, form(model), everything, calibrator);
    expect(after).not.toBe(model);
    const report = await evaluate(startRunner, {
      model: await temporaryFile(after),
      reference: await temporaryFile(model),
      data: path.join(samples, 'digits-test.npz'),
      samples: 50,
    });
    expect(report.reference?.sqnrDb ?? Number.POSITIVE_INFINITY).toBeGreaterThan(90);
  });
});

describe('centring', () => {
  it('puts the linear values of a bottleneck around zero and changes nothing else', async () => {
    const model = uneven('Relu');
    const calibrator = calibratorFor(model, undefined, 64);
    const channels = findChannels(model, everything);
    const wanted = [...channels.sites.all.values()];
    const seen = await calibrator.channels(model, wanted);
    const centres = chooseCentres(model, channels, seen);
    // `f` and what the rectifiers make stay; `c`, `e` and their sum meet 1 x 1 convolutions only.
    expect([...centres.keys()].sort()).toEqual(['c', 'e', 's']);
    const moments = seen.get('s');
    const centre = centres.get('s');
    if (moments === undefined || centre === undefined) throw new Error('the sum was not observed');
    const reach = (of: typeof moments) => Math.max(...of.max, ...of.min.map((low) => -low));
    expect(reach(centredMoments(moments, centre))).toBeLessThanOrEqual(reach(moments) + 1e-9);
  });
});

describe('importance', () => {
  it('is the squared gain of linear layers', () => {
    const g = new OnnxBuilder(3);
    g.input('x', ['N', 3]);
    g.node('Gemm', ['x', g.floats('w', [3, 4]), g.floats('b', [4])], 'a');
    g.node('Gemm', ['a', g.floats('v', [4, 2]), g.floats('c', [2])], 'y');
    const model = g.output('y').model();
    const found = importanceOf(model, findChannels(model, everything)).get('a');
    const stored = model.graphs[0].values.get('v')?.constant;
    if (stored === undefined) throw new Error('no weight');
    const v = readFloats(stored);
    for (let i = 0; i < 4; i += 1) {
      const expected = (v[2 * i] as number) ** 2 + (v[2 * i + 1] as number) ** 2;
      expect(found?.[i]).toBeCloseTo(expected, 10);
    }
  });
});
