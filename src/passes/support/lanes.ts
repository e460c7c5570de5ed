import type { Code } from '../../ir/wasm/instructions.ts';
import { floats, i32, load, op, repeat, store, when } from '../../ir/wasm/instructions.ts';
import type { Variable } from '../../ir/wasm/kernel.ts';
import { advance, kernel } from '../../ir/wasm/kernel.ts';
import { growingModule } from '../../ir/wasm/module.ts';

/** Rows of a panel: sums over them are taken at once. */
export const lanes = 16;

/** A place for numbers in which sums over panels are fast; offsets are in numbers. */
export interface LaneSpace {
  readonly floats: Float32Array;
  /** `floats[out + r]` = sum over k < `count` of `floats[row + k]` x `floats[panel + lanes k + r]`, r from 0 to `lanes` - 1. */
  dots(row: number, panel: number, count: number, out: number): void;
  /** See `Panel`. */
  round(panel: Panel): void;
}

/**
 * A panel of rows of weights that is rounded to codes from -`top` to `top` of each row's scale, from the last column to the first: once
 * each to nearest, once after it made up for the errors behind it. All but `size` and `top` are places; numbers of a column stand
 * together, `lanes` of them.
 */
export interface Panel {
  readonly size: number;
  readonly top: number;
  /** Row i of a matrix of `size` x `size` says from its element i + 1 on what column i makes up for. */
  readonly factor: number;
  /** What an error of a column costs, of `size` columns. */
  readonly squares: number;
  /** Of `lanes` rows. */
  readonly scales: number;
  readonly weights: number;
  /** What is left of the weights: `plain` when each is rounded to nearest. */
  readonly errors: number;
  readonly plain: number;
  /** What the codes stand for: `nearest` when each is rounded to nearest. */
  readonly found: number;
  readonly nearest: number;
  /** What making up for errors saves, of `lanes` rows. */
  readonly gains: number;
}

const bytesPerVector = 16;
const vectors = (4 * lanes) / bytesPerVector;

/** Of one term or more. Sums stay in vectors; rounding is that of float32 multiplication and addition, one after the other. */
const dots = kernel({
  name: 'dots',
  parameters: { row: 'i32', panel: 'i32', terms: 'i32', out: 'i32' },
  locals: { factor: 'v128', sums: Array.from({ length: vectors }, () => 'v128' as const) },
  body({ row, panel, terms, out, factor, sums }) {
    const at = (index: number) => bytesPerVector * index;
    const term = (index: number) => op('f32x4.mul', factor.get, load('v128.load', panel.get, at(index)));
    return [
      repeat(
        terms.tee(op('i32.sub', terms.get, i32(1))),
        factor.set(load('v128.load32_splat', row.get)),
        ...sums.map((sum, index) => sum.set(op('f32x4.add', sum.get, term(index)))),
        advance(row, 4),
        advance(panel, 4 * lanes),
      ),
      ...sums.map((sum, index) => store('v128.store', out.get, sum.get, at(index))),
    ];
  },
});

/** Adding and taking away 1.5 x 2^23 rounds to the nearest integer, ties to even. */
const roundingBias = 12_582_912;

const each = <T>(value: T): readonly T[] => Array.from({ length: vectors }, () => value);
const numberBytes = 4;
const laneBytes = numberBytes * lanes;

