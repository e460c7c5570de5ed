import type { WasmFunction } from '../../ir/wasm/assembler.ts';
import { i32, load, op, repeat, store } from '../../ir/wasm/assembler.ts';
import type { WasmModule } from '../../ir/wasm/module.ts';
import { wasmModule } from '../../ir/wasm/module.ts';

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

/** The largest that was asked for so far. */
let widest: WasmModule<'dots'> | undefined;

/**
 * Room for `count` numbers, whose contents are left from before: whoever asks next may get the same. Sums are in float32
 * and in order of k in every lane, with vectors or without, so results are the same anywhere.
 */
export function laneSpace(count: number): LaneSpace {
  if (widest === undefined || widest.memory.byteLength < 4 * count) widest = wasmModule(4 * count, [dots]);
  if (widest === undefined) return plainSpace(count);
  const { memory, call } = widest;
  const floats = new Float32Array(memory, 0, count);
  return {
    floats,
    dots: (row, panel, terms, out) => {
      if (terms === 0) floats.fill(0, out, out + lanes);
      else call.dots(4 * row, 4 * panel, terms, 4 * out);
    },
  };
}

/** Of one term or more. Sums stay in vectors; rounding is that of float32 multiplication and addition, one after the other. */
const dots: WasmFunction & { readonly name: 'dots' } = {
  name: 'dots',
  parameters: ['i32', 'i32', 'i32', 'i32'],
  locals: ['v128', ...Array.from({ length: vectors }, () => 'v128' as const)],
  body(row, panel, terms, out, factor, ...sums) {
    const at = (index: number) => bytesPerVector * index;
    const term = (index: number) => op('f32x4.mul', factor.get, load('v128.load', panel.get, at(index)));
    return [
      repeat(
        terms.tee(op('i32.sub', terms.get, i32(1))),
        factor.set(load('v128.load32_splat', row.get)),
        ...sums.map((sum, index) => sum.set(op('f32x4.add', sum.get, term(index)))),
        row.set(op('i32.add', row.get, i32(4))),
        panel.set(op('i32.add', panel.get, i32(4 * lanes))),
      ),
      ...sums.map((sum, index) => store('v128.store', out.get, sum.get, at(index))),
    ];
  },
};

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
