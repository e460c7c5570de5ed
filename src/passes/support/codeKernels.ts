import type { Code, Variable, WasmFunction } from '../../ir/wasm/assembler.ts';
import { floats, i32, lanes32, load, op, repeat, shuffle, store } from '../../ir/wasm/assembler.ts';

/** Columns are taken this many at a time; there is room behind every row and every list for as many. */
export const columnStep = 16;

type Kernel<Name extends string> = WasmFunction & { readonly name: Name };

const first = Array.from({ length: 4 }, (_, index) => index);
const below = (at: Variable, end: Variable): Code => op('i32.lt_u', at.get, end.get);
const advance = (at: Variable, by: Code): Code => at.set(op('i32.add', at.get, by));

/** largest(from, to, rowBytes, most): the largest magnitude of each column of rows, and what `most` holds already. */
const largest: Kernel<'largest'> = {
  name: 'largest',
  parameters: ['i32', 'i32', 'i32', 'i32'],
  locals: ['i32', 'i32', 'i32'],
  body(row, to, rowBytes, most, at, end, out) {
    const vectors = first.map((index) => {
      const size = op('f32x4.abs', load('v128.load', at.get, 16 * index));
      const more = op('f32x4.pmax', load('v128.load', out.get, 16 * index), size);
      return store('v128.store', out.get, more, 16 * index);
    });
    return [
      repeat(
        below(row, to),
        at.set(row.get),
        end.set(op('i32.add', row.get, rowBytes.get)),
        out.set(most.get),
        repeat(below(at, end), ...vectors, advance(at, i32(64)), advance(out, i32(64))),
        advance(row, rowBytes.get),
      ),
    ];
  },
};

const halves = [0, 1] as const;
/** Both upper numbers of four floats first. */
const upper = (vector: Code): Code =>
  shuffle(vector, vector, [8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7]);
const doubles = (vector: Code, half: 0 | 1): Code =>
  op('f64x2.promote_low_f32x4', half === 0 ? vector : upper(vector));

/** trial(largest, to, out, share, top, least): scales share x largest / top, or 1 where that is not above `least`. */
const trial: Kernel<'trial'> = {
  name: 'trial',
  parameters: ['i32', 'i32', 'i32', 'f64', 'f64', 'f64'],
  locals: ['v128', 'v128', 'v128'],
  body(at, to, out, share, top, least, size, low, high) {
    const splat = (number: Variable) => op('f64x2.splat', number.get);
    const scale = (half: 0 | 1) =>
      op('f64x2.div', op('f64x2.mul', splat(share), doubles(size.get, half)), splat(top));
    const usable = (made: Variable) => {
      // 1 as the bits of two doubles.
      const one = op('f64x2.promote_low_f32x4', floats(1));
      const kept = op('v128.bitselect', made.get, one, op('f64x2.gt', made.get, splat(least)));
      return op('f32x4.demote_f64x2_zero', kept);
    };
    const both = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];
    return [
      repeat(
        below(at, to),
        size.set(load('v128.load', at.get)),
        low.set(scale(0)),
        high.set(scale(1)),
        store('v128.store', out.get, shuffle(usable(low), usable(high), both)),
        advance(at, i32(16)),
        advance(out, i32(16)),
      ),
    ];
  },
};

/** Adding and taking away 1.5 x 2^23 rounds to the nearest integer, ties to even, as QuantizeLinear does. */
const roundingBias = floats(12_582_912);

/** The nearest code as a float; NaN stays. */
const nearest = (value: Code, scale: Code, bias: Code, low: Variable, high: Variable): Code => {
  const rounded = op('f32x4.sub', op('f32x4.add', op('f32x4.div', value, scale), bias), bias);
  return op('f32x4.pmax', op('f32x4.pmin', rounded, high.get), low.get);
};

/** Trials whose errors are taken together: the numbers they look at are read and widened once. */
export const trialsTogether = 3;
const trials = Array.from({ length: trialsTogether }, (_, index) => index);

/**
 * errors(from, to, rowBytes, columns, scales, sums, low, high): adds the squared errors of each column's codes to its sum, for
 * `trialsTogether` lists of scales and sums, one behind the other.
 */
