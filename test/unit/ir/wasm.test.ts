import { describe, expect, it } from 'vitest';
import { floats, i32, load, op, repeat, store } from '../../../src/ir/wasm/instructions.ts';
import { advance, below, kernel } from '../../../src/ir/wasm/kernel.ts';
import { wasmModule } from '../../../src/ir/wasm/module.ts';

/** Writes `number` at 0. */
const constant = (name: string, number: number) =>
  kernel({ name, parameters: {}, locals: {}, body: () => [store('i32.store', i32(0), i32(number))] });

describe('WebAssembly modules', () => {
  it('hold integers of every length', () => {
    const numbers = [0, 1, -1, 63, 64, -64, -65, 8191, 8192, -8193, 0x3fffc, 2 ** 31 - 1, -(2 ** 31)];
    const module = wasmModule(
      4,
      numbers.map((number, index) => constant(`put${index}`, number)),
    );
    const memory = new Int32Array(module?.memory as ArrayBuffer);
    numbers.forEach((number, index) => {
      module?.call[`put${index}`]?.();
      expect(memory[0]).toBe(number);
    });
  });

  it('load, compute and store vectors in loops, at offsets of any length', () => {
    const scale = kernel({
      name: 'scale',
      parameters: { at: 'i32', end: 'i32' },
      locals: {},
      body({ at, end }) {
        const product = op('f32x4.mul', load('v128.load', at.get), floats(2.5));
        const next = at.tee(op('i32.add', at.get, i32(16)));
        return [repeat(op('i32.lt_u', next, end.get), store('v128.store', at.get, product, 70_000))];
      },
    });
    const module = wasmModule(80_000, [scale]);
    const memory = new Float32Array(module?.memory as ArrayBuffer);
    memory.set([1, 2, 3, 4, 5, 6, 7, 8]);
    module?.call.scale(0, 32);
    expect(Array.from(memory.subarray(17_500, 17_509))).toEqual([2.5, 5, 7.5, 10, 12.5, 15, 17.5, 20, 0]);
  });

  it('give variables that are declared in lists and records numbers of their own', () => {
    const sums = kernel({
      name: 'sums',
      parameters: { at: 'i32', end: 'i32' },
      locals: {
        pairs: [
          { sum: 'i32', parts: ['i32', 'i32'] },
          { sum: 'i32', parts: ['i32', 'i32'] },
        ],
      },
      body({ at, end, pairs }) {
        const added = pairs.flatMap(({ sum, parts }, pair) => [
          ...parts.map((part, index) => part.set(load('i32.load', at.get, 8 * pair + 4 * index))),
          ...parts.map((part) => advance(sum, part.get)),
        ]);
        return [
          repeat(below(at, end), ...added, advance(at, 16)),
          ...pairs.map(({ sum }, pair) => store('i32.store', i32(4 * pair), sum.get)),
        ];
      },
    });
    const module = wasmModule(48, [sums]);
    const memory = new Int32Array(module?.memory as ArrayBuffer);
    memory.set([1, 20, 300, 4000, 5, 60, 700, 8000]);
    module?.call.sums(0, 32);
    expect(Array.from(memory.subarray(0, 2))).toEqual([86, 13_000]);
  });
});
