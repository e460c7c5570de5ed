import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { analyse } from '../../../../src/analysis/analyse.ts';
import { encode } from '../../../../src/formats/tflite/encode.ts';
import { readTflite } from '../../../../src/formats/tflite/read.ts';
import { cell, row } from '../../../../src/formats/tflite/row.ts';
import { verifyTflite } from './verify.ts';
import { encodeTflite } from '../../../../src/formats/tflite/write.ts';
import { memoryBytes } from '../../../../src/ir/bytes.ts';
import { KerfError } from '../../../../src/ir/errors.ts';
import type { TfliteModel } from '../../../../src/ir/model.ts';
import { modelFiles, samples } from '../../support/models.ts';
import { graphOf, join, modelOf, node, reread, rewritten, seeded, tinyModel, value } from './support.ts';

const tiny = () => join(encodeTflite(tinyModel()));

/** Reads, verifies and rewrites; only a KerfError may come out of it. */
function survive(bytes: Uint8Array): KerfError | undefined {
  try {
    const { model, damage } = readTflite(memoryBytes(bytes));
    for (const each of damage) expect(each.message).not.toBe('');
    verifyTflite(memoryBytes(bytes));
    rewritten(model);
    return undefined;
  } catch (error) {
    if (!KerfError.is(error)) throw error;
    return error;
  }
}

/** A graph that gives its only tensor. */
function oneTensor() {
  const tensor = row('Tensor', [
    ['shape', cell.integers([1])],
    ['name', cell.text('x')],
  ]);
  return row('SubGraph', [
    ['tensors', cell.rows([tensor])],
    ['outputs', cell.integers([0])],
  ]);
}

describe('damaged files', () => {
  it('survives every truncation', () => {
    const bytes = tiny();
    for (let length = 0; length < bytes.length; length += 1) survive(bytes.slice(0, length));
  });

  it('survives flipped bytes', () => {
    const original = tiny();
    const random = seeded(1);
    for (let round = 0; round < 1500; round += 1) {
      const bytes = original.slice();
      const flips = 1 + Math.floor(random() * 4);
      for (let flip = 0; flip < flips; flip += 1)
        bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      survive(bytes);
    }
  });

  it('survives hostile offsets and lengths everywhere', () => {
    const original = tiny();
    for (const hostile of [0xffffffff, 0x7fffffff, 0x10000000, 0])
      for (let at = 0; at + 4 <= original.length; at += 4) {
        const bytes = original.slice();
        new DataView(bytes.buffer).setUint32(at, hostile, true);
        survive(bytes);
      }
  });

  it('survives flipped bytes in real models', () => {
    const random = seeded(2);
    for (const file of modelFiles('.tflite')) {
      const original = new Uint8Array(readFileSync(file));
      if (original.length > 100_000) continue;
      for (let round = 0; round < 25; round += 1) {
        const bytes = original.slice();
        for (let flip = 0; flip < 20; flip += 1)
          bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
        survive(bytes);
      }
    }
  });

  it('tells tens of thousands of alike names apart', () => {
    const many = 30_000;
    const nodes = Array.from({ length: many }, () => node('RELU', ['x'], ['x']));
    const model = modelOf(graphOf(nodes, [value('x', [4])], ['x'], ['x']));
    const read = reread(model);
    expect(new Set(read.graphs[0].nodes.map((each) => each.id)).size).toBe(many);
  });

  it('does not decode shared tables without end', () => {
    const bytes = new Uint8Array(1 << 20);
    const view = new DataView(bytes.buffer);
    bytes.set(new TextEncoder().encode('TFL3'), 4);
    // A model whose subgraphs all are one table, whose tensors all are one table, … each list a quarter megabyte long.
    const vtable = (at: number, slots: readonly number[]) => {
      view.setUint16(at, 4 + 2 * slots.length, true);
      view.setUint16(at + 2, 64, true);
      slots.forEach((offset, index) => view.setUint16(at + 4 + 2 * index, offset, true));
    };
    const table = (at: number, from: number) => view.setInt32(at, at - from, true);
    vtable(16, [0, 0, 4]);
    vtable(40, [4]);
    view.setUint32(0, 100, true);
    table(100, 16);
    view.setUint32(104, 1000 - 104, true);
    table(200, 40);
    view.setUint32(204, 300_000 - 204, true);
    const list = (at: number, count: number, target: number) => {
      view.setUint32(at, count, true);
      for (let index = 0; index < count; index += 1) {
        const slot = at + 4 + 4 * index;
        view.setUint32(slot, (target - slot) >>> 0, true);
      }
    };
    list(1000, 50_000, 900_000);
    table(900_000, 40);
    view.setUint32(900_004, 910_000 - 900_004, true);
    view.setUint32(910_000, 30_000, true);
    expect(survive(bytes)?.message).toMatch(/far more structure/);
  });
});

