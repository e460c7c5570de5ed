import path from 'node:path';
import { deflateSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { encodeModel } from '../../../src/formats/encode.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { Model } from '../../../src/ir/model.ts';
import { floatTensor, readFloats } from '../../../src/ir/numbers.ts';
import { countedPalette, paletteOf, quickSettle, settle } from '../../../src/passes/support/palette.ts';
import { hasShared, samples, shared } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { top1 } from './accuracy.ts';
import { OnnxBuilder, runPass } from './build.ts';
import { onnxFeeds, random, runOnnx } from './runtime.ts';

beforeAll(useSourceRunner);

const floatsOf = (model: Model, id: string): Float32Array => {
  const constant = model.graphs[0].values.get(id)?.constant;
  if (constant === undefined) throw new Error(`${id} is no constant`);
  return readFloats(constant);
};
/** Replaces numbers by the entries of their palette; false when they stay. */
const toPalette = (values: Float32Array, size: number): boolean => {
  const palette = paletteOf(values, size);
  if (palette !== undefined) settle(palette, values);
  return palette !== undefined;
};
const packedBytes = (model: Model) =>
  deflateSync(Buffer.concat(encodeModel(model).map((part) => part.read()))).length;

describe('palettes', () => {
  it.each([2, 4, 16, 100])('of %i entries: every weight is at its nearest mean', (size) => {
    const next = random(size);
    const before = Float32Array.from({ length: 3000 }, () => (next() + next() + next() - 1.5) ** 3);
    const after = before.slice();
    expect(toPalette(after, size)).toBe(true);
    const members = new Map<number, number[]>();
    for (const [i, value] of after.entries())
      members.set(value, [...(members.get(value) ?? []), before[i] as number]);
    expect(members.size).toBeLessThanOrEqual(size);
    for (const [centre, own] of members)
      expect(own.reduce((sum, value) => sum + value, 0) / own.length).toBeCloseTo(centre, 6);
    for (const [i, value] of before.entries()) {
      const least = Math.min(...[...members.keys()].map((centre) => Math.abs(centre - value)));
      expect(Math.abs((after[i] as number) - value)).toBeLessThanOrEqual(least + 1e-6);
    }
  });

  it('keep the zeros of pruned weights, and few distinct values as they are', () => {
    const next = random(3);
    const pruned = Float32Array.from({ length: 400 }, (_, i) => (i % 2 === 0 ? 0 : next() - 0.5));
    const zeros = pruned.map((value) => (value === 0 ? 1 : 0));
    expect(toPalette(pruned, 8)).toBe(true);
    for (const [i, zero] of zeros.entries()) if (zero === 1) expect(pruned[i]).toBe(0);
    expect(new Set(pruned).size).toBeLessThanOrEqual(8);
    expect(toPalette(pruned, 8)).toBe(false);
    expect(toPalette(Float32Array.of(1, Number.NaN, 2, 3), 2)).toBe(false);
    expect(toPalette(new Float32Array(), 4)).toBe(false);
  });

  it.each([
    ['normal', 0, 64],
    ['normal', 0, 4],
    ['with an outlier', 1, 64],
    ['mostly zero', 2, 16],
  ] as const)('of a large tensor, %s: counting is as good as sorting', (_, kind, size) => {
    const next = random(7 + kind);
    const values = Float32Array.from({ length: 70_000 }, (_, i) =>
      kind === 2 && i % 4 !== 0 ? (i % 8 === 1 ? -0 : 0) : (next() + next() + next() - 1.5) ** 3,
    );
    if (kind === 1) values[77] = 40;
    const counted = countedPalette(floatTensor([700, 100], values), size);
    const sorted = paletteOf(values, size);
    if (counted === undefined || sorted === undefined) throw new Error('no palette');
    const one = values.slice();
    const other = values.slice();
    settle(counted, one);
    quickSettle(counted)(other);
    expect(other).toEqual(one);
    const noise = one.reduce((sum, value, i) => sum + (value - (values[i] as number)) ** 2, 0);
    expect(Math.abs(noise / sorted.noise - 1)).toBeLessThan(0.01);
    expect(Math.abs(counted.noise / noise - 1)).toBeLessThan(0.001);
    expect(counted.signal).toBeCloseTo(sorted.signal, 6);
    if (kind === 2) expect(one.filter((value) => value === 0)).toHaveLength(52_500);
  });

  it('of a large tensor: few distinct values stay, and so does what is not finite', () => {
    const few = Float32Array.from({ length: 1000 }, (_, i) => i % 16);
    expect(countedPalette(floatTensor([1000], few), 16)).toBeUndefined();
    expect(countedPalette(floatTensor([1000], few), 15)).toBeDefined();
    few[5] = Number.NaN;
    expect(countedPalette(floatTensor([1000], few), 8)).toBeUndefined();
  });
});

describe('cluster', () => {
  const layers = () => {
    const g = new OnnxBuilder(8);
    g.input('x', ['N', 8, 4, 4]);
    g.node('Conv', ['x', g.floats('w', [16, 8, 3, 3]), g.floats('b', [16])], 'a');
    g.node('Flatten', ['a'], 'f');
    g.node('MatMul', ['f', g.floats('m', [64, 12])], 'y');
    return g.output('y').model();
  };

  it('gives each tensor 2^bits values, leaves biases, and does nothing the second time', async () => {
    const model = layers();
    const result = await runPass('cluster', model, { options: { bits: 3 } });
    expect(result.changed).toEqual(['Conv:a', 'MatMul:y']);
    for (const id of ['w', 'm']) expect(new Set(floatsOf(result.model, id)).size).toBeLessThanOrEqual(8);
    expect(floatsOf(result.model, 'b')).toEqual(floatsOf(model, 'b'));
    const again = await runPass('cluster', result.model, { options: { bits: 3 } });
    expect(again.model).toBe(result.model);
    const outputs = await runOnnx(result.model as typeof model, onnxFeeds(model, 3));
    expect(outputs['y']?.every(Number.isFinite)).toBe(true);
  });

  it('has a palette per group of output channels, whichever axis they are on', async () => {
    const { model } = await runPass('cluster', layers(), { options: { bits: 2, channels: 4 } });
    const w = floatsOf(model, 'w');
    for (let group = 0; group < 4; group += 1)
      expect(new Set(w.subarray(group * 288, (group + 1) * 288)).size).toBeLessThanOrEqual(4);
    const m = floatsOf(model, 'm');
    for (let group = 0; group < 3; group += 1) {
      const own = m.filter((_, i) => Math.floor((i % 12) / 4) === group);
      expect(new Set(own).size).toBeLessThanOrEqual(4);
    }
    expect(new Set(w).size).toBeGreaterThan(4);
  });

  it.each(['digits.onnx', 'digits.tflite'])('of %s keeps accuracy and compresses', async (name) => {
    const { model } = readModelFile(path.join(samples, name));
    const { model: after } = await runPass('cluster', model);
    const data = path.join(samples, 'digits-test.npz');
    expect((await top1(model, data)) - (await top1(after, data))).toBeLessThanOrEqual(0.5);
    expect(packedBytes(after)).toBeLessThan(packedBytes(model) / 2.4);
  });

  const accuracy = hasShared
    ? ([
        ['own/cifar_resnet.onnx', 'onnx', 1],
        ['own/cifar_mobilenet.onnx', 'onnx', 1],
        ['own/cifar_vit.onnx', 'onnx', 1],
        ['tflite/pretrainedResnet.tflite', 'mlperf', 5.5],
      ] as const)
    : [];
  it.each(accuracy)(
    'of %s costs little accuracy',
    async (name, kind, most) => {
      const { model } = readModelFile(path.join(shared, 'models', name));
      const data = path.join(shared, `data/cifar10-test-2000.${kind}.json`);
      const reference = await top1(model, data);
      for (const bits of [5, 6, 7]) {
        const { model: after, notes } = await runPass('cluster', model, { options: { bits } });
        const hits = await top1(after, data);
        console.info(
          `cluster bits=${bits} ${name}: ${hits.toFixed(2)} of ${reference.toFixed(2)} %, ${packedBytes(after)} of ${packedBytes(model)} bytes compressed; ${notes[0]}`,
        );
        if (bits === 6) expect(reference - hits).toBeLessThan(most);
      }
    },
    300_000,
  );
});
