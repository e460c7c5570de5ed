import { describe, expect, it, vi } from 'vitest';
import type { Method } from '../../../src/engine/protocol.ts';
import { takeTurns } from '../../../src/engine/turns.ts';

/** Turns that note what was begun; `gone()` lets the answer of the last call leave. */
function scene({ answers = false } = {}) {
  const begun: string[] = [];
  let gone: (() => void) | undefined;
  const turns = takeTurns(({ method, id }) => {
    begun.push(`${method} ${id}`);
    if (answers) gone = turns.answering();
  });
  const add = (...methods: Method[]) =>
    methods.forEach((method, i) => turns.add({ id: i, method, params: {} }));
  return { begun, turns, add, gone: () => gone?.() };
}

const nextTurn = () => new Promise((done) => void setImmediate(done));

describe('the turns of calls', () => {
  it('begin with what a picture waits for', async () => {
    const { begun, add } = scene();
    add('inspect', 'check', 'open', 'release', 'graph');
    expect(begun).toEqual([]);
    await vi.waitFor(() => expect(begun).toHaveLength(5));
    expect(begun).toEqual(['open 2', 'graph 4', 'inspect 0', 'check 1', 'release 3']);
  });

  it('are one per turn of the event loop, so that what one call answers can leave', async () => {
    const { begun, add } = scene();
    add('graph', 'node');
    await nextTurn();
    expect(begun).toEqual(['graph 0']);
    await vi.waitFor(() => expect(begun).toEqual(['graph 0', 'node 1']));
  });

  it('wait until an answer has left', async () => {
    const { begun, add, gone } = scene({ answers: true });
    add('graph', 'check');
    await vi.waitFor(() => expect(begun).toEqual(['graph 0']));
    for (let i = 0; i < 5; i++) await nextTurn();
    expect(begun).toEqual(['graph 0']);
    gone();
    await vi.waitFor(() => expect(begun).toEqual(['graph 0', 'check 1']));
  });

  it('are given back by calls that were not begun', async () => {
    const { begun, turns, add } = scene();
    add('check', 'graph');
    expect(turns.drop(0)).toBe(true);
    expect(turns.drop(7)).toBe(false);
    await vi.waitFor(() => expect(begun).toEqual(['graph 1']));
    expect(turns.drop(1)).toBe(false);
    await nextTurn();
    expect(begun).toEqual(['graph 1']);
  });
});
