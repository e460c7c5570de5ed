import { describe, expect, it } from 'vitest';
import { floats, i32, load, op, repeat, store } from '../../../src/ir/wasm/assembler.ts';
import type { Variable, WasmFunction } from '../../../src/ir/wasm/assembler.ts';
import { wasmModule } from '../../../src/ir/wasm/module.ts';

/** Writes `number` at 0. */
const constant = (name: string, number: number): WasmFunction => ({
  name,
  parameters: [],
  locals: [],
  body: () => [store('i32.store', i32(0), i32(number))],
});

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
    const scale: WasmFunction = {
      name: 'scale',
      parameters: ['i32', 'i32'],
      locals: [],
      body: (...variables) => {
        const [at, end] = variables as [Variable, Variable];
        const product = op('f32x4.mul', load('v128.load', at.get), floats(2.5));
        const next = at.tee(op('i32.add', at.get, i32(16)));
        return [repeat(op('i32.lt_u', next, end.get), store('v128.store', at.get, product, 70_000))];
      },
    };
    const module = wasmModule(80_000, [scale]);
    const memory = new Float32Array(module?.memory as ArrayBuffer);
    memory.set([1, 2, 3, 4, 5, 6, 7, 8]);
    module?.call['scale']?.(0, 32);
    expect(Array.from(memory.subarray(17_500, 17_509))).toEqual([2.5, 5, 7.5, 10, 12.5, 15, 17.5, 20, 0]);
  });
});
