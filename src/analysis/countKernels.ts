import type { Code } from '../ir/wasm/instructions.ts';
import { floats, i32, i64, load, op, repeat, store } from '../ir/wasm/instructions.ts';
import type { Variable, WasmFunction } from '../ir/wasm/kernel.ts';
import { advance, below, kernel } from '../ir/wasm/kernel.ts';

/** Values of 16 bits. */
export const wordValues = 1 << 16;
export const byteValues = 1 << 8;

/** Pieces that stay in the processor's cache beside the tables. */
export const windowBytes = 1 << 18;
/** Pieces are filled up to a multiple of this. */
export const stepBytes = 64;

/** Where things lie in the module's memory. */
export const layout = {
  /** Four lanes each of smallest and largest floats, and of how many zeros there were. */
  smallest: 0,
  largest: 16,
  zeros: 32,
  /** Two tables of words, or four of bytes. */
  tables: 1 << 16,
  window: (1 << 16) + 8 * wordValues,
  end: (1 << 16) + 8 * wordValues + windowBytes,
} as const;

/** Neighbours are often alike: several tables keep one count from waiting for the other. */
export const wordTables = 2;
export const byteTables = 4;

/** Codes of `bits` that start at each of `shifts` in a word of 64 bits, counted in tables one after another. */
function counting<Name extends string>(
  name: Name,
  shifts: readonly number[],
  bits: number,
  tables: number,
): WasmFunction<Name> {
  const mask = (2 ** bits - 1) * 4;
  return kernel({
    name,
    parameters: { at: 'i32', end: 'i32' },
    locals: { place: 'i32', word: 'i64' },
    body({ at, end, place, word }) {
      const offset = (shift: number): Code =>
        shift < 2
          ? op('i32.shl', op('i32.wrap_i64', word.get), i32(2 - shift))
          : op('i32.wrap_i64', op('i64.shr_u', word.get, i64(shift - 2)));
      const words = Array.from({ length: stepBytes / 8 }, (_, index) => [
        ...word.set(load('i64.load', at.get, 8 * index)),
        ...shifts.flatMap((shift, k) => {
          const table = layout.tables + ((index * shifts.length + k) % tables) * 4 * 2 ** bits;
          const more = op('i32.add', load('i32.load', place.get, table), i32(1));
          return [
            ...place.set(op('i32.and', offset(shift), i32(mask))),
            ...store('i32.store', place.get, more, table),
          ];
        }),
      ]);
      return [overSteps(at, end, words)];
    },
  });
}

function overSteps(at: Variable, end: Variable, body: readonly Code[]): Code {
  return repeat(below(at, end), ...body, advance(at, stepBytes));
}

/** Finite extremes and exact zeros of float32: x + (x - x) is x where it is finite, else NaN, which nothing is less than. */
const lookAtFloats = kernel({
  name: 'lookAtFloats',
  parameters: { at: 'i32', end: 'i32' },
  locals: { raw: 'v128', finite: 'v128', smallest: 'v128', largest: 'v128', zeros: 'v128' },
  body({ at, end, raw, finite, smallest, largest, zeros }) {
    const kept = [
      [smallest, layout.smallest],
      [largest, layout.largest],
      [zeros, layout.zeros],
    ] as const;
    const vectors = Array.from({ length: stepBytes / 16 }, (_, index) => [
      ...raw.set(load('v128.load', at.get, 16 * index)),
      ...finite.set(op('f32x4.add', raw.get, op('f32x4.sub', raw.get, raw.get))),
      ...smallest.set(op('f32x4.pmin', smallest.get, finite.get)),
      ...largest.set(op('f32x4.pmax', largest.get, finite.get)),
      // What is equal has all bits set, which is -1.
      ...zeros.set(op('i32x4.sub', zeros.get, op('f32x4.eq', raw.get, floats(0)))),
    ]);
    return [
      ...kept.map(([variable, place]) => variable.set(load('v128.load', i32(place)))),
      overSteps(at, end, vectors),
      ...kept.map(([variable, place]) => store('v128.store', i32(place), variable.get)),
    ];
  },
});

/** Adds the second table of words to the first. */
const joinWords = kernel({
  name: 'joinWords',
  parameters: {},
  locals: { at: 'i32' },
  body({ at }) {
    const second = layout.tables + 4 * wordValues;
    const vectors = Array.from({ length: stepBytes / 16 }, (_, index) => {
      const first = load('v128.load', at.get, layout.tables + 16 * index);
      const sum = op('i32x4.add', first, load('v128.load', at.get, second + 16 * index));
      return store('v128.store', at.get, sum, layout.tables + 16 * index);
    });
    const next = at.tee(op('i32.add', at.get, i32(stepBytes)));
    return [repeat(op('i32.lt_u', next, i32(4 * wordValues)), ...vectors)];
  },
});

/**
 * Functions of (from, to), whole steps of the memory: elements of 8 and 16 bits, the upper halves of float32, and what those
 * do not say of float32. `joinWords` takes nothing.
 */
export const countKernels = [
  counting('countBytes', [0, 8, 16, 24, 32, 40, 48, 56], 8, byteTables),
  counting('countWords', [0, 16, 32, 48], 16, wordTables),
  counting('countUppers', [16, 48], 16, wordTables),
  lookAtFloats,
  joinWords,
] as const;
