import type { Code } from '../../ir/wasm/instructions.ts';
import { floats, i32, lanes32, load, op, repeat, shuffle, store } from '../../ir/wasm/instructions.ts';
import type { Variable, Variables } from '../../ir/wasm/kernel.ts';
import { advance, below, kernel } from '../../ir/wasm/kernel.ts';
import { growingModule } from '../../ir/wasm/module.ts';

/** Columns are taken this many at a time; there is room behind every row and every list for as many. */
export const columnStep = 16;

const first = Array.from({ length: 4 }, (_, index) => index);

/** largest(from, to, rowBytes, most): the largest magnitude of each column of rows, and what `most` holds already. */
const largest = kernel({
  name: 'largest',
  parameters: { row: 'i32', to: 'i32', rowBytes: 'i32', most: 'i32' },
  locals: { at: 'i32', end: 'i32', out: 'i32' },
  body({ row, to, rowBytes, most, at, end, out }) {
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
        repeat(below(at, end), ...vectors, advance(at, 64), advance(out, 64)),
        advance(row, rowBytes.get),
      ),
    ];
  },
});

const halves = [0, 1] as const;
/** Both upper numbers of four floats first. */
const upper = (vector: Code): Code =>
  shuffle(vector, vector, [8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7]);
const doubles = (vector: Code, half: 0 | 1): Code =>
  op('f64x2.promote_low_f32x4', half === 0 ? vector : upper(vector));

/** trial(largest, to, out, share, top, least): scales share x largest / top, or 1 where that is not above `least`. */
const trial = kernel({
  name: 'trial',
  parameters: { at: 'i32', to: 'i32', out: 'i32', share: 'f64', top: 'f64', least: 'f64' },
  locals: { size: 'v128', low: 'v128', high: 'v128' },
  body({ at, to, out, share, top, least, size, low, high }) {
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
        advance(at, 16),
        advance(out, 16),
      ),
    ];
  },
});

/** The least and the largest code in every lane, and what makes sums round. */
const boundsLocals = { lowest: 'v128', highest: 'v128', bias: 'v128' } as const;
type Bounds = Variables<typeof boundsLocals>;

/** Adding and taking away 1.5 x 2^23 rounds to the nearest integer, ties to even, as QuantizeLinear does. */
const roundingBias = floats(12_582_912);

const boundsSet = ({ lowest, highest, bias }: Bounds, low: Variable, high: Variable): readonly Code[] => [
  lowest.set(op('f32x4.splat', low.get)),
  highest.set(op('f32x4.splat', high.get)),
  bias.set(roundingBias),
];

/** The nearest code as a float; NaN stays. */
const nearest = (value: Code, scale: Code, { lowest, highest, bias }: Bounds): Code => {
  const rounded = op('f32x4.sub', op('f32x4.add', op('f32x4.div', value, scale), bias.get), bias.get);
  return op('f32x4.pmax', op('f32x4.pmin', rounded, highest.get), lowest.get);
};

/** Trials whose errors are taken together: the numbers they look at are read and widened once. */
export const trialsTogether = 3;

/** Four numbers, their codes and errors, and the numbers as doubles. */
const numberLocals = { value: 'v128', code: 'v128', error: 'v128', wide: ['v128', 'v128'] } as const;

/** Of four columns: their scales, and sums of squared errors, in two halves as doubles. */
const trialLocals = { scale: 'v128', wideScales: ['v128', 'v128'], sums: ['v128', 'v128'] } as const;

/**
 * errors(from, to, rowBytes, columns, scales, sums, low, high): adds the squared errors of each column's codes to its sum, for
 * `trialsTogether` lists of scales and sums, one behind the other.
 */
const errors = kernel({
  name: 'errors',
  parameters: {
    from: 'i32',
    to: 'i32',
    rowBytes: 'i32',
    left: 'i32',
    scales: 'i32',
    sums: 'i32',
    low: 'f32',
    high: 'f32',
  },
  locals: {
    places: { at: 'i32', step: 'i32', scaleAt: 'i32', sumAt: 'i32' },
    bounds: boundsLocals,
    numbers: numberLocals,
    trials: Array.from({ length: trialsTogether }, () => trialLocals),
  },
  body({ from, to, rowBytes, left, scales, sums, low, high, places, bounds, numbers, trials }) {
    const { at, step, scaleAt, sumAt } = places;
    type Trial = (typeof trials)[number];
    // Before the columns, of which each takes 4 bytes of scales and 8 of sums.
    const overTrials = (each: (trial: Trial) => Code): Code => [
      ...scaleAt.set(scales.get),
      ...sumAt.set(sums.get),
      ...trials.flatMap((trial) => [
        ...each(trial),
        ...advance(scaleAt, step.get),
        ...advance(sumAt, op('i32.shl', step.get, i32(1))),
      ]),
    ];
    const begin = ({ scale, wideScales, sums: own }: Trial): Code => [
      ...scale.set(load('v128.load', scaleAt.get)),
      ...halves.flatMap((half) => wideScales[half].set(doubles(scale.get, half))),
      ...halves.flatMap((half) => own[half].set(load('v128.load', sumAt.get, 16 * half))),
    ];
    const end = ({ sums: own }: Trial): Code =>
      halves.flatMap((half) => store('v128.store', sumAt.get, own[half].get, 16 * half));
    return [
      ...boundsSet(bounds, low, high),
      step.set(op('i32.shl', left.get, i32(2))),
      repeat(
        left.tee(op('i32.sub', left.get, i32(4))),
        overTrials(begin),
        at.set(from.get),
        repeat(
          below(at, to),
          numbers.value.set(load('v128.load', at.get)),
          ...halves.map((half) => numbers.wide[half].set(doubles(numbers.value.get, half))),
          ...trials.map((trial) => errorsAdded(numbers, trial, bounds)),
          advance(at, rowBytes.get),
        ),
        overTrials(end),
        advance(from, 16),
        advance(to, 16),
        advance(scales, 16),
        advance(sums, 32),
      ),
    ];
  },
});

