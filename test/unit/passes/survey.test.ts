import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { Model } from '../../../src/ir/model.ts';
import type { Dim } from '../../../src/ir/types.ts';
import type { Calibrator } from '../../../src/passes/pass.ts';
import { findChannels } from '../../../src/passes/equalize/channels.ts';
import { equalizedFor } from '../../../src/passes/quantizeStatic/equalizedFor.ts';
import { multiplyLayerOf } from '../../../src/passes/support/denseLayer.ts';
import { samples } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { OnnxBuilder } from './build.ts';
import { calibratorFor } from './calibrate.ts';

beforeAll(useSourceRunner);

const everything = () => true;

/** Padded and depthwise convolutions, a linear bottleneck, a residual sum, a dense head; channels of uneven size. */
function uneven(batch: Dim = 'N'): Model {
  const g = new OnnxBuilder(5);
  g.input('x', [batch, 3, 8, 8]);
  const conv = (
    from: string,
    to: string,
    [inputs, outputs]: readonly [number, number],
    kernel: number,
    group = 1,
  ) => {
    const perFilter = (inputs / group) * kernel * kernel;
    const size = (i: number) => 3 ** (Math.floor(i / perFilter) % 4);
    const weight = g.floats(
      `${to}.w`,
      [outputs, inputs / group, kernel, kernel],
      (i) => g.number() * size(i),
    );
    const bias = g.floats(`${to}.b`, [outputs]);
    const pads = Array.from({ length: 4 }, () => (kernel - 1) / 2);
    return g.node('Conv', [from, weight, bias], to, { group, pads });
  };
  const rectified = (from: string) => g.node('Relu', [from], `${from}r`);
  const wide = rectified(conv(rectified(conv('x', 'a', [3, 8], 3)), 'b', [8, 8], 3, 8));
  const thin = conv(wide, 'c', [8, 6], 1);
  const back = conv(rectified(conv(thin, 'd', [6, 12], 1)), 'e', [12, 6], 1);
  rectified(conv(g.node('Add', [thin, back], 's'), 'f', [6, 8], 1));
  g.node('GlobalAveragePool', ['fr'], 'm');
  g.node('Flatten', ['m'], 'v', { axis: 1 });
  g.node('Gemm', ['v', g.floats('h.w', [5, 8]), g.floats('h.b', [5])], 'y', { transB: 1 });
  return g.output('y').model();
}

const weighted = (model: Model) =>
  model.graphs[0].nodes.filter((node) => multiplyLayerOf(model, node)).map((node) => node.id);

/** The largest difference between numbers, over the largest number. */
function difference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const [left, right] = [Array.from(a), Array.from(b)];
  expect(left.length).toBe(right.length);
  const size = Math.max(...right.map(Math.abs), 1e-30);
  return Math.max(...left.map((value, i) => Math.abs(value - (right[i] as number)))) / size;
}

const cases: readonly (readonly [string, () => Model])[] = [
  ['a network with a bottleneck', () => uneven()],
  ['a network that takes one sample at a time', () => uneven(1)],
  ['digits.onnx', () => readModelFile(path.join(samples, 'digits.onnx')).model],
  ['digits.tflite', () => readModelFile(path.join(samples, 'digits.tflite')).model],
];

describe.each(cases)('a survey of %s', (_, make) => {
  // So few that the moments of every layer come from all positions of its map.
  const count = 8;
  const setUp = () => {
    const model = make();
    const calibrator = calibratorFor(model, undefined, count) as Required<Calibrator>;
    const sites = [...findChannels(model, everything).sites.all.values()];
    return { model, calibrator, sites, values: sites.map(({ value }) => value), ids: weighted(model) };
  };

  it('gives what ranges, channels and moments give each on its own', async () => {
    const { model, calibrator, sites, values, ids } = setUp();
    const plan = { ranges: values, channels: sites, moments: ids, few: count };
    const survey = await calibrator.survey(model, plan);
    for (const [id, range] of await calibrator.ranges(model, values)) {
      const { min, max } = survey.ranges.get(id) ?? { min: Number.NaN, max: Number.NaN };
      expect(difference([min, max], [range.min, range.max])).toBeLessThan(1e-5);
    }
    const channels = await calibrator.channels(model, sites);
    expect([...survey.channels.keys()].sort()).toEqual([...channels.keys()].sort());
    for (const [id, seen] of channels) {
      const own = survey.channels.get(id) ?? seen;
      expect(own.count).toBe(seen.count);
      for (const what of ['max', 'mean', 'variance'] as const)
        expect(difference(own[what], seen[what])).toBeLessThan(1e-4);
      // Behind a rectifier zero counts as seen.
      const least = own.min.every((low) => low === 0) ? seen.min.map((low) => Math.min(0, low)) : seen.min;
      expect(difference(own.min, least)).toBeLessThan(1e-4);
    }
    const moments = await calibrator.moments(model, ids);
    expect([...survey.moments.keys()].sort()).toEqual([...moments.keys()].sort());
    for (const [id, seen] of moments) {
      expect(survey.moments.get(id)?.count).toBe(seen.count);
      expect(difference(survey.moments.get(id)?.gram ?? [], seen.gram)).toBeLessThan(1e-5);
      expect(difference(survey.moments.get(id)?.mean ?? [], seen.mean)).toBeLessThan(1e-5);
    }
  });

  it('sees the extremes of all samples, and the moments of the first few', async () => {
    const { model, calibrator, sites, values, ids } = setUp();
    const few = count / 2;
    const survey = await calibrator.survey(model, { ranges: values, channels: sites, moments: ids, few });
    for (const [id, range] of await calibrator.ranges(model, values)) {
      const { min, max } = survey.ranges.get(id) ?? { min: Number.NaN, max: Number.NaN };
      expect(difference([min, max], [range.min, range.max])).toBeLessThan(1e-5);
    }
    for (const [id, { count: numbers, max }] of await calibrator.channels(model, sites)) {
      expect(survey.channels.get(id)?.count).toBe(numbers);
      expect(difference(survey.channels.get(id)?.max ?? [], max)).toBeLessThan(1e-4);
    }
    for (const [id, seen] of await calibrator.moments(model, ids, few)) {
      expect(survey.moments.get(id)?.count).toBe(seen.count);
      expect(difference(survey.moments.get(id)?.gram ?? [], seen.gram)).toBeLessThan(1e-5);
    }
  });

  it('foretells what an equalized model shows', async () => {
    const { model, calibrator, values, ids } = setUp();
    const { model: after, calibrator: told } = await equalizedFor(model, true, everything, calibrator, {
      values: new Set(values),
      roots: values,
      nodes: new Map(ids.map((id) => [id, true])),
      perChannel: () => true,
      bits: 8,
      activations: 'uint8',
      rounded: ids,
      few: count,
    });
    expect(after).not.toBe(model);
    const inner = values.filter((id) => !model.graphs[0].inputs.includes(id));
    const foretold = await told.ranges(after, inner);
    for (const [id, range] of await calibrator.ranges(after, inner)) {
      const { min, max } = foretold.get(id) ?? { min: Number.NaN, max: Number.NaN };
      expect(difference([min, max], [range.min, range.max]), id).toBeLessThan(1e-4);
    }
    const moments = await told.moments(after, ids, count);
    for (const [id, seen] of await calibrator.moments(after, ids)) {
      expect(difference(moments.get(id)?.gram ?? [], seen.gram), id).toBeLessThan(1e-4);
      expect(difference(moments.get(id)?.mean ?? [], seen.mean), id).toBeLessThan(1e-4);
    }
  });
});
