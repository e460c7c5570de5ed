import { deflateSync } from 'node:zlib';
import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { Model, OnnxModel } from '../../../src/ir/model.ts';
import { floatTensor, fromHalf, toHalf } from '../../../src/ir/numbers.ts';
import { isShort, shorten } from '../../../src/passes/compact/shortened.ts';
import { samples } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { top1 } from './accuracy.ts';
import { operatorsOf, runPass } from './build.ts';
import { calibratorFor, temporaryFile } from './calibrate.ts';
import { onnxFeeds, optimizedOnnx, random, runOnnx } from './runtime.ts';

beforeAll(useSourceRunner);

const onnx = path.join(samples, 'digits.onnx');
const tflite = path.join(samples, 'digits.tflite');
const calibration = path.join(samples, 'digits-calibration.npz');
const test = path.join(samples, 'digits-test.npz');

async function deflated(model: Model): Promise<number> {
  return deflateSync(fs.readFileSync(await temporaryFile(model))).length;
}

const shortened = (floats: Float32Array, bits: number): Float32Array => {
  const after = floats.slice();
  shorten(after, bits);
  const same = after.every((number, i) => Object.is(number, floats[i]));
  expect(isShort(floatTensor([floats.length], floats), bits)).toBe(same);
  return after;
};

describe('shortened', () => {
  it('rounds as float16 does where that has the range', () => {
    const next = random(3);
    const floats = Float32Array.from({ length: 5000 }, (_, i) => (next() - 0.5) * 2 ** ((i % 24) - 12));
    const normal = floats.filter((value) => Math.abs(value) >= 2 ** -14);
    expect(normal.length).toBeGreaterThan(4000);
    expect([...shortened(normal, 11)]).toEqual([...normal].map((value) => fromHalf(toHalf(value))));
  });

  it('rounds halves to even, and keeps signs, zeros, infinities, NaN and the largest numbers finite', () => {
    const largest = 3.4028234663852886e38;
    const out = shortened(
      Float32Array.of(1 + 2 ** -8, 1 + 3 * 2 ** -8, -0, Infinity, -Infinity, NaN, largest, -largest, 1e-45),
      8,
    );
    expect([...out.subarray(0, 6)]).toEqual([1, 1 + 2 ** -6, -0, Infinity, -Infinity, NaN]);
    expect(out[6]).toBeLessThan(Infinity);
    expect(out[6]).toBeGreaterThan(0.99 * largest);
    expect(out[7]).toBe(-(out[6] as number));
    expect(Math.abs(out[8] as number)).toBeLessThan(1e-44);
  });

  it('is never off by more than half a unit in its last place', () => {
    const next = random(9);
    for (let bits = 2; bits <= 24; bits += 1) {
      const floats = Float32Array.from({ length: 200 }, () => (next() - 0.5) * 10 ** (20 * next() - 10));
      shortened(floats, bits).forEach((value, i) => {
        const unit = 2 ** (Math.floor(Math.log2(Math.abs(floats[i] as number))) - bits + 1);
        expect(Math.abs(value - (floats[i] as number))).toBeLessThanOrEqual(unit / 2);
      });
    }
  });
});

describe('compact', () => {
  it.each([onnx, tflite])('%s: half as much to ship at the same accuracy', async (file) => {
    const { model } = readModelFile(file);
    const { model: after, changed, notes } = await runPass('compact', model);
    expect(operatorsOf(after)).toBe(operatorsOf(model));
    expect(changed.length).toBeGreaterThan(3);
    expect(notes.join(' ')).toContain('keep 11 significant bits');
    expect(await deflated(after)).toBeLessThan(0.65 * (await deflated(model)));
    expect(Math.abs((await top1(after, test)) - (await top1(model, test)))).toBeLessThanOrEqual(0.2);
  });

  it('is the identity the second time', async () => {
    const { model } = await runPass('compact', readModelFile(onnx).model);
    expect((await runPass('compact', model)).model).toBe(model);
  });

  it('leaves integer kernels: ONNX Runtime makes the same integers of float biases', async () => {
    const { model } = readModelFile(onnx);
    const calibrator = calibratorFor(model, calibration, 32);
    const { model: quantized } = await runPass('quantize-static', model, { calibrator });
    const only = { options: { smallest: 1_000_000 } };
    const { model: after, notes } = await runPass('compact', quantized, only);
    expect(notes.join(' ')).toContain('int32 biases are floats');
    expect(await deflated(after)).toBeLessThan(await deflated(quantized));
    const feeds = onnxFeeds(model, 4);
    expect(await runOnnx(after as OnnxModel, feeds)).toEqual(await runOnnx(quantized as OnnxModel, feeds));
    const kernels = operatorsOf(await optimizedOnnx(quantized as OnnxModel));
    expect(kernels).toContain('QLinearConv');
    expect(operatorsOf(await optimizedOnnx(after as OnnxModel))).toBe(kernels);
  });
});
