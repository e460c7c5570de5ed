import { describe, expect, it, vi } from 'vitest';
import { onceMore, readAhead } from '../../../src/engine/observe/readAhead.ts';
import type { Dataset } from '../../../src/runtime/data/dataset.ts';
import { randomDataset } from '../../../src/runtime/data/random.ts';

function pictures(batch: number): Dataset {
  const info = { name: 'x', dtype: 'float32', dims: [batch, 3, 4] } as const;
  return randomDataset([info, { ...info, name: 'z', dims: [batch, 2] }], { seed: 3, count: 40 });
}

const bytes = 4 * (3 * 4 + 2);

describe('samples made ahead', () => {
  it.each([
    ['a free batch', -1, [0, 1, 0, 32, 32, 5, 37, 16]],
    ['a batch of four', 4, [0, 4, 4, 4, 8, 4, 36, 4]],
  ] as const)('of %s are those of the dataset, whatever is asked for and when', async (_, batch, asked) => {
    const data = pictures(batch);
    const ahead = readAhead(data, [0, 40]);
    for (let i = 0; i < asked.length; i += 2) {
      const [first = 0, count] = asked.slice(i);
      expect(ahead.data.feeds(first, count)).toEqual(data.feeds(first, count));
    }
    ahead.stop();
  });

  it('are made once, no more of them than there is room for, and none after the end', async () => {
    const data = pictures(-1);
    const feeds = vi.fn(data.feeds);
    const ahead = readAhead({ ...data, feeds }, [0, 40], 4 * bytes);
    // The one that fills the room up is made.
    await vi.waitFor(() => expect(feeds).toHaveBeenCalledTimes(5));
    ahead.data.feeds(0, 5);
    await vi.waitFor(() => expect(feeds).toHaveBeenCalledTimes(10));
    for (let first = 5; first < 40; first += 5) ahead.data.feeds(first, 5);
    expect(feeds).toHaveBeenCalledTimes(40);
    expect(feeds.mock.calls.map(([first]) => first)).toEqual([...Array(40).keys()]);
    ahead.stop();
  });

  it('that cannot be made fail where they are asked for', async () => {
    const data = pictures(-1);
    const feeds = vi.fn((first: number, count?: number) => {
      if (first === 2) throw new RangeError('a broken picture');
      return data.feeds(first, count);
    });
    const ahead = readAhead({ ...data, feeds }, [0, 40]);
    await vi.waitFor(() => expect(feeds).toHaveBeenCalledTimes(3));
    expect(ahead.data.feeds(0, 2)).toEqual(data.feeds(0, 2));
    expect(() => ahead.data.feeds(2, 2)).toThrow('a broken picture');
    ahead.stop();
  });
});

describe('samples looked at before', () => {
  it('are made once more only after they were given again, or where there is no room', () => {
    const data = pictures(-1);
    const feeds = vi.fn(data.feeds);
    const again = onceMore({ ...data, feeds }, 3 * bytes);
    for (let first = 0; first < 5; first += 1) again.keep(first, data.feeds(first));
    for (const first of [0, 1, 2]) expect(again.feeds(first)).toEqual(data.feeds(first, 1));
    expect(feeds).not.toHaveBeenCalled();
    for (const first of [0, 3, 4]) expect(again.feeds(first, 1)).toEqual(data.feeds(first, 1));
    expect(again.feeds(0, 4)).toEqual(data.feeds(0, 4));
    expect(feeds).toHaveBeenCalledTimes(4);
  });
});