/** Adds the squared errors of four numbers, which stand as doubles in `wide` too. */
function errorsAdded(
  { value, code, error, wide }: Variables<typeof numberLocals>,
  { scale, wideScales, sums }: Variables<typeof trialLocals>,
  bounds: Bounds,
): Code {
  const added = (half: 0 | 1): Code => {
    const product = op('f64x2.mul', wideScales[half].get, doubles(code.get, half));
    const square = op('f64x2.mul', error.get, error.get);
    return [
      ...error.set(op('f64x2.sub', wide[half].get, product)),
      ...sums[half].set(op('f64x2.add', sums[half].get, square)),
    ];
  };
  return [...code.set(nearest(value.get, scale.get, bounds)), ...halves.flatMap(added)];
}

/** choose(errors, to, least, scales, best): takes over errors, and the scales they belong to, that are less. */
const choose = kernel({
  name: 'choose',
  parameters: { at: 'i32', to: 'i32', least: 'i32', scales: 'i32', best: 'i32' },
  locals: { kept: ['v128', 'v128'] },
  body({ at, to, least, scales, best, kept }) {
    const takeOver = kept.map((keeps, half) => {
      const error = load('v128.load', at.get, 16 * half);
      const before = load('v128.load', least.get, 16 * half);
      return [
        ...keeps.set(op('f64x2.ge', error, before)),
        ...store('v128.store', least.get, op('v128.bitselect', before, error, keeps.get), 16 * half),
      ];
    });
    // The lower half of each double's mask.
    const masks = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27];
    const [low, high] = kept;
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
        advance(at, 32),
        advance(least, 32),
        advance(scales, 16),
        advance(best, 16),
      ),
    ];
  },
});

/** codes(from, to, rowBytes, scales, out, low, high): a byte per element; each row overwrites what the one before wrote past its end. */
const codes = kernel({
  name: 'codes',
  parameters: {
    row: 'i32',
    to: 'i32',
    rowBytes: 'i32',
    scales: 'i32',
    rowOut: 'i32',
    low: 'f32',
    high: 'f32',
  },
  locals: { at: 'i32', end: 'i32', scale: 'i32', out: 'i32', bounds: boundsLocals },
  body({ row, to, rowBytes, scales, rowOut, low, high, at, end, scale, out, bounds }) {
    const code = (index: number) => {
      const value = load('v128.load', at.get, 16 * index);
      // What is not a number becomes 0.
      return op('i32x4.trunc_sat_f32x4_s', nearest(value, load('v128.load', scale.get, 16 * index), bounds));
    };
    const pair = (index: number) => op('i16x8.narrow_i32x4_s', code(index), code(index + 1));
    return [
      ...boundsSet(bounds, low, high),
      repeat(
        below(row, to),
        at.set(row.get),
        end.set(op('i32.add', row.get, rowBytes.get)),
        scale.set(scales.get),
        out.set(rowOut.get),
        repeat(
          below(at, end),
          store('v128.store', out.get, op('i8x16.narrow_i16x8_s', pair(0), pair(2))),
          advance(at, 64),
          advance(scale, 64),
          advance(out, 16),
        ),
        advance(row, rowBytes.get),
        advance(rowOut, op('i32.shr_u', rowBytes.get, i32(2))),
      ),
    ];
  },
});

/** pack(from, to, out): two codes per byte, the first in the low bits. */
const pack = kernel({
  name: 'pack',
  parameters: { at: 'i32', to: 'i32', out: 'i32' },
  locals: { pairs: 'v128' },
  body({ at, to, out, pairs }) {
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
        advance(at, 32),
        advance(out, 16),
      ),
    ];
  },
});

/** Functions over float32 matrices in memory, whose rows are `rowBytes` long; pairs (from, to) are places in bytes. */
const codeKernels = [largest, trial, errors, choose, codes, pack] as const;

/** The functions in a memory of at least so many bytes. */
export const codesModule = growingModule(codeKernels);
