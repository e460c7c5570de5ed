import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { analyse } from '../../../src/analysis/analyse.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { OnnxModel } from '../../../src/ir/model.ts';
import { modelFiles } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { OnnxBuilder, runPass } from './build.ts';
import { onnxFeeds, random, relativeError, runOnnx } from './runtime.ts';
import { runTflite } from './tflite.ts';

beforeAll(useSourceRunner);

interface Setting {
  readonly pads?: boolean;
  /** Bias of the dead filters. */
  readonly bias: number;
  readonly depthwise?: boolean;
}

/** A convolution of eight filters, two of them dead, an activation, and a layer that reads it. */
function withDead({ pads = false, bias, depthwise = false }: Setting): OnnxModel {
  const g = new OnnxBuilder(3);
  const dead = (o: number) => o === 2 || o === 5;
  g.input('x', ['N', 3, 8, 8]);
  g.floats('a.w', [8, 3, 3, 3], (i) => (dead(Math.floor(i / 27)) ? 0 : g.number()));
  g.floats('a.b', [8], (o) => (dead(o) ? bias : g.number()));
  g.node('Conv', ['x', 'a.w', 'a.b'], 'a');
  g.node('Relu', ['a'], 'r');
  let last = 'r';
  if (depthwise)
    last = g.node('Conv', ['r', g.floats('d.w', [8, 1, 3, 3]), g.floats('d.b', [8], () => -1)], 'd', {
      group: 8,
      pads: [1, 1, 1, 1],
    });
  if (depthwise) last = g.node('Relu', [last], 's');
  const around = pads ? { pads: [1, 1, 1, 1] } : {};
  g.node('Conv', [last, g.floats('c.w', [4, 8, 3, 3]), g.floats('c.b', [4])], 'c', around);
  return g.output('c').model();
}

async function removed(model: OnnxModel) {
  const { model: after, notes, changed } = await runPass('remove-dead-channels', model);
  const feeds = onnxFeeds(model, 5, 2);
  const error = relativeError(await runOnnx(model, feeds), await runOnnx(after as OnnxModel, feeds));
  const filters = after.graphs[0].values.get('a.w')?.constant?.dims[0];
  return { after, notes, changed, error, filters };
}

describe('remove-dead-channels', () => {
  it.each<[string, Setting, number]>([
    ['that are zero behind the activation', { bias: -1, pads: true }, 6],
    ['that are constant, into the bias behind', { bias: 0.7 }, 6],
    ['through depthwise layers', { bias: -1, depthwise: true, pads: true }, 6],
    ['but none that a padded window meets only in part', { bias: 0.7, pads: true }, 8],
  ])('takes channels %s', async (_, setting, left) => {
    const model = withDead(setting);
    const { after, error, filters, notes } = await removed(model);
    expect(filters).toBe(left);
    expect(error).toBeLessThan(1e-5);
    if (left === 8) {
      expect(after).toBe(model);
      expect(notes).toEqual(['no channel is dead and free to go']);
    } else expect(notes).toEqual(['2 channels removed']);
  });

  it('takes channels that nobody reads, and leaves one of those that are all dead', async () => {
    const g = new OnnxBuilder(7);
    g.input('x', ['N', 5]);
    g.node('MatMul', ['x', g.floats('a.w', [5, 6])], 'a');
    g.node('MatMul', ['a', g.floats('b.w', [6, 4], (i) => (Math.floor(i / 4) < 2 ? 0 : g.number()))], 'b');
    g.node('MatMul', ['b', g.floats('c.w', [4, 3], () => 0)], 'c');
    const model = g.output('c').model();
    const { after, error } = await removed(model);
    const dims = (id: string) => after.graphs[0].values.get(id)?.constant?.dims;
    expect([dims('a.w'), dims('b.w'), dims('c.w')]).toEqual([
      [5, 4],
      [4, 1],
      [1, 3],
    ]);
    expect(error).toBeLessThan(1e-5);
  });

  it('leaves random graphs with random dead filters as they were', async () => {
    let gone = 0;
    for (let seed = 1; seed <= 12; seed += 1) {
      const next = random(seed);
      const g = new OnnxBuilder(seed);
      const dead = Array.from({ length: 16 }, () => next() < 0.4);
      g.input('x', ['N', 4, 6, 6]);
      g.floats('a.w', [16, 4, 1, 1], (i) => (dead[Math.floor(i / 4)] === true ? 0 : g.number()));
      g.node('Conv', ['x', 'a.w', g.floats('a.b', [16])], 'a');
      g.node('Relu', ['a'], 'r');
      g.node(
        'Conv',
        ['x', g.floats('b.w', [16, 4, 1, 1], (i) => (dead[Math.floor(i / 4)] === true ? 0 : 1))],
        'b',
      );
      g.node('Add', ['r', 'b'], 's');
      g.node('MaxPool', ['s'], 'm', { kernel_shape: [2, 2], strides: [2, 2] });
      g.node('Conv', ['m', g.floats('c.w', [5, 16, 1, 1]), g.floats('c.b', [5])], 'c');
      const { error, filters } = await removed(g.output('c').model());
      gone += 16 - (filters ?? 16);
      expect(error).toBeLessThan(1e-5);
    }
    expect(gone).toBeGreaterThan(20);
  });
});

describe('models at hand', () => {
  const files = modelFiles('.tflite').filter((file) => /vww_96_float|pretrainedResnet\.tflite/.test(file));
  it.runIf(files.length > 0).each(files.map((file) => [path.basename(file), file] as const))(
    '%s gives the same without its dead channels',
    async (_, file) => {
      const { model } = readModelFile(file);
      const { model: after, notes } = await runPass('remove-dead-channels', model);
      const [macs, left] = [model, after].map((each) => analyse(each).totals.macs as number);
      console.info(`${path.basename(file)}: ${notes.join()}, ${left} of ${macs} MACs are left`);
      const [before, now] = [await runTflite(model), await runTflite(after)];
      expect(relativeError(before, now)).toBeLessThan(1e-4);
      expect(left).toBeLessThanOrEqual(macs as number);
    },
  );
});
