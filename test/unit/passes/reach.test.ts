import { describe, expect, it } from 'vitest';
import { reachesOf } from '../../../src/passes/equalize/reach.ts';
import { random } from './runtime.ts';

describe('largest products of rows with lists of numbers', () => {
  it.each([
    [1, 16, 1],
    [5, 17, 3],
    [300, 33, 15],
    [2000, 64, 4],
    [9, 4, 2],
    [0, 20, 2],
  ])('of %i rows of %i under %i trials', (rows, columns, count) => {
    const next = random(rows + columns);
    const numbers = (length: number) => Float32Array.from({ length }, () => 3 * next());
    const matrix = numbers(rows * columns);
    const trials = Array.from({ length: count }, () => numbers(columns));
    const found = reachesOf(matrix, columns, trials);
    expect(found).toEqual(reachesOf(matrix, columns, trials, () => undefined));
    const wanted = trials.map((by) =>
      Float32Array.from({ length: rows }, (_, row) =>
        Math.max(...by.map((factor, i) => factor * (matrix[row * columns + i] as number))),
      ),
    );
    expect(found).toEqual(wanted);
  });
});
