import { describe, expect, it } from 'vitest';
import { channelMap, pageValues, tensorPage } from '../../../src/engine/weights/pages.ts';
import { npyParts } from '../../../src/engine/weights/npy.ts';
import type { Bytes } from '../../../src/ir/bytes.ts';
import type { DType } from '../../../src/ir/dtype.ts';
import { missingBytes } from '../../../src/ir/bytes.ts';
import { decodeNumbers, numberTensor } from '../../../src/ir/numbers.ts';
import { parseNpy } from '../../../src/runtime/data/npz.ts';

function random(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
}

function joined(parts: readonly Bytes[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => Array.from(part.read())));
}

const next = random(7);
const dims = [5, 7, 3, 11];
const size = 5 * 7 * 3 * 11;

describe('pages of a constant', () => {
  it.each(['float32', 'float16', 'int8', 'int4', 'uint2', 'int64'] as const)('%s in any run', (dtype) => {
    const values = Array.from({ length: size }, () => Math.floor(next() * 4) - (dtype === 'uint2' ? 0 : 2));
    const tensor = numberTensor(dtype, dims, values);
    for (const [offset, count] of [
      [0, 9],
      [1, 1],
      [3, 17],
      [size - 5, 50],
      [size + 3, 4],
    ] as const) {
      const page = tensorPage(tensor, offset, count);
      expect(Array.from(page.values)).toEqual(values.slice(offset, offset + count));
      expect(page.dtype).toBe(dtype);
    }
  });

  it('are never larger than a page, whatever is asked', () => {
    const tensor = numberTensor('float32', [100_000], new Float32Array(100_000));
    const { values } = tensorPage(tensor, 5, 100_000);
    expect(values.length).toBe(pageValues);
    expect(values.buffer.byteLength).toBeLessThanOrEqual(8 * pageValues);
  });

  it('say when the bytes are absent', () => {
    const tensor = { dtype: 'float32' as const, dims: [4], data: missingBytes(16, 'no such file') };
    expect(() => tensorPage(tensor, 0, 4)).toThrow('no such file');
  });
});

describe('channel map', () => {
  it.each([0, 1, 2, 3])('along axis %i it agrees with a loop over the elements', (axis) => {
    const values = Float32Array.from({ length: size }, () => (next() < 0.2 ? 0 : next() - 0.5));
    const map = channelMap(numberTensor('float32', dims, values), axis);
    expect([map.channels, map.rows]).toEqual([dims[axis], dims[axis]]);
    const strides = [231, 33, 11, 1];
    for (let row = 0; row < map.rows; row++) {
      const channelOf = (i: number) => Math.floor(i / (strides[axis] ?? 1)) % (dims[axis] ?? 1);
      const mine = Array.from(values).filter((_, i) => channelOf(i) === row);
      expect(map.min[row]).toBeCloseTo(Math.min(...mine), 6);
      expect(map.max[row]).toBeCloseTo(Math.max(...mine), 6);
      expect(map.zeros[row]).toBeCloseTo(mine.filter((x) => x === 0).length / mine.length, 6);
      for (let column = 0; column < map.columns; column++) {
        const part = mine.filter((_, i) => Math.floor((i * map.columns) / mine.length) === column);
        const mean = part.reduce((a, b) => a + b, 0) / part.length;
        expect(map.cells[row * map.columns + column]).toBeCloseTo(mean, 5);
      }
    }
  });

  it('stays small for large constants', () => {
    const map = channelMap(numberTensor('int8', [1000, 300], new Int8Array(300_000)), 0);
    expect(map.cells.byteLength).toBeLessThanOrEqual(64 * 48 * 4);
    expect(map.rows * map.channelsPerRow).toBeGreaterThanOrEqual(1000);
  });
});

describe('npy files', () => {
  it.each(['float32', 'int8', 'uint8', 'int32', 'int64', 'float64', 'int4', 'uint2', 'bfloat16'] as const)(
    '%s reads back',
    (dtype: DType) => {
      const values = Array.from({ length: size }, () => Math.floor(next() * 4));
      const signed = values.map((value) => (dtype === 'int4' ? value - 2 : value));
      const back = parseNpy(joined(npyParts(numberTensor(dtype, dims, signed))), {
        file: 'x.npy',
        place: '',
      });
      expect(back.dims).toEqual(dims);
      expect(Array.from(decodeNumbers(back.dtype, back.data, size))).toEqual(signed);
    },
  );

  it('strings are refused', () => {
    const tensor = { dtype: 'string' as const, dims: [1], data: missingBytes(0, '') };
    expect(() => npyParts(tensor)).toThrow('NumPy has no type');
  });
});
