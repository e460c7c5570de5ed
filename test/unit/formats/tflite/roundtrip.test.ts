import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { openFile } from '../../../../src/formats/io/openFile.ts';
import { writeParts } from '../../../../src/formats/io/writeParts.ts';
import { readTflite } from '../../../../src/formats/tflite/read.ts';
import { verifyTflite } from './verify.ts';
import { encodeTflite } from '../../../../src/formats/tflite/write.ts';
import { memoryBytes } from '../../../../src/ir/bytes.ts';
import { modelFiles } from '../../support/models.ts';
import { join, plain, reread, rewritten, tinyModel } from './support.ts';

const files = modelFiles('.tflite').map((file) => [path.basename(file), file] as const);

describe.each([['made from scratch', ''] as const, ...files])('%s', (_name, file) => {
  const bytes = () => (file === '' ? join(encodeTflite(tinyModel())) : new Uint8Array(readFileSync(file)));
  const read = () => readTflite(memoryBytes(bytes()));

  it('reads without damage', () => {
    expect(read().damage).toEqual([]);
  });

  it('is written back byte for byte when nothing changed', () => {
    expect(Buffer.compare(join(encodeTflite(read().model)), bytes())).toBe(0);
  });

  it('says the same after a full rewrite', () => {
    const { model } = read();
    expect(plain(reread(model))).toEqual(plain(model));
    expect(reread({ ...model, description: 'changed' }).description).toBe('changed');
  });

  it('rewrites to a file that is in bounds and aligned', () => {
    expect(verifyTflite(memoryBytes(rewritten(read().model)))).toEqual([]);
  });

  it('rewrites a rewritten file to the same bytes', () => {
    const once = rewritten(read().model);
    const twice = rewritten(readTflite(memoryBytes(once)).model);
    expect(Buffer.compare(once, twice)).toBe(0);
  });
});

it('rounds trips keep the IR of a model made from scratch', () => {
  const model = tinyModel();
  const { metadata, signatures, graphs } = plain(reread(model));
  const original = plain(model);
  expect(metadata).toEqual(original.metadata);
  expect(signatures).toEqual(original.signatures);
  expect(graphs[0]?.inputs).toEqual(['image']);
  expect(graphs[0]?.nodes.map((node) => [node.op, node.version, node.inputs])).toEqual([
    ['CONV_2D', 1, ['image', 'filter', 'bias']],
    ['RELU', 1, ['conv']],
    ['RESHAPE', 1, ['relu', 'shape']],
  ]);
});

it('reads and writes files without holding them', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'kerf-tflite-'));
  try {
    const first = path.join(folder, 'first.tflite');
    const second = path.join(folder, 'second.tflite');
    await writeParts(first, encodeTflite(tinyModel()));
    const file = openFile(first);
    const { model } = readTflite(file);
    await writeParts(second, encodeTflite({ ...model, description: 'from a file' }));
    const again = readTflite(memoryBytes(readFileSync(second))).model;
    expect(again.description).toBe('from a file');
    expect(plain(again).graphs).toEqual(plain(reread(tinyModel())).graphs);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
