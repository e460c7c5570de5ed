import { describe, expect, it } from 'vitest';
import { memoryBytes } from '../../../src/ir/bytes.ts';
import { floatTensor, readFloats } from '../../../src/ir/numbers.ts';
import { transposed } from '../../../src/passes/support/constants.ts';

describe('matrices are turned', () => {
  it.each([
    [1, 1],
    [2, 5],
    [32, 33],
    [100, 31],
    [700, 500],
  ])('%d x %d', (rows, columns) => {
    const floats = Float32Array.from({ length: rows * columns }, (_, at) => at);
    const tensor = floatTensor([rows, columns], floats);
    // Where a file puts them, too: not on a multiple of four bytes.
    const odd = new Uint8Array(floats.byteLength + 1);
    odd.set(new Uint8Array(floats.buffer), 1);
    for (const data of [tensor.data, memoryBytes(odd.subarray(1))]) {
      const turned = transposed({ ...tensor, data }, [1, 0]);
      expect(turned.dims).toEqual([columns, rows]);
      const expected = floats.map((_, at) => (at % rows) * columns + Math.floor(at / rows));
      expect(readFloats(turned)).toEqual(expected);
    }
  });
});
