import { describe, expect, it } from 'vitest';
import { computedBytes } from '../../../src/ir/bytes.ts';
import { changedTensor, eachPiece } from '../../../src/passes/support/pieces.ts';
import { floatTensor, numberTensor, readFloats } from '../../../src/ir/numbers.ts';
import type { Tensor } from '../../../src/ir/tensor.ts';
import type { Cut, Scope } from '../../../src/passes/pruneMagnitude/smallest.ts';
import { smallestOf } from '../../../src/passes/pruneMagnitude/smallest.ts';
import { groupwise } from '../../../src/passes/pruneMagnitude/patterns.ts';
import { random } from './runtime.ts';

const step = async () => {};

function goes({ magnitude, equalUntil }: Cut, value: number, place: number): boolean {
  const size = Math.abs(value);
  return size < magnitude || (size === magnitude && place < equalUntil);
}

/** Scores of every element, by sorting. */
function scores(values: Float32Array, scope: Scope): Float64Array {
  const order = [...values.keys()].sort(
    (a, b) => Math.abs(values[a] as number) - Math.abs(values[b] as number) || a - b,
  );
  const found = new Float64Array(values.length);
  let rest = 0;
  for (const place of order.toReversed()) {
    const size = Math.abs(values[place] as number);
    rest += size ** 2;
    found[place] = scope !== 'lamp' ? size : size === 0 ? 0 : size ** 2 / rest;
  }
  return found;
}

const seeded = (seed: number): Float32Array[] => {
  const next = random(seed);
  return Array.from({ length: 5 }, (_, layer) => {
    const scale = 10 ** (2 - layer);
    const coarse = layer === 2;
    return Float32Array.from({ length: 40 + 300 * layer }, () => {
      const value = scale * (next() + next() - 1);
      return coarse ? Math.round((value * 10) / scale) : value;
    });
  });
};

describe('the smallest weights', () => {
  it.each(
    (['layer', 'global', 'lamp'] as const).flatMap((scope) =>
      [0, 0.001, 0.3, 0.5, 0.9, 1].map((share) => [scope, share] as const),
    ),
  )('by %s, a share of %f: as by sorting', async (scope, share) => {
    for (const seed of [1, 2, 3]) {
      const layers = seeded(seed);
      const cuts = await smallestOf(
        layers.map((values) => floatTensor([values.length], values)),
        share,
        scope,
        step,
      );
      const all = layers.map((values) => scores(values, scope));
      const total = layers.reduce((sum, { length }) => sum + length, 0);
      const groups = scope === 'layer' ? all.map((_, index) => [index]) : [[...all.keys()]];
      for (const group of groups) {
        const gone: number[] = [];
        const kept: number[] = [];
        for (const layer of group)
          for (const [place, value] of (layers[layer] as Float32Array).entries())
            (goes(cuts[layer] as Cut, value, place) ? gone : kept).push(
              (all[layer] as Float64Array)[place] as number,
            );
        const size = scope === 'layer' ? gone.length + kept.length : total;
        expect(gone).toHaveLength(Math.round(share * size));
        // Among equal magnitudes it is free which is counted first; sums differ in their last bits.
        expect(Math.max(...gone, 0)).toBeLessThanOrEqual(Math.min(...kept, Number.MAX_VALUE) * (1 + 1e-12));
      }
      for (const [index, { count, zeros }] of cuts.entries()) {
        const values = layers[index] as Float32Array;
        expect(values.filter((value, place) => goes(cuts[index] as Cut, value, place))).toHaveLength(count);
        expect(values.filter((value) => value === 0)).toHaveLength(zeros);
      }
    }
  });

  it('leaves what is not finite, and takes the first of equal ones', async () => {
    const odd = Float32Array.of(3, Number.NaN, -3, Number.POSITIVE_INFINITY, 3, 0, -0, 3);
    const [cut] = await smallestOf([floatTensor([8], odd)], 0.5, 'lamp', step);
    expect(cut).toEqual({ magnitude: 3, equalUntil: 3, count: 4, zeros: 2 });
    const [most] = await smallestOf([floatTensor([8], odd)], 1, 'global', step);
    expect(most?.count).toBe(6);
  });
});

describe('tensors that are changed piece by piece', () => {
  const large = (dtype: 'float32' | 'float16'): Tensor => {
    const next = random(5);
    const values = Float32Array.from({ length: 700_001 }, () => next() - 0.5);
    const { data, ...tensor } = numberTensor(dtype, [700_001], values);
    const bytes = data.read();
    return {
      ...tensor,
      data: computedBytes(bytes.length, (from, length) => bytes.slice(from, from + length)),
    };
  };

  it.each(['float32', 'float16'] as const)('%s: any range of bytes is that of the whole', (dtype) => {
    const tensor = large(dtype);
    const half = (floats: Float32Array, first: number) => {
      for (let i = 0; i < floats.length; i += 1)
        if ((first + i) % 3 === 0) floats[i] = 0;
        else floats[i] = -(floats[i] as number);
    };
    const { data } = changedTensor(tensor, half);
    const whole = data.read();
    const floats = readFloats(tensor);
    half(floats, 0);
    expect(Buffer.compare(whole, numberTensor(dtype, tensor.dims, floats).data.read())).toBe(0);
    for (const [from, length] of [
      [0, 1],
      [1, 7],
      [262_143, 300_001],
      [whole.length - 5, 99],
    ] as const)
      expect(Buffer.compare(data.read(from, length), whole.subarray(from, from + length))).toBe(0);
    expect(data.slice(1001, 5000).read(3, 8)).toEqual(whole.subarray(1004, 1012));
    let seen = 0;
    eachPiece(tensor, (piece, first) => {
      expect(first).toBe(seen);
      seen += piece.length;
    });
    expect(seen).toBe(700_001);
  });

  it.each([
    [[1030, 515], 0],
    [[1030, 515], 1],
    [[64, 103, 9, 9], 1],
  ] as const)('N of M in %o along axis %i: whole groups, whatever is read', (dims, axis) => {
    const next = random(9);
    const size = dims.reduce((product: number, dim) => product * dim, 1);
    const values = Float32Array.from({ length: size }, () => (next() < 0.1 ? 0 : next() - 0.5));
    const tensor = floatTensor(dims, values);
    const after = groupwise(tensor, axis, { keep: 2, of: 4 });
    if (after === undefined) throw new Error('it fits');
    const whole = after.data.read();
    for (const [from, length] of [
      [4, 8],
      [300_000, 280_004],
      [whole.length - 4096, 4096],
    ] as const)
      expect(Buffer.compare(after.data.read(from, length), whole.subarray(from, from + length))).toBe(0);
    const pruned = readFloats(after);
    const inner = dims.slice(axis + 1).reduce((product: number, dim) => product * dim, 1);
    const along = dims[axis] as number;
    for (let row = 0; row < size / along; row += 7) {
      const start = Math.floor(row / inner) * along * inner + (row % inner);
      for (let group = 0; group + 4 <= along; group += 4) {
        const places = [0, 1, 2, 3].map((i) => start + (group + i) * inner);
        const own = places.map((place) => Math.abs(values[place] as number)).sort((a, b) => b - a);
        const left = places.map((place) => Math.abs(pruned[place] as number)).sort((a, b) => b - a);
        expect(left).toEqual([own[0], own[1], 0, 0]);
      }
      for (let i = along - (along % 4); i < along; i += 1)
        expect(pruned[start + i * inner]).toBe(values[start + i * inner]);
    }
    expect(groupwise(tensor, undefined, { keep: 2, of: 4 })).toBeUndefined();
  });
});
