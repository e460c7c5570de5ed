import { describe, expect, it } from 'vitest';
import { memoryBytes } from '../../../src/ir/bytes.ts';
import type { Bytes } from '../../../src/ir/bytes.ts';
import { floatTensor, numberTensor } from '../../../src/ir/numbers.ts';
import type { Converter } from '../../../src/passes/fp16/halves.ts';
import { halved, plainConverter, vectorConverter } from '../../../src/passes/fp16/halves.ts';
import { generator } from '../analysis/random.ts';

const next = generator(67);

/** All exponents and signs; ties and their neighbours; no NaN, of which nothing says what becomes of its sign. */
function anyFloats(count: number): Float32Array {
  const words = Uint32Array.from({ length: count }, () => {
    const exponent = next(256);
    const mantissa = [0, 0x1000, 0xfff, 0x1001, 0x3000, 0x8000, 0x7fff, 0x18000, 0x7fffff, next(1 << 23)][
      next(10)
    ];
    return ((next(2) << 31) | (exponent << 23) | (exponent === 255 ? 0 : (mantissa as number))) >>> 0;
  });
  return new Float32Array(words.buffer);
}

describe('16 bits of float32 with vectors', () => {
  const vectors = vectorConverter() as Converter;
  const types = ['float16', 'bfloat16'] as const;

  it.each(types.flatMap((type) => [1, 7, 8, 100_003, 400_001].map((count) => [type, count] as const)))(
    '%s of %d numbers: as number by number',
    (type, count) => {
      const tensor = floatTensor([count], anyFloats(count));
      const made = halved(tensor, type, vectors);
      const plain = halved(tensor, type, plainConverter());
      expect(made.clamped).toBe(plain.clamped);
      expect(Buffer.compare(made.tensor.data.read(), plain.tensor.data.read())).toBe(0);
    },
  );

  it('converts what is not a number', () => {
    const tensor = floatTensor([3], Float32Array.of(1, Number.NaN, -1));
    expect(Array.from(halved(tensor, 'float16').tensor.data.read())).toEqual([0, 0x3c, 0, 0x7e, 0, 0xbc]);
    expect(Array.from(halved(tensor, 'bfloat16').tensor.data.read())).toEqual([
      0x80, 0x3f, 0xc0, 0x7f, 0x80, 0xbf,
    ]);
  });

  it.each(types)('%s: any range of a large constant can be read', (type) => {
    const numbers = anyFloats(300_001);
    const { data } = halved(floatTensor([numbers.length], numbers), type).tensor;
    // Elements beyond float16 become its ends, which the encoder would make infinite.
    const expected = halved(
      floatTensor([numbers.length], numbers),
      type,
      plainConverter(),
    ).tensor.data.read();
    if (type === 'bfloat16')
      expect(Buffer.compare(expected, numberTensor(type, [numbers.length], numbers).data.read())).toBe(0);
    for (const [offset, length] of [
      [0, 10],
      [3, 7],
      [131_071, 5],
      [262_141, 262_150],
      [600_000, 10],
    ] as const) {
      expect(Buffer.compare(data.read(offset, length), expected.subarray(offset, offset + length))).toBe(0);
      expect(
        Buffer.compare(
          data.slice(5, 600_000).read(offset, length),
          expected.subarray(5, 600_005).subarray(offset, offset + length),
        ),
      ).toBe(0);
    }
  });

  it('does not hold a large constant in memory', () => {
    let most = 0;
    const source: Bytes = {
      length: 4 << 20,
      read: (_offset = 0, length = 4 << 20) => {
        most = Math.max(most, length);
        return new Uint8Array(length);
      },
      slice: () => source,
    };
    const { tensor } = halved({ dtype: 'float32', dims: [1 << 20], data: source });
    tensor.data.read(1 << 19, 1 << 20);
    expect(most).toBeLessThan(1 << 20);
    expect(memoryBytes(tensor.data.read()).length).toBe(2 << 20);
  });
});
