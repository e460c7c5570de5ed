import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readTflite } from '../../../../src/formats/tflite/read.ts';
import { encodeTflite } from '../../../../src/formats/tflite/write.ts';
import type { DType } from '../../../../src/ir/dtype.ts';
import { byteSize, isFloat } from '../../../../src/ir/dtype.ts';
import { memoryBytes } from '../../../../src/ir/bytes.ts';
import { startRunner } from '../../../../src/runtime/process/launch.ts';
import type { HostTensor, Session, TensorInfo, Tensors } from '../../../../src/runtime/runner.ts';
import { modelFiles } from '../../support/models.ts';
import { useSourceRunner } from '../../support/runner.ts';
import { join, rewritten, seeded, tinyModel, tinyOutput } from './support.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kerf-tflite-'));
const runner = startRunner();
beforeAll(useSourceRunner);
afterAll(() => {
  runner.kill();
  fs.rmSync(folder, { recursive: true, force: true });
});

function openBytes(bytes: Uint8Array, name: string): Promise<Session> {
  const file = path.join(folder, name);
  fs.writeFileSync(file, bytes);
  return runner.open(file, {});
}

/** Models that no runtime here takes, before or after, and why. */
const refused: Readonly<Record<string, RegExp>> = {
  // Its biases say that they are quantized along dimension 3, which they do not have.
  'person_detect.tflite': /./,
  // Compiled for an Ethos-U, which is not here.
  'person_detect_vela.tflite': /ethos-u/,
};

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

async function outputsOf(session: Session, seed: number): Promise<Tensors> {
  const random = seeded(seed);
  const feeds = Object.fromEntries(session.info.inputs.map((input) => [input.name, feed(input, random)]));
  return session.run(feeds);
}

describe('outputs before and after a full rewrite', () => {
  for (const file of modelFiles('.tflite')) {
    const name = path.basename(file);
    it(name, async () => {
      const { model } = readTflite(memoryBytes(fs.readFileSync(file)));
      const bytes = rewritten({ ...model, description: 'rewritten' });
      const why = refused[name];
      if (why !== undefined) {
        await expect(runner.open(file, {})).rejects.toThrow(why);
        await expect(openBytes(bytes, name)).rejects.toThrow(why);
        return;
      }
      const before = await runner.open(file, {});
      const after = await openBytes(bytes, name);
      expect(after.info.runtime).toBe(before.info.runtime);
      for (const seed of [1, 2, 3])
        expect(await outputsOf(after, seed)).toEqual(await outputsOf(before, seed));
      await before.close();
      await after.close();
    });
  }
});

const personDetect = modelFiles('.tflite').filter((file) => path.basename(file) === 'person_detect.tflite');

describe.each(personDetect)('a repaired %s', (file) => {
  it('runs once its biases say that they are quantized along their only dimension', async () => {
    const { model } = readTflite(memoryBytes(fs.readFileSync(file)));
    const values = new Map(model.graphs[0].values);
    let repaired = 0;
    for (const [id, value] of values) {
      const { quantization, constant } = value;
      if (quantization === undefined || constant?.dims.length !== 1 || quantization.axis === 0) continue;
      values.set(id, { ...value, quantization: { ...quantization, axis: 0 } });
      repaired += 1;
    }
    expect(repaired).toBe(14);
    const graph = { ...model.graphs[0], values };
    const session = await openBytes(join(encodeTflite({ ...model, graphs: [graph] })), 'repaired.tflite');
    expect(session.info.runtime).toBe('litert');
    const [output] = Object.values(await outputsOf(session, 5));
    expect(output?.data.length).toBe(2);
    await session.close();
  });
});

describe('a model made from scratch', () => {
  it('computes what it says', async () => {
    const model = tinyModel();
    const session = await openBytes(join(encodeTflite(model)), 'tiny.tflite');
    expect([session.info.runtime, session.info.refusal]).toEqual(['litert', undefined]);
    expect(session.info.inputs.map(({ name, dims }) => [name, dims])).toEqual([['image', [1, 4, 4, 1]]]);
    const random = seeded(11);
    const image = Float32Array.from({ length: 16 }, () => random() * 2 - 1);
    const data = new Uint8Array(image.buffer);
    const outputs = await session.run({ image: { dtype: 'float32', dims: [1, 4, 4, 1], data } });
    const row = new Float32Array((outputs.row as HostTensor).data.slice().buffer);
    const expected = tinyOutput(model, image);
    expect(row).toHaveLength(32);
    row.forEach((got, index) => expect(got).toBeCloseTo(expected[index] as number, 5));
    await session.close();
  });
});
