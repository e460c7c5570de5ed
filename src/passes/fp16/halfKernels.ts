import type { Code } from '../../ir/wasm/instructions.ts';
import { floats, i32, lanes32, load, op, repeat, shuffle, store } from '../../ir/wasm/instructions.ts';
import type { Variable } from '../../ir/wasm/kernel.ts';
import { advance, below, kernel } from '../../ir/wasm/kernel.ts';

/** Whole steps of eight numbers are converted. */
export const stepBytes = 32;

const bits = lanes32;
const infinity = bits(0x7f800000);
const magnitude = (x: Code): Code => op('v128.and', x, bits(0x7fffffff));
const isNaNOf = (size: Code): Code => op('i32x4.gt_s', size, infinity);

/** The lower halves of eight words. */
const narrow = (low: Code, high: Code): Code =>
  shuffle(
    low,
    high,
    Array.from({ length: 16 }, (_, byte) => (byte >> 1) * 4 + (byte & 1)),
  );

/** Adds to each word what makes cutting its last bits off a rounding to the nearest, ties to even. */
const rounded = (x: Code, shift: number): Code => {
  const even = op('v128.and', op('i32x4.shr_u', x, i32(shift)), bits(1));
  return op('i32x4.add', op('i32x4.add', x, bits(2 ** (shift - 1) - 1)), even);
};

type Halves = readonly [Variable, Variable];

/** Eight numbers at a time: `convert` makes one of `halves` of the four numbers at an offset. */
function converting(
  { at, to, out }: Readonly<Record<'at' | 'to' | 'out', Variable>>,
  halves: Halves,
  convert: (result: Variable, offset: number) => Code,
): Code {
  const [low, high] = halves;
  return repeat(
    below(at, to),
    ...halves.map((half, index) => convert(half, 16 * index)),
    store('v128.store', out.get, narrow(low.get, high.get)),
    advance(at, stepBytes),
    advance(out, stepBytes / 2),
  );
}

/** float16(from, to, out, beyond): finite numbers beyond the range become its end, and are counted in four lanes. */
const float16 = kernel({
  name: 'float16',
  parameters: { at: 'i32', to: 'i32', out: 'i32', beyond: 'i32' },
  locals: { x: 'v128', size: 'v128', outside: 'v128', count: 'v128', halves: ['v128', 'v128'] },
  body({ at, to, out, beyond, x, size, outside, count, halves }) {
    const halved = (result: Variable, offset: number): Code => {
      const normal = op('i32x4.shr_u', rounded(op('i32x4.sub', size.get, bits(0x38000000)), 13), i32(13));
      // Half an ulp of the sum with 0.5 is half the smallest float16.
      const small = op('i32x4.sub', op('f32x4.add', size.get, floats(0.5)), floats(0.5));
      const isSmall = op('i32x4.gt_s', bits(0x38800000), size.get);
      const take = (other: Code, where: Code) => result.set(op('v128.bitselect', other, result.get, where));
      return [
        ...x.set(load('v128.load', at.get, offset)),
        ...size.set(magnitude(x.get)),
        ...outside.set(
          op('v128.and', op('i32x4.gt_s', size.get, floats(65504)), op('i32x4.gt_s', infinity, size.get)),
        ),
        ...count.set(op('i32x4.sub', count.get, outside.get)),
        ...result.set(op('v128.bitselect', small, normal, isSmall)),
        ...take(bits(0x7bff), outside.get),
        ...take(bits(0x7c00), op('i32x4.eq', size.get, infinity)),
        ...take(bits(0x7e00), isNaNOf(size.get)),
        ...result.set(
          op('v128.or', result.get, op('v128.and', op('i32x4.shr_u', x.get, i32(16)), bits(0x8000))),
        ),
      ];
    };
    return [
      count.set(load('v128.load', beyond.get)),
      converting({ at, to, out }, halves, halved),
      store('v128.store', beyond.get, count.get),
    ];
  },
});

/** bfloat16(from, to, out). */
const bfloat16 = kernel({
  name: 'bfloat16',
  parameters: { at: 'i32', to: 'i32', out: 'i32' },
  locals: { x: 'v128', halves: ['v128', 'v128'] },
  body({ at, to, out, x, halves }) {
    const shortened = (result: Variable, offset: number): Code => {
      const upper = op('i32x4.shr_u', rounded(x.get, 16), i32(16));
      return [
        ...x.set(load('v128.load', at.get, offset)),
        ...result.set(op('v128.bitselect', bits(0x7fc0), upper, isNaNOf(magnitude(x.get)))),
      ];
    };
    return [converting({ at, to, out }, halves, shortened)];
  },
});

/** Functions over float32 numbers in memory, from a place to another, that write two bytes for each. */
export const halfKernels = [float16, bfloat16] as const;
