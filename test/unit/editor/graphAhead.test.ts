import { describe, expect, it } from 'vitest';
import { graphAhead } from '../../../src/editor/page/graphAhead.ts';
import type { Result } from '../../../src/engine/protocol.ts';

function setUp() {
  const loads: { resolve: (name: string) => void; reject: (error: Error) => void }[] = [];
  const now = { key: 'first' };
  const ahead = graphAhead(
    () => now.key,
    () =>
      new Promise((resolve, reject) =>
        loads.push({ resolve: (name) => resolve(name as unknown as Result<'graph'>), reject }),
      ),
  );
  return { ahead, loads, now };
}

describe('a graph that is asked for ahead', () => {
  it('answers the page once, then asks again', async () => {
    const { ahead, loads } = setUp();
    ahead.ask();
    const taken = ahead.take({});
    expect(loads.length).toBe(1);
    loads[0]!.resolve('graph');
    expect(await taken).toBe('graph');
    void ahead.take({});
    expect(loads.length).toBe(2);
  });

  it('is not used when something has changed since', async () => {
    const { ahead, loads, now } = setUp();
    ahead.ask();
    now.key = 'second';
    const taken = ahead.take({});
    expect(loads.length).toBe(2);
    loads[0]!.resolve('former');
    loads[1]!.resolve('present');
    expect(await taken).toBe('present');
  });

  it('is asked for again after a failure, whose reason the page then hears', async () => {
    const { ahead, loads } = setUp();
    ahead.ask();
    loads[0]!.reject(new Error('the engine died'));
    const taken = ahead.take({});
    await expect.poll(() => loads.length).toBe(2);
    loads[1]!.reject(new Error('no such file'));
    await expect(taken).rejects.toThrow('no such file');
  });

  it('that nobody comes for may fail', async () => {
    const { ahead, loads } = setUp();
    ahead.ask();
    loads[0]!.reject(new Error('the engine died'));
    await Promise.resolve();
  });
});
