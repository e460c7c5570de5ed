import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import * as ort from 'onnxruntime-node';
import { afterAll, describe, expect, it } from 'vitest';
import { readModelFile, writeModelFile } from '../../../../src/formats/io/models.ts';
import { encodeOnnx } from '../../../../src/formats/onnx/write.ts';
import { concatBytes } from '../../../../src/ir/bytes.ts';
import type { Bytes } from '../../../../src/ir/bytes.ts';
import { floatTensor } from '../../../../src/ir/numbers.ts';
import { readFloats } from '../../../../src/ir/numbers.ts';
import type { Node, OnnxModel, Value } from '../../../../src/ir/model.ts';
import type { Tensor } from '../../../../src/ir/tensor.ts';
import { tensorType } from '../../../../src/ir/types.ts';
import { onnxModel } from '../../support/onnxModel.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kerf-models-'));
afterAll(() => fs.rmSync(folder, { recursive: true }));

let made = 0;
function fresh(): string {
  made += 1;
  const inner = path.join(folder, `case${made}`);
  fs.mkdirSync(inner);
  return inner;
}

const width = 64;
const weights = Float32Array.from({ length: width * width }, (_, i) => Math.sin(i));

/** y = x · w */
function product(weight: Tensor): OnnxModel {
  const values = new Map<string, Value>([
    ['x', { id: 'x', name: 'x', type: tensorType('float32', [1, width]) }],
    ['w', { id: 'w', name: 'w', type: tensorType('float32', [width, width]), constant: weight }],
    ['y', { id: 'y', name: 'y', type: tensorType('float32', [1, width]) }],
  ]);
  const node: Node = {
    id: 'n',
    name: 'n',
    op: 'MatMul',
    domain: '',
    inputs: ['x', 'w'],
    outputs: ['y'],
    attributes: new Map(),
  };
  return onnxModel({ name: 'g', inputs: ['x'], outputs: ['y'], nodes: [node], values });
}

/** A model whose weight is in an external file, referred to as told. */
function external(inner: string, reference: { location: string; offset?: number; length?: number }): string {
  const bytes = new Uint8Array(weights.buffer);
  const safe =
    path.resolve(inner, reference.location).startsWith(inner) && !path.isAbsolute(reference.location);
  if (safe && reference.location !== 'absent.bin')
    fs.writeFileSync(path.join(inner, reference.location), bytes);
  const { offset = 0, length = bytes.length, location } = reference;
  const parts = encodeOnnx(product(floatTensor([width, width], weights)), () => ({
    location,
    offset,
    length,
    checksum: undefined,
  }));
  const file = path.join(inner, 'model.onnx');
  fs.writeFileSync(file, concatBytes(parts));
  return file;
}

const weightOf = (file: string) => readModelFile(file).model.graphs[0].values.get('w')?.constant as Tensor;

async function run(file: string): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(file);
  const x = new ort.Tensor(
    'float32',
    Float32Array.from({ length: width }, (_, i) => i / width),
    [1, width],
  );
  const { y } = await session.run({ x });
  await session.release();
  return y?.data as Float32Array;
}

