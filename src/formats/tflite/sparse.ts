import { memoryBytes } from '../../ir/bytes.ts';
import { readFloats } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { TensorExtra } from './extra.ts';
import { cell, row, type Cell, type Row } from './row.ts';

/** DimensionType and SparseIndexVector of the schema. */
const formats = { dense: 0, compressed: 1 } as const;
const vectors = { int32: 1, uint16: 2, uint8: 3 } as const;

/** A constant stored sparsely, and how many bytes it then takes. */
interface SparseTensor {
  readonly tensor: Tensor;
  readonly bytes: number;
}

/**
 * A float32 constant with its last axis compressed (CSR; the TACO format of SparsityParameters): the numbers that are not
 * zero, their places along that axis, and where each row begins. Its content stays the dense one.
 */
export function sparselyStored(tensor: Tensor): SparseTensor {
  const { dims } = tensor;
  const floats = readFloats(tensor);
  const width = dims.at(-1) ?? 1;
  const segments = [0];
  const places: number[] = [];
  const values: number[] = [];
  for (let start = 0; start < floats.length; start += width) {
    for (let i = 0; i < width; i += 1) {
      const value = floats[start + i] as number;
      if (value === 0) continue;
      places.push(i);
      values.push(value);
    }
    segments.push(places.length);
  }
  const [starts, indices] = [indexVector(segments), indexVector(places)];
  const dense = dims.slice(0, -1).map((size) =>
    dimension([
      ['format', cell.scalar(formats.dense)],
      ['dense_size', cell.scalar(size)],
    ]),
  );
  const compressed = dimension([
    ['format', cell.scalar(formats.compressed)],
    ['array_segments', starts.cell],
    ['array_indices', indices.cell],
  ]);
  const sparsity = row('SparsityParameters', [
    ['traversal_order', cell.integers(dims.map((_, axis) => axis))],
    ['dim_metadata', cell.rows([...dense, compressed])],
  ]);
  const extra: TensorExtra = {
    codec: 'tflite.constant',
    stored: memoryBytes(new Uint8Array(Float32Array.from(values).buffer)),
    content: tensor.data,
    sparsity,
  };
  return { tensor: { ...tensor, extra }, bytes: 4 * values.length + starts.bytes + indices.bytes };
}

function dimension(cells: readonly (readonly [string, Cell])[]): Row {
  return row('DimensionMetadata', cells);
}

/** In the narrowest type that holds the numbers. */
function indexVector(values: readonly number[]): { readonly cell: Cell; readonly bytes: number } {
  const largest = values.reduce((most, value) => Math.max(most, value), 0);
  if (largest < 2 ** 8) {
    const bytes = memoryBytes(Uint8Array.from(values));
    const vector = row('Uint8Vector', [['values', cell.blob(bytes)]]);
    return { cell: cell.choice(vectors.uint8, vector), bytes: values.length };
  }
  const wide = largest >= 2 ** 16;
  const vector = row(wide ? 'Int32Vector' : 'Uint16Vector', [['values', cell.integers(values)]]);
  return {
    cell: cell.choice(wide ? vectors.int32 : vectors.uint16, vector),
    bytes: values.length * (wide ? 4 : 2),
  };
}
