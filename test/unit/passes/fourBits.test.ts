import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { analyse } from '../../../src/analysis/analyse.ts';
import { targetRefusals } from '../../../src/devices/targets/refusal.ts';
import { targetFor } from '../../../src/devices/targets/registry.ts';
import { encodeModel } from '../../../src/formats/encode.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { Model, OnnxModel } from '../../../src/ir/model.ts';
import { readIntegers } from '../../../src/ir/numbers.ts';
import { samples } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { runPass } from './build.ts';
import { calibratorFor } from './calibrate.ts';
import { onnxFeeds, runOnnx, sqnrDb } from './runtime.ts';

beforeAll(useSourceRunner);

const digits = (extension: 'onnx' | 'tflite') =>
  readModelFile(path.join(samples, `digits.${extension}`)).model;
const data = path.join(samples, 'digits-calibration.npz');

async function quantized(model: Model, options: object) {
  const calibrator = calibratorFor(model, data, 32);
  return await runPass('quantize-static', model, {
    options: { rounding: 'nearest', ...options },
    calibrator,
  });
}

function codesOf(model: Model, dtype: string): readonly number[][] {
  return [...model.graphs[0].values.values()].flatMap(({ constant }) =>
    constant?.dtype === dtype && constant.dims.length > 1 ? [readIntegers(constant)] : [],
  );
}

function fileBytes(model: Model): number {
  return encodeModel(model).reduce((sum, part) => sum + part.length, 0);
}

describe('4-bit weights beside integer activations in ONNX', () => {
  it.each(['w4a8', 'w4a16', 'w2a8', 'w1a8'])(
    '%s for qnn: int4 in half the bytes, and nothing to refuse',
    async (scheme) => {
      const model = digits('onnx') as OnnxModel;
      const wide = await quantized(model, { scheme, target: 'qnn' });
      const packed = await quantized(model, { scheme, target: 'qnn', packed: true });
      const narrow = codesOf(packed.model, 'int4');
      expect(narrow.length).toBeGreaterThan(1);
      expect((packed.model as OnnxModel).opsets.get('')).toBe(21);
      const saved = narrow.reduce((sum, codes) => sum + codes.length / 2, 0);
      expect(Math.abs(fileBytes(wide.model) - saved - fileBytes(packed.model))).toBeLessThan(600);
      // Of 4 bits, int8 holds one more set of codes.
      if (scheme === 'w2a8')
        for (const codes of narrow) expect(codesOf(wide.model, 'int8')).toContainEqual(codes);
      const rules = targetFor('qnn', 'onnx');
      const refused = targetRefusals(packed.model, analyse(packed.model), rules);
      // The batch of the sample is free, which this target does not take.
      expect(refused.filter(({ kind }) => kind !== 'float' && kind !== 'shape')).toEqual([]);
      const feeds = onnxFeeds(model, 3, 2);
      const [truth, one, other] = [
        await runOnnx(model, feeds),
        await runOnnx(wide.model as OnnxModel, feeds),
        await runOnnx(packed.model as OnnxModel, feeds),
      ];
      expect(sqnrDb(truth, other)).toBeGreaterThan(sqnrDb(truth, one) - 3);
      expect(packed.notes.join()).toContain('computes in float');
    },
  );

  it.each([
    ['onnx', 'x86', 'w4a8', 'reads no 4-bit weights'],
    ['onnx', 'tensorrt', 'w4a8', 'reads no 4-bit weights'],
    ['onnx', 'qnn', 'w8a8', 'packed is for weights of fewer than 8 bits'],
    ['tflite', 'ethos-u', 'w4a8', 'reads no 4-bit weights'],
  ] as const)('%s for %s at %s is not packed, and told so', async (extension, target, scheme, note) => {
    const { model, notes } = await quantized(digits(extension), { target, scheme, packed: true });
    expect(codesOf(model, 'int4')).toEqual([]);
    expect(notes.join()).toContain(note);
  });
});
