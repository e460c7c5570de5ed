import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readTflite } from '../../../../src/formats/tflite/read.ts';
import { encodeTflite } from '../../../../src/formats/tflite/write.ts';
import type { DType } from '../../../../src/ir/dtype.ts';
import { byteSize, isFloat } from '../../../../src/ir/dtype.ts';
import { memoryBytes } from '../../../../src/ir/bytes.ts';
import { KerfError } from '../../../../src/ir/errors.ts';
import type { BackendSession } from '../../../../src/runtime/backend.ts';
import { openModel } from '../../../../src/runtime/open.ts';
import type { HostTensor, TensorInfo, Tensors } from '../../../../src/runtime/runner.ts';
import { modelFiles } from '../../support/models.ts';
import { join, rewritten, seeded, tinyModel, tinyOutput } from './support.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kerf-tflite-'));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

async function open(bytes: Uint8Array, name: string): Promise<BackendSession> {
  const file = path.join(folder, name);
  fs.writeFileSync(file, bytes);
  return openModel(file, {});
}

/** Seeded inputs: floats in [-1, 1), any byte for quantized integers. */
function feed({ dtype, dims }: TensorInfo, random: () => number): HostTensor {
  const sizes = dims.map((dim) => Math.max(1, dim));
  const count = sizes.reduce((product, dim) => product * dim, 1);
  const data = new Uint8Array(byteSize(dtype as DType, count) ?? 0);
  if (isFloat(dtype)) {
    const view = new DataView(data.buffer);
    for (let at = 0; at < count; at += 1) view.setFloat32(4 * at, random() * 2 - 1, true);
  } else for (let at = 0; at < data.length; at += 1) data[at] = Math.floor(random() * 256);
  return { dtype, dims: sizes, data };
}

async function outputsOf(session: BackendSession, seed: number): Promise<Tensors> {
  const random = seeded(seed);
  const feeds = Object.fromEntries(session.info.inputs.map((input) => [input.name, feed(input, random)]));
  return session.run(feeds);
}

describe('outputs before and after a full rewrite', () => {
  for (const file of modelFiles('.tflite')) {
    const name = path.basename(file);
    it(name, async (context) => {
      let before: BackendSession;
      try {
        before = await openModel(file, {});
      } catch (error) {
        if (!KerfError.is(error, 'runtime-refused')) throw error;
        context.skip(`no runtime here takes the original: ${error.message}`);
      }
      const { model } = readTflite(memoryBytes(fs.readFileSync(file)));
      const after = await open(rewritten({ ...model, description: 'rewritten' }), name);
      expect(after.info.runtime).toBe(before.info.runtime);
      for (const seed of [1, 2, 3]) {
        expect(await outputsOf(after, seed)).toEqual(await outputsOf(before, seed));
      }
      await before.close();
      await after.close();
    });
  }
});

describe('a model made from scratch', () => {
  it('computes what it says', async () => {
    const model = tinyModel();
    const session = await open(join(encodeTflite(model)), 'tiny.tflite');
    expect(session.info.inputs.map(({ name, dims }) => [name, dims])).toEqual([['x', [1, 4, 4, 1]]]);
    const random = seeded(11);
    const image = Float32Array.from({ length: 16 }, () => random() * 2 - 1);
    const data = new Uint8Array(image.buffer);
    const outputs = await session.run({ x: { dtype: 'float32', dims: [1, 4, 4, 1], data } });
    const row = new Float32Array((outputs.y as HostTensor).data.slice().buffer);
    const expected = tinyOutput(model, image);
    expect(row).toHaveLength(32);
    row.forEach((got, index) => expect(got).toBeCloseTo(expected[index] as number, 5));
    await session.close();
  });
});
