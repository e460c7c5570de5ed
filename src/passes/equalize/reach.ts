import { floats, load, op, repeat, store } from '../../ir/wasm/instructions.ts';
import { shuffle } from '../../ir/wasm/instructions.ts';
import { advance, below, kernel } from '../../ir/wasm/kernel.ts';
import { growingModule } from '../../ir/wasm/module.ts';

/** Numbers of a row that are taken at once. */
const step = 16;
const vectors = 4;
const stepBytes = 4 * step;
/** Rows that lie in memory at once, for all trials to go through them. */
const windowBytes = 1 << 18;

/** reach(row, end, rowBytes, by, out): of each row the largest product of a number with that of `by` at its place. */
const reach = kernel({
  name: 'reach',
  parameters: { row: 'i32', end: 'i32', rowBytes: 'i32', by: 'i32', out: 'i32' },
  locals: { rowEnd: 'i32', byAt: 'i32', most: Array.from({ length: vectors }, () => 'v128' as const) },
  body({ row, end, rowBytes, by, out, rowEnd, byAt, most }) {
    const [all] = most;
    if (all === undefined) return [];
    const others = (by: number) => Array.from({ length: 16 }, (_, byte) => (byte + by) % 16);
    const folded = (bytes: number) =>
      all.set(op('f32x4.pmax', all.get, shuffle(all.get, all.get, others(bytes))));
    return [
      repeat(
        below(row, end),
        rowEnd.set(op('i32.add', row.get, rowBytes.get)),
        byAt.set(by.get),
        ...most.map((each) => each.set(floats(0))),
        repeat(
          below(row, rowEnd),
          ...most.map((each, index) => {
            const product = op(
              'f32x4.mul',
              load('v128.load', row.get, 16 * index),
              load('v128.load', byAt.get, 16 * index),
            );
            return each.set(op('f32x4.pmax', each.get, product));
          }),
          advance(row, stepBytes),
          advance(byAt, stepBytes),
        ),
        ...most.slice(1).map((each) => all.set(op('f32x4.pmax', all.get, each.get))),
        folded(8),
        folded(4),
        // All four numbers are the same now; three of them make way for those of the next rows.
        store('v128.store', out.get, all.get),
        advance(out, 4),
      ),
    ];
  },
});

const reachModule = growingModule([reach]);

/**
 * Of each row of a matrix of numbers that are not negative, `columns` to a row, the largest product with the numbers of a
 * trial: a list per trial. In float32, with vectors or without.
 */
export function reachesOf(
  matrix: Float32Array,
  columns: number,
  trials: readonly Float32Array[],
  moduleOf: typeof reachModule = reachModule,
): readonly Float32Array[] {
  const rows = matrix.length / columns;
  const wide = Math.ceil(columns / step) * step;
  const rowBytes = 4 * wide;
  const windowRows = Math.max(1, Math.min(rows, Math.floor(windowBytes / rowBytes)));
  const window = rowBytes * trials.length;
  const out = window + rowBytes * windowRows;
  const module = columns < step ? undefined : moduleOf(out + 4 * windowRows + 16);
  if (module === undefined) return trials.map((by) => plainReach(matrix, columns, by));
  const { memory, call } = module;
  const numbers = new Float32Array(memory);
  numbers.fill(0, 0, out / 4);
  for (const [index, by] of trials.entries()) numbers.set(by, index * wide);
  const found = trials.map(() => new Float32Array(rows));
  for (let first = 0; first < rows; first += windowRows) {
    const count = Math.min(windowRows, rows - first);
    for (let r = 0; r < count; r += 1) {
      const from = (first + r) * columns;
      numbers.set(matrix.subarray(from, from + columns), window / 4 + r * wide);
    }
    for (const [index, each] of found.entries()) {
      call.reach(window, window + count * rowBytes, rowBytes, index * rowBytes, out);
      each.set(numbers.subarray(out / 4, out / 4 + count), first);
    }
  }
  return found;
}

function plainReach(matrix: Float32Array, columns: number, by: Float32Array): Float32Array {
  const found = new Float32Array(matrix.length / columns);
  for (let row = 0, at = 0; row < found.length; row += 1) {
    let most = 0;
    for (let i = 0; i < columns; i += 1, at += 1) {
      const product = Math.fround((matrix[at] as number) * (by[i] as number));
      if (product > most) most = product;
    }
    found[row] = most;
  }
  return found;
}