/** See `Panel`; places are those behind the last column, or element, and go backwards. */
const round = kernel({
  name: 'round',
  parameters: {
    left: 'i32',
    rowBytes: 'i32',
    factor: 'i32',
    squares: 'i32',
    scales: 'i32',
    weights: 'i32',
    errors: 'i32',
    plain: 'i32',
    found: 'i32',
    nearest: 'i32',
    gains: 'i32',
    top: 'f32',
  },
  locals: {
    behind: 'i32',
    terms: 'i32',
    row: 'i32',
    errorAt: 'i32',
    plainAt: 'i32',
    splat: 'v128',
    least: 'v128',
    most: 'v128',
    bias: 'v128',
    weight: 'v128',
    scale: 'v128',
    target: 'v128',
    value: 'v128',
    cost: 'v128',
    gain: 'v128',
    errorSums: each('v128' as const),
    plainSums: each('v128' as const),
  },
  body(at) {
    const { left, rowBytes, factor, squares, scales, weights, errors, plain, found, nearest, gains, top } =
      at;
    const { behind, terms, row, errorAt, plainAt, splat, least, most, bias } = at;
    const { weight, scale, target, value, cost, gain, errorSums, plainSums } = at;
    const place = (index: number) => bytesPerVector * index;
    const add = (sum: Variable, from: Variable, index: number) => {
      const term = op('f32x4.mul', splat.get, load('v128.load', from.get, place(index)));
      return sum.set(op('f32x4.add', sum.get, term));
    };
    const rounded = (number: Variable): Code => {
      const steps = op('f32x4.div', number.get, scale.get);
      const code = op('f32x4.sub', op('f32x4.add', steps, bias.get), bias.get);
      const within = op('f32x4.pmax', op('f32x4.pmin', code, most.get), least.get);
      return op('f32x4.mul', within, scale.get);
    };
    const costOf = (error: Code): Code => [
      ...cost.set(error),
      ...op('f32x4.mul', splat.get, op('f32x4.mul', cost.get, cost.get)),
    ];
    const round = (index: number): readonly Code[] => {
      const put = (to: Variable, numbers: Code) => store('v128.store', to.get, numbers, place(index));
      const [errorSum, plainSum] = [errorSums[index] as Variable, plainSums[index] as Variable];
      return [
        scale.set(load('v128.load', scales.get, place(index))),
        weight.set(load('v128.load', weights.get, place(index))),
        gain.set(load('v128.load', gains.get, place(index))),
        value.set(rounded(weight)),
        put(nearest, value.get),
        value.set(op('f32x4.sub', weight.get, value.get)),
        put(plain, value.get),
        gain.set(op('f32x4.add', gain.get, costOf(op('f32x4.add', value.get, plainSum.get)))),
        target.set(op('f32x4.add', weight.get, errorSum.get)),
        value.set(rounded(target)),
        put(found, value.get),
        put(errors, op('f32x4.sub', weight.get, value.get)),
        gain.set(op('f32x4.sub', gain.get, costOf(op('f32x4.sub', target.get, value.get)))),
        put(gains, gain.get),
      ];
    };
    return [
      most.set(op('f32x4.splat', top.get)),
      least.set(op('f32x4.sub', floats(0), most.get)),
      bias.set(floats(roundingBias)),
      repeat(
        left.get,
        left.set(op('i32.sub', left.get, i32(1))),
        ...[weights, errors, plain, found, nearest].map((panel) => advance(panel, -laneBytes)),
        advance(squares, -numberBytes),
        factor.set(op('i32.sub', factor.get, op('i32.add', rowBytes.get, i32(numberBytes)))),
        ...[...errorSums, ...plainSums].map((sum) => sum.set(floats(0))),
        row.set(factor.get),
        errorAt.set(op('i32.add', errors.get, i32(laneBytes))),
        plainAt.set(op('i32.add', plain.get, i32(laneBytes))),
        when(
          terms.tee(behind.get),
          repeat(
            terms.tee(op('i32.sub', terms.get, i32(1))),
            splat.set(load('v128.load32_splat', row.get)),
            ...errorSums.map((sum, index) => add(sum, errorAt, index)),
            ...plainSums.map((sum, index) => add(sum, plainAt, index)),
            advance(row, numberBytes),
            advance(errorAt, laneBytes),
            advance(plainAt, laneBytes),
          ),
        ),
        splat.set(load('v128.load32_splat', squares.get)),
        ...errorSums.flatMap((_, index) => round(index)),
        advance(behind, 1),
      ),
    ];
  },
});

const laneModule = growingModule([dots, round]);

/**
 * Room for `count` numbers, whose contents are left from before: whoever asks next may get the same. Sums are in float32
 * and in order of k in every lane, with vectors or without, so results are the same anywhere.
 */
export function laneSpace(count: number): LaneSpace {
  const module = laneModule(4 * count);
  if (module === undefined) return plainSpace(count);
  const { memory, call } = module;
  const floats = new Float32Array(memory, 0, count);
  return {
    floats,
    dots: (row, panel, terms, out) => {
      if (terms === 0) floats.fill(0, out, out + lanes);
      else call.dots(4 * row, 4 * panel, terms, 4 * out);
    },
    round({ size, top, factor, squares, scales, gains, ...panels }) {
      const end = (panel: number) => 4 * (panel + lanes * size);
      const { weights, errors, plain, found, nearest } = panels;
      const places = [weights, errors, plain, found, nearest].map(end);
      const last = 4 * (factor + size * (size + 1) + 1);
      call.round(size, 4 * size, last, 4 * (squares + size), 4 * scales, ...places, 4 * gains, top);
    },
  };
}

/** The same in JavaScript. */
export function plainSpace(count: number): LaneSpace {
  const floats = new Float32Array(count);
  const sums = new Float32Array(lanes);
  return {
    floats,
    dots(row, panel, terms, out) {
      sums.fill(0);
      for (let k = 0, from = panel; k < terms; k += 1, from += lanes) {
        const factor = floats[row + k] as number;
        for (let r = 0; r < lanes; r += 1)
          sums[r] = (sums[r] as number) + Math.fround(factor * (floats[from + r] as number));
      }
      floats.set(sums, out);
    },
    round: (panel) => roundPlainly(floats, panel),
  };
}

const { fround } = Math;

function roundPlainly(numbers: Float32Array, panel: Panel): void {
  const { size, factor, squares, scales, weights, errors, plain, found, nearest, gains } = panel;
  const at = (place: number) => numbers[place] as number;
  for (let i = size - 1; i >= 0; i -= 1)
    for (let r = 0; r < lanes; r += 1) {
      const [column, square, scale] = [lanes * i + r, at(squares + i), at(scales + r)];
      let [error, other] = [0, 0];
      for (let k = i + 1; k < size; k += 1) {
        const by = at(factor + size * i + k);
        error = fround(error + fround(by * at(errors + lanes * k + r)));
        other = fround(other + fround(by * at(plain + lanes * k + r)));
      }
      const weight = at(weights + column);
      const value = valueOf(weight, scale, panel.top);
      numbers[nearest + column] = value;
      numbers[plain + column] = weight - value;
      const target = fround(weight + error);
      const better = valueOf(target, scale, panel.top);
      numbers[found + column] = better;
      numbers[errors + column] = weight - better;
      const lost = costOf(fround(at(plain + column) + other), square);
      numbers[gains + r] = fround(at(gains + r) + lost) - costOf(fround(target - better), square);
    }
}

function valueOf(number: number, scale: number, top: number): number {
  const code = fround(fround(fround(number / scale) + roundingBias) - roundingBias);
  return fround(scale * (code > top ? top : code < -top ? -top : code));
}

function costOf(error: number, square: number): number {
  return fround(square * fround(error * error));
}