describe('half a file', () => {
  it('keeps what its weights are, and costs the same; only their bytes are missing', () => {
    const bytes = readFileSync(path.join(samples, 'digits.tflite'));
    const whole = readTflite(memoryBytes(bytes)).model;
    const { model: half } = readTflite(memoryBytes(bytes.subarray(0, 30_000)));
    const constants = (model: TfliteModel) =>
      [...model.graphs[0].values.values()].flatMap(({ id, constant }) =>
        constant === undefined ? [] : [[id, constant.dtype, constant.dims, constant.data.length]],
      );
    expect(constants(half)).toEqual(constants(whole));
    expect(analyse(half).totals).toEqual(analyse(whole).totals);
    const missing = [...half.graphs[0].values.values()].flatMap(
      ({ constant }) => constant?.data.missing ?? [],
    );
    expect(missing.length).toBeGreaterThan(3);
    for (const reason of missing) expect(reason).toMatch(/^buffer \d+ cannot be read/);
  });
});

describe('files that are no models', () => {
  const refusal = (bytes: Uint8Array) => {
    const error = survive(bytes);
    return [error?.reason, error?.message];
  };
  it.each([
    ['nothing', new Uint8Array(0), 'truncated', /empty/],
    ['a few bytes', new Uint8Array(5), 'truncated', /too short/],
    ['something else', new TextEncoder().encode('this is not a model at all'), 'not-a-model', /"TFL3"/],
    ['an old version', new TextEncoder().encode('    TFL2    and more'), 'not-a-model', /TFL2/],
    ['a size prefix', new TextEncoder().encode('        TFL3    and more'), 'not-a-model', /size-prefixed/],
    ['the identifier only', new TextEncoder().encode('\x08\0\0\0TFL3'), 'truncated', /needs bytes/],
  ] as const)('says what is wrong with %s', (_name, bytes, reason, message) => {
    const [given, text] = refusal(bytes);
    expect(given).toBe(reason);
    expect(text).toMatch(message);
  });

  it('refuses to write again what refers to nothing', () => {
    const signature = row('SignatureDef', [
      ['signature_key', cell.text('main')],
      [
        'outputs',
        cell.rows([
          row('TensorMap', [
            ['name', cell.text('y')],
            ['tensor_index', cell.scalar(9)],
          ]),
        ]),
      ],
    ]);
    const file = row('Model', [
      ['version', cell.scalar(3)],
      ['subgraphs', cell.rows([oneTensor()])],
      ['buffers', cell.rows([row('Buffer')])],
      ['signature_defs', cell.rows([signature])],
    ]);
    const bytes = join(encode(file, { identifier: 'TFL3', outside: new Map() }));
    const { model, damage } = readTflite(memoryBytes(bytes));
    expect(damage).toEqual([
      { severity: 'error', place: 'signature_defs[0].outputs', message: '"y" refers to tensor 9 of 1' },
    ]);
    expect(join(encodeTflite(model))).toEqual(bytes);
    expect(() => rewritten(model)).toThrow(/"y" refers to tensor 9/);
  });

  it('empties buffer 0 when it writes again', () => {
    const data = memoryBytes(Uint8Array.of(1, 2, 3, 4));
    const file = row('Model', [
      ['version', cell.scalar(3)],
      ['subgraphs', cell.rows([oneTensor()])],
      ['buffers', cell.rows([row('Buffer', [['data', cell.blob(data)]])])],
    ]);
    const { model, damage } = readTflite(
      memoryBytes(join(encode(file, { identifier: 'TFL3', outside: new Map() }))),
    );
    expect(damage.map((each) => [each.severity, each.place])).toEqual([['warning', 'buffers[0]']]);
    expect(model.graphs[0].values.get('x')?.constant).toBeUndefined();
    expect(readTflite(memoryBytes(rewritten(model))).damage).toEqual([]);
  });

  it('names the place of damage and keeps the rest', () => {
    const model = tinyModel();
    const bytes = join(encodeTflite(model));
    // The last tensor's name moves outside the file.
    const at = Buffer.from(bytes).lastIndexOf('row\0');
    new DataView(bytes.buffer).setUint32(at - 4, 0x7fffffff, true);
    const { model: read, damage } = readTflite(memoryBytes(bytes));
    expect(damage.map((each) => each.place)).toContain('subgraphs[0].tensors[6].name');
    expect(read.graphs[0].nodes).toHaveLength(3);
    expect(() => rewritten(read)).toThrow(/damaged/);
  });
});
