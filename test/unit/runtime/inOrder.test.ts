import { expect, it } from 'vitest';
import { inOrder } from '../../../src/runtime/measure/inOrder.ts';

it('gives all results in order, whichever is ready first', async () => {
  const waiting: (() => void)[] = [];
  const start = (index: number) =>
    new Promise<number>((resolve) => {
      waiting.push(() => resolve(index));
      // The latest finishes first.
      if (waiting.length === 8 || index === 19) for (const finish of waiting.splice(0).reverse()) finish();
      else if (index >= 8) waiting.pop()?.();
    });
  const results: number[] = [];
  for await (const result of inOrder(20, start)) results.push(result);
  expect(results).toEqual(Array.from({ length: 20 }, (_, index) => index));
  for await (const _ of inOrder(0, start)) throw new Error('there is nothing');
});

it('throws an error at its turn and starts nothing after it', async () => {
  let started = 0;
  const start = async (index: number) => {
    started += 1;
    if (index >= 3) throw new Error(`number ${index}`);
    return index;
  };
  const results: number[] = [];
  const all = async () => {
    for await (const result of inOrder(100, start)) results.push(result);
  };
  await expect(all()).rejects.toThrow('number 3');
  expect(results).toEqual([0, 1, 2]);
  expect(started).toBeLessThan(20);
});