describe('external data', () => {
  it('is read when someone looks, and counts as part of the model', () => {
    const file = external(fresh(), { location: 'w.bin' });
    const { fileBytes, damage } = readModelFile(file);
    expect(damage).toEqual([]);
    expect(fileBytes).toBe(fs.statSync(file).size + weights.byteLength);
    expect(readFloats(weightOf(file))).toEqual(weights);
  });

  it.each([
    ['a path that climbs out', { location: '../../etc/passwd' }, /leaves the model's folder/],
    ['an absolute path', { location: path.resolve('/etc/passwd') }, /leaves the model's folder/],
    ['a file that is not there', { location: 'absent.bin' }, /'absent\.bin' cannot be read: no such file/],
    ['bytes beyond the end', { location: 'w.bin', offset: 8192, length: 16_384 }, /lie outside 'w\.bin'/],
    ['a negative offset', { location: 'w.bin', offset: -4 }, /lie outside/],
  ])('%s is damage, not a failure', (_, reference, expected) => {
    const file = external(fresh(), reference);
    const { model, damage } = readModelFile(file);
    expect(damage.map((each) => each.message).join('\n')).toMatch(expected);
    expect(model.graphs[0].nodes).toHaveLength(1);
    expect(() => weightOf(file).data.read()).toThrow(expected);
  });

  it.runIf(process.platform !== 'win32')('a symbolic link that leads out is damage', () => {
    const inner = fresh();
    const outside = path.join(folder, 'outside.bin');
    fs.writeFileSync(outside, new Uint8Array(weights.buffer));
    const file = external(inner, { location: 'w.bin' });
    fs.rmSync(path.join(inner, 'w.bin'));
    fs.symlinkSync(outside, path.join(inner, 'w.bin'));
    expect(
      readModelFile(file)
        .damage.map((each) => each.message)
        .join(),
    ).toMatch(/through a link/);
  });
});

describe('saving', () => {
  it('beside its own data file, a changed model goes on referring to it', async () => {
    const inner = fresh();
    const file = external(inner, { location: 'w.bin' });
    const { model } = readModelFile(file);
    await writeModelFile(
      { ...(model as OnnxModel), producerName: 'changed' },
      path.join(inner, 'again.onnx'),
    );
    expect(fs.readdirSync(inner).sort()).toEqual(['again.onnx', 'model.onnx', 'w.bin']);
    expect(await run(path.join(inner, 'again.onnx'))).toEqual(await run(file));
  });

  it('elsewhere, the weights go along in a file of their own', async () => {
    const file = external(fresh(), { location: 'w.bin' });
    const target = path.join(fresh(), 'moved.onnx');
    const { fileBytes } = await writeModelFile(readModelFile(file).model, target);
    expect(fs.readdirSync(path.dirname(target)).sort()).toEqual(['moved.onnx', 'moved.onnx.data']);
    expect(fileBytes).toBe(fs.statSync(target).size + fs.statSync(`${target}.data`).size);
    expect(await run(target)).toEqual(await run(file));
  });

  it('over the file it came from keeps the weights', async () => {
    const inner = fresh();
    const file = path.join(inner, 'model.onnx');
    fs.writeFileSync(file, concatBytes(encodeOnnx(product(floatTensor([width, width], weights)))));
    const before = await run(file);
    const { model } = readModelFile(file);
    await writeModelFile({ ...(model as OnnxModel), producerName: 'changed' }, file);
    expect(await run(file)).toEqual(before);
    expect(fs.readdirSync(inner)).toEqual(['model.onnx']);
  });

  it('a failed write leaves the old file as it was', async () => {
    const inner = fresh();
    const file = path.join(inner, 'model.onnx');
    fs.writeFileSync(file, 'precious');
    const broken: Bytes = {
      length: 100_000,
      read: () => {
        throw new Error('the disk went away');
      },
      slice: () => broken,
    };
    const tensor: Tensor = { dtype: 'float32', dims: [5, 5000], data: broken };
    await expect(writeModelFile(product(tensor), file)).rejects.toThrow(/disk went away/);
    expect(fs.readFileSync(file, 'utf8')).toBe('precious');
    expect(fs.readdirSync(inner)).toEqual(['model.onnx']);
  });

  it('beyond 2 GiB moves the weights out, because a protocol buffer cannot be longer', async () => {
    const inner = fresh();
    const file = path.join(inner, 'large.onnx');
    // A sparse file: the weights exist by length only.
    const length = 2 ** 31 + 4096;
    fs.closeSync(fs.openSync(path.join(inner, 'zeros.bin'), 'w'));
    fs.truncateSync(path.join(inner, 'zeros.bin'), length);
    const reference = { location: 'zeros.bin', offset: 0, length, checksum: undefined };
    const rows = length / 4 / width;
    const stub: Tensor = {
      dtype: 'float32',
      dims: [rows, width],
      data: { length, read: () => new Uint8Array(0), slice: () => stub.data },
    };
    fs.writeFileSync(file, concatBytes(encodeOnnx(product(stub), () => reference)));
    const { model, damage, fileBytes } = readModelFile(file);
    expect([damage, fileBytes > length]).toEqual([[], true]);
    const tail = weightOf(file).data.read(length - 8, 8);
    expect([...tail]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
    const target = path.join(fresh(), 'copy.onnx');
    await writeModelFile({ ...(model as OnnxModel), producerName: 'changed' }, target);
    expect(fs.statSync(`${target}.data`).size).toBe(length);
    expect(fs.statSync(target).size).toBeLessThan(10_000);
    fs.rmSync(path.dirname(target), { recursive: true });
  }, 120_000);
});
