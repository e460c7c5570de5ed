import { describe, expect, it } from 'vitest';
import { joinedCounts, plainCounter, vectorCounter } from '../../../src/analysis/counter.ts';
import type { Counter } from '../../../src/analysis/counter.ts';
import { countRun } from '../../../src/analysis/weightCount.ts';
import { memoryBytes } from '../../../src/ir/bytes.ts';
import type { DType } from '../../../src/ir/dtype.ts';
import { bitsOf } from '../../../src/ir/dtype.ts';
import { encodeNumbers } from '../../../src/ir/numbers.ts';
import { generator } from './random.ts';

const next = generator(31);

/** Every bit pattern may stand anywhere: numbers, infinities, NaN, denormals and zeros of both signs. */
function anyBytes(length: number): Uint8Array {
  return Uint8Array.from({ length }, () => (next(5) === 0 ? 0 : next(256)));
}

describe('counting with vectors', () => {
  const vectors = vectorCounter() as Counter;
  const plain = plainCounter();

  it('runs here', () => {
    expect(vectors).toBeDefined();
  });

  const types: readonly DType[] = [
    'float32',
    'float16',
    'bfloat16',
    'int16',
    'int8',
    'uint8',
    'int4',
    'float8e4m3fn',
  ];
  const sizes = [0, 4, 60, 64, 68, 4_000, 70_004, 300_000];
  it.each(types.flatMap((dtype) => sizes.map((size) => [dtype, size] as const)))(
    '%s, %d bytes: as counting one by one',
    (dtype, size) => {
      const data = memoryBytes(anyBytes(size));
      const dims = [(size * 8) / bitsOf(dtype)];
      const task = { dtype, dims, outputAxis: undefined, data, from: 0, to: size };
      expect(countRun(task, vectors)).toEqual(countRun(task, plain));
    },
  );

  it('counts what is one by one of the elements themselves', () => {
    const data = anyBytes(10_000);
    const words = new Uint16Array(data.buffer);
    const task = { dims: [5000], outputAxis: undefined, data: memoryBytes(data), from: 0, to: 10_000 };
    const { table } = countRun({ ...task, dtype: 'float16' }, plain);
    for (const code of [0, 1, 255, 0x7c00, 0xffff])
      expect(table[code]).toBe(words.filter((word) => word === code).length);
    const bytes = countRun({ ...task, dtype: 'int8' }, plain).table;
    expect(bytes[0]).toBe(data.filter((byte) => byte === 0).length);
  });

  it('tells exact zeros from the smallest numbers, and leaves infinity out of the extremes', () => {
    const numbers = [
      0,
      -0,
      1e-45,
      -1e-42,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      3.25,
      Number.NEGATIVE_INFINITY,
      -7.5,
    ];
    const data = memoryBytes(encodeNumbers('float32', numbers));
    const task = { dtype: 'float32', dims: [9], outputAxis: undefined, data, from: 0, to: 36 } as const;
    for (const counter of [vectors, plain])
      expect(countRun(task, counter).floats).toEqual({ min: -7.5, max: 3.25, zeros: 2 });
  });

  it('joins runs into what one run sees', () => {
    const data = memoryBytes(anyBytes(800_000));
    const task = { dtype: 'float32', dims: [200_000], outputAxis: undefined, data } as const;
    const whole = countRun({ ...task, from: 0, to: 800_000 }, vectors);
    const parts = [0, 1].map((half) =>
      countRun({ ...task, from: half * 400_000, to: (half + 1) * 400_000 }, vectors),
    );
    const joined = joinedCounts(parts);
    expect(Array.from(joined.table)).toEqual(Array.from(whole.table));
    expect(joined.floats).toEqual(whole.floats);
  });
});
