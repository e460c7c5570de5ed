import { describe, expect, it } from 'vitest';
import type { Gram } from '../../../src/analysis/gram.ts';
import { gramOf, plainGram, vectorGram } from '../../../src/analysis/gram.ts';
import { generator } from './random.ts';

const next = generator(41);
const matrix = (rows: number, columns: number, scale = 1) =>
  Float64Array.from({ length: rows * columns }, () => (scale * (next(2000) - 900)) / 700);

describe('products of sampled rows', () => {
  const vectors = vectorGram() as Gram;

  it.each([
    [64, 128],
    [64, 7],
    [3, 100],
    [1, 1],
  ])('%d rows of %d: with vectors as without, and as double precision says', (rows, columns) => {
    const cells = matrix(rows, columns);
    const found = gramOf(cells, rows, columns, vectors);
    expect(found).toEqual(gramOf(cells, rows, columns, plainGram()));
    let trace = 0;
    let squares = 0;
    for (let i = 0; i < rows; i += 1)
      for (let j = 0; j < rows; j += 1) {
        let sum = 0;
        for (let k = 0; k < columns; k += 1)
          sum += (cells[i * columns + k] as number) * (cells[j * columns + k] as number);
        squares += sum * sum;
        if (i === j) trace += sum;
      }
    expect(found.trace ** 2 / found.squares / (trace ** 2 / squares)).toBeCloseTo(1, 5);
  });

  it('does not depend on the size of the numbers', () => {
    const ratio = ({ trace, squares }: { trace: number; squares: number }) => trace ** 2 / squares;
    const cells = matrix(20, 30);
    for (const scale of [2 ** -100, 2 ** 100])
      expect(
        ratio(
          gramOf(
            cells.map((each) => each * scale),
            20,
            30,
          ),
        ),
      ).toBe(ratio(gramOf(cells, 20, 30)));
  });
});