const errors: Kernel<'errors'> = {
  name: 'errors',
  parameters: ['i32', 'i32', 'i32', 'i32', 'i32', 'i32', 'f32', 'f32'],
  locals: [
    'i32',
    'i32',
    'i32',
    'i32',
    ...Array.from({ length: 8 + 5 * trialsTogether }, () => 'v128' as const),
  ],
  body(from, to, rowBytes, left, scales, sums, low, high, at, step, scaleAt, sumAt, ...vectors) {
    const [lowest, highest, bias, value, code, error, lower, upperHalf, ...rest] = vectors as [
      Variable,
      Variable,
      Variable,
      Variable,
      Variable,
      Variable,
      Variable,
      Variable,
      ...Variable[],
    ];
    const wideValue = (half: 0 | 1) => (half === 0 ? lower : upperHalf);
    const scale = (trial: number) => rest[trial] as Variable;
    const sum = (trial: number, half: 0 | 1) => rest[trialsTogether + 2 * trial + half] as Variable;
    const wideScale = (trial: number, half: 0 | 1) => rest[3 * trialsTogether + 2 * trial + half] as Variable;
    const added = (trial: number, half: 0 | 1): Code => {
      const product = op('f64x2.mul', wideScale(trial, half).get, doubles(code.get, half));
      const square = op('f64x2.mul', error.get, error.get);
      return [
        ...error.set(op('f64x2.sub', wideValue(half).get, product)),
        ...sum(trial, half).set(op('f64x2.add', sum(trial, half).get, square)),
      ];
    };
    // Before the columns, of which each takes 4 bytes of scales and 8 of sums.
    const overTrials = (each: (trial: number) => Code): Code => [
      ...scaleAt.set(scales.get),
      ...sumAt.set(sums.get),
      ...trials.flatMap((trial) => [
        ...each(trial),
        ...advance(scaleAt, step.get),
        ...advance(sumAt, op('i32.shl', step.get, i32(1))),
      ]),
    ];
    return [
      lowest.set(op('f32x4.splat', low.get)),
      highest.set(op('f32x4.splat', high.get)),
      bias.set(roundingBias),
      step.set(op('i32.shl', left.get, i32(2))),
      repeat(
        left.tee(op('i32.sub', left.get, i32(4))),
        overTrials((trial) => [
          ...scale(trial).set(load('v128.load', scaleAt.get)),
          ...halves.flatMap((half) => wideScale(trial, half).set(doubles(scale(trial).get, half))),
          ...halves.flatMap((half) => sum(trial, half).set(load('v128.load', sumAt.get, 16 * half))),
        ]),
        at.set(from.get),
        repeat(
          below(at, to),
          value.set(load('v128.load', at.get)),
          ...halves.map((half) => wideValue(half).set(doubles(value.get, half))),
          ...trials.flatMap((trial) => [
            code.set(nearest(value.get, scale(trial).get, bias.get, lowest, highest)),
            ...halves.map((half) => added(trial, half)),
          ]),
          advance(at, rowBytes.get),
        ),
        overTrials((trial) =>
          halves.flatMap((half) => store('v128.store', sumAt.get, sum(trial, half).get, 16 * half)),
        ),
        advance(from, i32(16)),
        advance(to, i32(16)),
        advance(scales, i32(16)),
        advance(sums, i32(32)),
      ),
    ];
  },
};

/** choose(errors, to, least, scales, best): takes over errors, and the scales they belong to, that are less. */
const choose: Kernel<'choose'> = {
  name: 'choose',
  parameters: ['i32', 'i32', 'i32', 'i32', 'i32'],
  locals: ['v128', 'v128'],
  body(at, to, least, scales, best, ...kept) {
    const takeOver = halves.map((half) => {
      const keeps = kept[half] as Variable;
      const error = load('v128.load', at.get, 16 * half);
      const before = load('v128.load', least.get, 16 * half);
      return [
        ...keeps.set(op('f64x2.ge', error, before)),
        ...store('v128.store', least.get, op('v128.bitselect', before, error, keeps.get), 16 * half),
      ];
    });
    // The lower half of each double's mask.
    const masks = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27];
    const [low, high] = kept as [Variable, Variable];
    const chosen = op(
      'v128.bitselect',
      load('v128.load', best.get),
      load('v128.load', scales.get),
      shuffle(low.get, high.get, masks),
    );
    return [
      repeat(
        below(at, to),
        ...takeOver,
        store('v128.store', best.get, chosen),
        advance(at, i32(32)),
        advance(least, i32(32)),
        advance(scales, i32(16)),
        advance(best, i32(16)),
      ),
    ];
  },
};

/** codes(from, to, rowBytes, scales, out, low, high): a byte per element; each row overwrites what the one before wrote past its end. */
const codes: Kernel<'codes'> = {
  name: 'codes',
  parameters: ['i32', 'i32', 'i32', 'i32', 'i32', 'f32', 'f32'],
  locals: ['i32', 'i32', 'i32', 'i32', 'v128', 'v128', 'v128'],
  body(row, to, rowBytes, scales, rowOut, low, high, at, end, scale, out, bias, lowest, highest) {
    const code = (index: number) => {
      const value = load('v128.load', at.get, 16 * index);
      // What is not a number becomes 0.
      return op(
        'i32x4.trunc_sat_f32x4_s',
        nearest(value, load('v128.load', scale.get, 16 * index), bias.get, lowest, highest),
      );
    };
    const pair = (index: number) => op('i16x8.narrow_i32x4_s', code(index), code(index + 1));
    return [
      lowest.set(op('f32x4.splat', low.get)),
      highest.set(op('f32x4.splat', high.get)),
      bias.set(roundingBias),
      repeat(
        below(row, to),
        at.set(row.get),
        end.set(op('i32.add', row.get, rowBytes.get)),
        scale.set(scales.get),
        out.set(rowOut.get),
        repeat(
          below(at, end),
          store('v128.store', out.get, op('i8x16.narrow_i16x8_s', pair(0), pair(2))),
          advance(at, i32(64)),
          advance(scale, i32(64)),
          advance(out, i32(16)),
        ),
        advance(row, rowBytes.get),
        advance(rowOut, op('i32.shr_u', rowBytes.get, i32(2))),
      ),
    ];
  },
};

/** pack(from, to, out): two codes per byte, the first in the low bits. */
const pack: Kernel<'pack'> = {
  name: 'pack',
  parameters: ['i32', 'i32', 'i32'],
  locals: ['v128'],
  body(at, to, out, pairs) {
    const packed = (offset: number) => [
      ...pairs.set(load('v128.load', at.get, offset)),
      ...op(
        'v128.or',
        op('v128.and', pairs.get, lanes32(0x000f000f)),
        op('v128.and', op('i16x8.shr_u', pairs.get, i32(4)), lanes32(0x00f000f0)),
      ),
    ];
    return [
      repeat(
        below(at, to),
        store('v128.store', out.get, op('i8x16.narrow_i16x8_u', packed(0), packed(16))),
        advance(at, i32(32)),
        advance(out, i32(16)),
      ),
    ];
  },
};

/** Functions over float32 matrices in memory, whose rows are `rowBytes` long; pairs (from, to) are places in bytes. */
export const codeKernels = [largest, trial, errors, choose, codes, pack] as const;
