import { i32, load, op, repeat, store } from '../ir/wasm/instructions.ts';
import { advance, kernel } from '../ir/wasm/kernel.ts';
import { wasmModule } from '../ir/wasm/module.ts';

/** Columns of a sampled weight, at most; shorter rows end in zeros. */
export const gramColumns = 128;
export const gramRows = 64;

/** Sums that are taken side by side, so that none waits for the one before. */
const lanes = 16;
const rowBytes = 4 * gramColumns;
const sumsAt = gramRows * rowBytes;

/** Products of one row with those from it on; every lane of sums apart. */
export interface Gram {
  /** `gramRows` rows of `gramColumns` numbers. */
  readonly cells: Float32Array;
  /** The products of row `i` with the rows `i` to `rows` - 1 stand here, each as `lanes` parts. */
  readonly sums: Float32Array;
  multiply(i: number, rows: number): void;
}

const products = kernel({
  name: 'products',
  parameters: { row: 'i32', end: 'i32', out: 'i32' },
  locals: { other: 'i32', sums: ['v128', 'v128', 'v128', 'v128'] },
  body({ row, end, out, other, sums }) {
    const parts = (step: number) =>
      sums.map((sum, index) => {
        const at = 16 * (step * sums.length + index);
        const product = op('f32x4.mul', load('v128.load', row.get, at), load('v128.load', other.get, at));
        return sum.set(step === 0 ? product : op('f32x4.add', sum.get, product));
      });
    return [
      other.set(row.get),
      repeat(
        op('i32.lt_u', other.tee(op('i32.add', other.get, i32(rowBytes))), end.get),
        ...Array.from({ length: rowBytes / 16 / sums.length }, (_, step) => parts(step)).flat(),
        ...sums.map((sum, index) => store('v128.store', out.get, sum.get, 16 * index)),
        advance(out, 4 * lanes),
      ),
    ];
  },
});

/** `undefined` where vectors cannot run. */
export function vectorGram(): Gram | undefined {
  const module = wasmModule(sumsAt + gramRows * 4 * lanes, [products]);
  if (module === undefined) return undefined;
  const { memory, call } = module;
  return {
    cells: new Float32Array(memory, 0, gramRows * gramColumns),
    sums: new Float32Array(memory, sumsAt, gramRows * lanes),
    multiply: (i, rows) => call.products(i * rowBytes, rows * rowBytes, sumsAt),
  };
}

/** The same numbers, one after another. */
export function plainGram(): Gram {
  const cells = new Float32Array(gramRows * gramColumns);
  const sums = new Float32Array(gramRows * lanes);
  return {
    cells,
    sums,
    multiply(i, rows) {
      sums.fill(0);
      for (let j = i; j < rows; j += 1) {
        for (let k = 0; k < gramColumns; k += 1) {
          const at = (j - i) * lanes + (k % lanes);
          const product = Math.fround(
            (cells[i * gramColumns + k] as number) * (cells[j * gramColumns + k] as number),
          );
          sums[at] = (sums[at] as number) + product;
        }
      }
    },
  };
}

let usual: Gram | undefined;

/** Trace and sum of squares of the matrix of products of rows, which are scaled to a largest number of 1; NaN where all are 0. */
export function gramOf(
  given: Float64Array,
  rows: number,
  columns: number,
  gram: Gram = (usual ??=
    vectorGram() ?? plainGram()),
): { trace: number; squares: number } {
  const { cells, sums } = gram;
  cells.fill(0);
  let largest = 0;
  for (const value of given) largest = Math.max(largest, Math.abs(value));
  // Squares of the largest and the smallest numbers do not fit into float32.
  for (let at = 0; at < given.length; at += 1)
    cells[Math.floor(at / columns) * gramColumns + (at % columns)] = (given[at] as number) / largest;
  let trace = 0;
  let squares = 0;
  for (let i = 0; i < rows; i += 1) {
    gram.multiply(i, rows);
    for (let j = 0; j < rows - i; j += 1) {
      let product = 0;
      for (let lane = 0; lane < lanes; lane += 1) product += sums[j * lanes + lane] as number;
      squares += (j === 0 ? 1 : 2) * product * product;
      if (j === 0) trace += product;
    }
  }
  return { trace, squares };
}
