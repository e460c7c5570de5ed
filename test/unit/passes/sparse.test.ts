import path from 'node:path';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { encodeModel } from '../../../src/formats/encode.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { Model, OnnxModel } from '../../../src/ir/model.ts';
import { readFloats } from '../../../src/ir/numbers.ts';
import { eliminate, fittedOn, surgeonFor } from '../../../src/passes/support/brainSurgeon.ts';
import { matrixOf, multiplyLayerOf } from '../../../src/passes/support/denseLayer.ts';
import { samples } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { top1 } from './accuracy.ts';
import { OnnxBuilder, runPass } from './build.ts';
import { calibratorFor } from './calibrate.ts';
import { onnxFeeds, random, runOnnx, sqnrDb } from './runtime.ts';

vi.setConfig({ testTimeout: 180_000 });
beforeAll(useSourceRunner);

const test = path.join(samples, 'digits-test.npz');

function digits(extension: string) {
  const { model } = readModelFile(path.join(samples, `digits.${extension}`));
  return { model, calibrator: calibratorFor(model, path.join(samples, 'digits-calibration.npz'), 48) };
}

function layersOf(model: Model) {
  return model.graphs[0].nodes.flatMap((node) => multiplyLayerOf(model, node) ?? []);
}

function positive(size: number, seed: number): Float64Array {
  const next = random(seed);
  const vectors = Array.from({ length: 2 * size }, () =>
    Float64Array.from({ length: size }, () => next() - 0.4),
  );
  const h = new Float64Array(size * size);
  for (const v of vectors)
    for (let i = 0; i < size; i += 1)
      for (let j = 0; j < size; j += 1)
        h[i * size + j] = (h[i * size + j] as number) + (v[i] as number) * (v[j] as number);
  return h;
}

function costOf(h: Float64Array, e: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < e.length; i += 1)
    for (let j = 0; j < e.length; j += 1)
      sum += (e[i] as number) * (h[i * e.length + j] as number) * (e[j] as number);
  return sum;
}

describe('Optimal Brain Surgeon', () => {
  const size = 9;
  const next = random(4);
  const weights = Float64Array.from({ length: size }, () => next() * 2 - 1);
  const surgeon = surgeonFor(positive(size, 8), size);
  const each = { unitOf: Int32Array.from({ length: size }, (_, i) => i), units: size };

  it('says what each step costs, as a fit from scratch does', () => {
    const { order, costs } = eliminate(surgeon, weights, each);
    expect([...order].sort((a, b) => a - b)).toEqual([...each.unitOf]);
    const keep = new Uint8Array(size).fill(1);
    let before = 0;
    for (const [step, place] of order.entries()) {
      // No other weight would have been cheaper to lose.
      const least = Math.min(
        ...Array.from(each.unitOf)
          .filter((i) => keep[i] === 1)
          .map((i) => costWithout(keep, i) - before),
      );
      keep[place] = 0;
      const now = costWithout(keep);
      expect(now - before).toBeCloseTo(costs[step] as number, 8);
      expect(now - before).toBeCloseTo(least, 8);
      before = now;
    }
  });

  function costWithout(keep: Uint8Array, more?: number): number {
    const mask = keep.slice();
    if (more !== undefined) mask[more] = 0;
    const fitted = fittedOn(surgeon.h, size, mask, weights);
    return costOf(
      surgeon.h,
      weights.map((value, i) => value - (fitted[i] as number)),
    );
  }

  it('takes units together and leaves what a group must keep', () => {
    const pairs = { unitOf: Int32Array.of(0, 0, 1, 1, 2, 2, 3, 3, -1), units: 4 };
    const { order, costs } = eliminate(surgeon, weights, pairs);
    expect([...order].sort()).toEqual([0, 1, 2, 3]);
    const keep = new Uint8Array(size).fill(1);
    keep[2 * (order[0] as number)] = keep[2 * (order[0] as number) + 1] = 0;
    expect(costWithout(keep)).toBeCloseTo(costs[0] as number, 8);
    const groups = { ...each, groupOf: Int32Array.of(0, 0, 0, 0, 1, 1, 1, 1, 1), mostOfGroup: 2 };
    const found = eliminate(surgeon, weights, groups).order;
    expect(found.filter((i) => i < 4)).toHaveLength(2);
    expect(found.filter((i) => i >= 4)).toHaveLength(2);
  });
});

const everyKind = [
  [{ sparsity: 0.5 }, 0.5],
  [{ sparsity: 0.8 }, 0.8],
  [{ sparsity: 0.5, scope: 'layer', update: 'optimized' }, 0.5],
  [{ sparsity: 0.5, scope: 'lamp' }, 0.5],
  [{ sparsity: 0.5, pattern: 'block4' }, 0.5],
] as const;

