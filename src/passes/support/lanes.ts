import { i32, load, op, repeat, store } from '../../ir/wasm/instructions.ts';
import { advance, kernel } from '../../ir/wasm/kernel.ts';
import { growingModule } from '../../ir/wasm/module.ts';

/** Rows of a panel: sums over them are taken at once. */
export const lanes = 16;

/** A place for numbers in which sums over panels are fast; offsets are in numbers. */
export interface LaneSpace {
  readonly floats: Float32Array;
  /** `floats[out + r]` = sum over k < `count` of `floats[row + k]` x `floats[panel + lanes k + r]`, r from 0 to `lanes` - 1. */
  dots(row: number, panel: number, count: number, out: number): void;
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

const dotsModule = growingModule([dots]);

/**
 * Room for `count` numbers, whose contents are left from before: whoever asks next may get the same. Sums are in float32
 * and in order of k in every lane, with vectors or without, so results are the same anywhere.
 */
export function laneSpace(count: number): LaneSpace {
  const module = dotsModule(4 * count);
  if (module === undefined) return plainSpace(count);
  const { memory, call } = module;
  const floats = new Float32Array(memory, 0, count);
  return {
    floats,
    dots: (row, panel, terms, out) => {
      if (terms === 0) floats.fill(0, out, out + lanes);
      else call.dots(4 * row, 4 * panel, terms, 4 * out);
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
  };
}
