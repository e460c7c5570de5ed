import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { analyse } from '../../../src/analysis/analyse.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import { sparselyStored } from '../../../src/formats/tflite/sparse.ts';
import type { Model, TfliteModel } from '../../../src/ir/model.ts';
import { floatTensor, readFloats } from '../../../src/ir/numbers.ts';
import { hasShared, samples, shared } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { operatorsOf, runPass } from './build.ts';
import { temporaryFile } from './calibrate.ts';
import { random } from './runtime.ts';
import { runTflite } from './tflite.ts';

beforeAll(useSourceRunner);

const tflite = path.join(samples, 'digits.tflite');

async function bytesOf(model: Model): Promise<number> {
  return fs.statSync(await temporaryFile(model)).size;
}

/** Prunes half sparse, and the same model with the same weights stored dense. */
async function both(file: string, sparsity: number) {
  const { model } = readModelFile(file);
  const dense = await runPass('prune-magnitude', model, { options: { sparsity } });
  const sparse = await runPass('prune-magnitude', model, { options: { sparsity, storage: 'sparse' } });
  return { dense: dense.model as TfliteModel, sparse: sparse.model as TfliteModel, notes: sparse.notes };
}

describe('sparse storage in TFLite', () => {
  it('gives LiteRT the same numbers from a smaller file', async () => {
    const { dense, sparse, notes } = await both(tflite, 0.8);
    expect(operatorsOf(sparse)).toContain('DENSIFY:');
    expect(notes.join(' ')).toContain('stored sparsely');
    expect(await bytesOf(sparse)).toBeLessThan(0.5 * (await bytesOf(dense)));
    expect(await runTflite(sparse)).toEqual(await runTflite(dense));
  });

  it('is read back with the numbers that were written, and the cost of the model is the same', async () => {
    const { dense, sparse } = await both(tflite, 0.7);
    const { model: again, damage } = readModelFile(await temporaryFile(sparse));
    expect(damage).toEqual([]);
    const constants = (model: Model) =>
      [...model.graphs[0].values.values()].flatMap(({ constant }) =>
        constant?.dtype === 'float32' ? [[...readFloats(constant)]] : [],
      );
    const sorted = (model: Model) => constants(model).map(String).sort();
    expect(sorted(again)).toEqual(sorted(dense));
    const [was, is] = [analyse(dense).totals, analyse(again).totals];
    expect([is.macs, is.params]).toEqual([was.macs, was.params]);
    expect(is.weightBytes).toBeLessThan(was.weightBytes);
  });

  it('stores nothing sparsely that would be larger', async () => {
    const { model } = readModelFile(tflite);
    const options = { sparsity: 0, storage: 'sparse' };
    const { model: after, notes } = await runPass('prune-magnitude', model, { options });
    expect(after).toBe(model);
    expect(notes.join(' ')).toContain('all stay dense');
  });

  it('says why ONNX models stay dense', async () => {
    const { model } = readModelFile(path.join(samples, 'digits.onnx'));
    const options = { sparsity: 0.8, storage: 'sparse' };
    const { model: after, notes } = await runPass('prune-magnitude', model, { options });
    expect(operatorsOf(after)).toBe(operatorsOf(model));
    expect(notes.join(' ')).toContain('ONNX Runtime unpacks sparse initializers');
  });

  it.each([
    [[7], 0.5],
    [[4, 3, 3, 5], 0.8],
    [[3, 300], 0.9],
    [[2, 70000], 0.999],
    [[5, 6], 1],
  ])('counts the bytes of %j at %d zeros', async (dims, zeros) => {
    const next = random(dims.length);
    const count = dims.reduce((product, dim) => product * dim, 1);
    const floats = Float32Array.from({ length: count }, () => (next() < zeros ? 0 : next() + 0.1));
    const { bytes } = sparselyStored(floatTensor(dims, floats));
    const kept = floats.filter((value) => value !== 0).length;
    const width = dims.at(-1) as number;
    const [index, start] = [width, kept + 1].map((most) => (most <= 256 ? 1 : most <= 65536 ? 2 : 4));
    expect(bytes).toBeLessThanOrEqual(
      kept * (4 + (index as number)) + (count / width + 1) * (start as number),
    );
    expect(bytes).toBeGreaterThanOrEqual(4 * kept);
  });
});

describe.runIf(hasShared)('public TFLite models', () => {
  it.each([
    ['ad01_fp32', 0.4],
    ['pretrainedResnet', 0.4],
    ['vww_96_float', 0.4],
    ['kws_ref_model_float32', 1],
  ])('%s', async (name, share) => {
    const { dense, sparse } = await both(path.join(shared, `models/tflite/${name}.tflite`), 0.85);
    expect(await bytesOf(sparse)).toBeLessThan(share * (await bytesOf(dense)));
    const [was, is] = [await runTflite(dense), await runTflite(sparse)];
    for (const [id, values] of Object.entries(was))
      values.forEach((value, i) => expect(Math.abs(value - (is[id]?.[i] as number))).toBeLessThan(1e-4));
  });
});
