import { describe, expect, it } from 'vitest';
import { floatTensor } from '../../../src/ir/numbers.ts';
import type { Tensor } from '../../../src/ir/tensor.ts';
import { matrixCodes } from '../../../src/passes/support/matrixCodes.ts';
import { rowCodes } from '../../../src/passes/support/rowCodes.ts';
import type { Grouping } from '../../../src/passes/support/grouping.ts';
import type { WeightBits } from '../../../src/passes/support/weightCodes.ts';
import { byBlock, byChannel } from '../../../src/passes/support/grouping.ts';
import { encodeWeight } from '../../../src/passes/support/weightCodes.ts';
import { generator } from '../analysis/random.ts';

const next = generator(53);
const odd = [0, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e-42, -3e38, 2e-38];

/** Ordinary numbers with, one time in `rare`, others. */
function matrix(rows: number, columns: number, rare: number): Tensor {
  const number = () => (next(4001) - 2000 + next(3) / 2) / 700;
  const floats = Float32Array.from({ length: rows * columns }, () =>
    next(rare) === 0 ? (odd[next(odd.length)] as number) : number(),
  );
  // A column of nothing but zeros, and one of multiples of a code: ties.
  for (let row = 0; row < rows; row += 1) {
    floats[row * columns] = 0;
    if (columns > 1) floats[row * columns + 1] = row === 0 ? 127 : next(254) / 2 - 63.5;
  }
  return floatTensor([rows, columns], floats);
}

function bothWays(tensor: Tensor, grouping: Grouping, bits: WeightBits) {
  let used = 0;
  const noting = <T extends readonly unknown[], R>(way: (...given: T) => R) => {
    return (...given: T) => {
      const found = way(...given);
      if (found !== undefined) used += 1;
      return found;
    };
  };
  const vectors = { matrixCodes: noting(matrixCodes), rowCodes: noting(rowCodes) };
  const made = encodeWeight(tensor, grouping, bits, false, vectors);
  const nothing = () => undefined;
  const plain = encodeWeight(tensor, grouping, bits, false, { matrixCodes: nothing, rowCodes: nothing });
  // Codes first: they make the scales of large tensors.
  const bytes = [made, plain].map(({ codes, scales }) => [codes.data.read(), scales.data.read()] as const);
  return { used, bytes };
}

describe('codes of matrices with vectors', () => {
  const shapes = [
    [1, 1],
    [3, 5],
    [33, 17],
    [64, 16],
    [700, 31],
    // Several windows, and more rows than are looked at for the error.
    [9000, 20],
    [1030, 300],
    [2, 70_001],
  ] as const;
  const groupings = [0, 32, 64] as const;
  const cases = shapes.flatMap((shape) =>
    groupings.flatMap((block) => ([8, 4] as const).map((bits) => [...shape, block, bits] as const)),
  );

  it.each(cases)(
    '%d x %d in blocks of %d, %d bits: the bytes of the plain way',
    (rows, columns, block, bits) => {
      for (const rare of [1_000_000, 40]) {
        const tensor = matrix(rows, columns, rare);
        const dims = [rows, columns] as const;
        const { used, bytes } = bothWays(
          tensor,
          block === 0 ? byChannel(dims, 1) : byBlock(dims, block),
          bits,
        );
        expect(used).toBe(1);
        const [made, plain] = bytes as [(typeof bytes)[0], (typeof bytes)[0]];
        expect(Buffer.compare(made[0], plain[0])).toBe(0);
        expect(Buffer.compare(made[1], plain[1])).toBe(0);
      }
    },
  );

  const tall = [
    [1, 16],
    [5, 17],
    [40, 31],
    [64, 2048],
    [3, 70_001],
    [9000, 27],
  ] as const;
  it.each(tall.flatMap((shape) => ([8, 4] as const).map((bits) => [...shape, bits] as const)))(
    '%d rows of %d with a scale each, %d bits: the bytes of the plain way',
    (rows, columns, bits) => {
      for (const rare of [1_000_000, 40]) {
        const { used, bytes } = bothWays(matrix(rows, columns, rare), byChannel([rows, columns], 0), bits);
        expect(used).toBe(1);
        const [made, plain] = bytes as [(typeof bytes)[0], (typeof bytes)[0]];
        expect(Buffer.compare(made[0], plain[0])).toBe(0);
        expect(Buffer.compare(made[1], plain[1])).toBe(0);
      }
    },
  );

  it('leaves what they cannot do to the plain way', () => {
    expect(bothWays(matrix(20, 9, 99), byChannel([20, 9], 0), 8).used).toBe(0);
    expect(bothWays(matrix(20, 30, 99), byChannel([20, 30], 1), 2).used).toBe(0);
    expect(bothWays(floatTensor([3, 5, 16], new Float32Array(240)), byChannel([3, 5, 16], 1), 8).used).toBe(
      0,
    );
  });
});