describe.each([
  ['onnx', everyKind],
  ['tflite', everyKind.slice(0, 1)],
] as const)('prune-magnitude of digits.%s with data', (extension, kinds) => {
  it.each(kinds)('%o', async (options, wanted) => {
    const { model, calibrator } = digits(extension);
    const { model: after, notes } = await runPass('prune-magnitude', model, { options, calibrator });
    const share = Number(/([\d.]+) % of/.exec(notes.join())?.[1]) / 100;
    expect(Math.abs(share - wanted)).toBeLessThan(0.01);
    let zeros = 0;
    let all = 0;
    for (const layer of layersOf(after)) {
      for (const value of matrixOf(layer)) if (value === 0) zeros += 1;
      all += layer.inputs * layer.outputs;
    }
    if (!('pattern' in options)) expect(Math.abs(zeros / all - wanted)).toBeLessThan(0.02);
    const drop = (await top1(model, test)) - (await top1(after, test));
    console.info(`digits.${extension} ${JSON.stringify(options)}: drop ${drop.toFixed(2)}`);
    expect(drop).toBeLessThan(7);
  });

  it.runIf(extension === 'onnx')('keeps the zeros through quantization', async () => {
    const { model, calibrator } = digits(extension);
    const pruned = await runPass('prune-magnitude', model, { options: { sparsity: 0.6 }, calibrator });
    const options = { scheme: 'w4a8', rounding: 'optimized' };
    const { model: after } = await runPass('quantize-static', pruned.model, { options, calibrator });
    let zeros = 0;
    let all = 0;
    for (const { constant } of after.graphs[0].values.values()) {
      if (constant?.dtype !== 'int8' || constant.dims.length < 2) continue;
      for (const code of readFloats(constant)) if (code === 0) zeros += 1;
      all += constant.dims.reduce((product, dim) => product * dim, 1);
    }
    expect(zeros / all).toBeGreaterThan(0.58);
    expect((await top1(model, test)) - (await top1(after, test))).toBeLessThan(2);
  });
});

describe('patterns', () => {
  it.each(['2:4', '1:4', '4:8'])('%s holds along the input channels', async (pattern) => {
    const g = new OnnxBuilder(3);
    g.input('x', ['N', 16, 6, 6]);
    g.node('Conv', ['x', g.floats('w', [8, 16, 3, 3])], 'y');
    const model = g.output('y').model();
    const [keep = 0, of = 1] = pattern.split(':').map(Number);
    for (const calibrator of [undefined, calibratorFor(model, undefined, 16)]) {
      const { model: after } = await runPass('prune-magnitude', model, {
        options: { pattern },
        ...(calibrator && { calibrator }),
      });
      const [layer] = layersOf(after);
      const w = matrixOf(layer as NonNullable<typeof layer>);
      for (let o = 0; o < 8; o += 1)
        for (let tap = 0; tap < 9; tap += 1)
          for (let group = 0; group < 16 / of; group += 1) {
            let kept = 0;
            for (let i = 0; i < of; i += 1) if (w[o * 144 + (group * of + i) * 9 + tap] !== 0) kept += 1;
            expect(kept).toBe(keep);
          }
    }
  });
});

describe('other storage', () => {
  it('bf16 halves the weights and runs', async () => {
    const { model } = digits('onnx') as { model: OnnxModel };
    const { model: after } = await runPass('bf16', model);
    const size = (of: Model) => encodeModel(of).reduce((sum, part) => sum + part.length, 0);
    expect(size(after)).toBeLessThan(0.56 * size(model));
    const feeds = onnxFeeds(model, 3, 4);
    expect(sqnrDb(await runOnnx(model, feeds), await runOnnx(after as OnnxModel, feeds))).toBeGreaterThan(40);
    await expect(runPass('bf16', digits('tflite').model)).rejects.toMatchObject({ reason: 'unsupported' });
  });

  it.each([
    ['sequential', false, 4],
    ['auto', true, 2],
  ] as const)('binarize gives two values per channel (%s, ends %s)', async (rounding, ends, most) => {
    const { model } = digits('onnx');
    // A bit per weight needs all the samples there are: with 48 the drop is several times larger.
    const calibrator = calibratorFor(model, path.join(samples, 'digits-calibration.npz'));
    const options = { rounding, conv: true, ends, smallest: 0 };
    const { model: after } = await runPass('binarize', model, { options, calibrator });
    for (const { constant } of after.graphs[0].values.values())
      if (constant?.dtype === 'int4') expect(new Set(readFloats(constant))).toEqual(new Set([-1, 1]));
    const drop = (await top1(model, test)) - (await top1(after, test));
    console.info(`digits binarized, ${rounding}, ends ${ends}: drop ${drop.toFixed(2)}`);
    expect(drop).toBeLessThan(most);
  });
});
