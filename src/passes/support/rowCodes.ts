import { fillFrom } from '../../ir/bytes.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { codesModule, columnStep } from './codeKernels.ts';
import type { MadeCodes } from './matrixCodes.ts';
import type { Levels } from './roundingRow.ts';

/** How the rows of a float32 tensor are stored, each with a scale of its own. */
export interface RowChoice {
  readonly rows: number;
  readonly columns: number;
  /** Codes one after another. */
  readonly levels: Levels;
  /** Two codes per byte. */
  readonly packed: boolean;
  /** The scale of a row of this largest magnitude. */
  scaleOf(row: Float32Array, largest: number): number;
}

const windowBytes = 1 << 19;
const stepBytes = 4 * columnStep;

/**
 * As `matrixCodes` for rows: a row is looked at as a matrix of `columnStep` columns, whose last row reaches into what follows.
 */
export function rowCodes(tensor: Tensor, choice: RowChoice): MadeCodes | undefined {
  const { rows, columns, levels, packed } = choice;
  if (rows === 0 || columns < columnStep) return undefined;
  const rowBytes = 4 * columns;
  // An even number of rows ends with a whole byte of packed codes.
  const windowRows = 2 * Math.max(1, Math.floor(windowBytes / rowBytes / 2));
  const [largest, scale, window] = [0, stepBytes, 2 * stepBytes];
  const codes = window + windowRows * rowBytes + stepBytes;
  const pairs = codes + windowRows * columns + stepBytes;
  const end = pairs + windowRows * columns;
  const module = codesModule(end);
  if (module === undefined) return undefined;
  const { call, memory } = module;
  const sizes = new Float32Array(memory, largest, columnStep);
  const scaleLanes = new Float32Array(memory, scale, columnStep);
  const whole = Math.floor(columns / columnStep) * stepBytes;
  const padded = Math.ceil(columns / columnStep) * stepBytes;
  const scales = new Float32Array(rows);
  const bytes = new Uint8Array(packed ? Math.ceil((rows * columns) / 2) : rows * columns);

  const encode = (row: number, index: number) => {
    const at = window + index * rowBytes;
    const numbers = new Float32Array(memory, at, columns);
    sizes.fill(0);
    call.largest(at, at + whole, stepBytes, largest);
    let most = 0;
    for (const size of sizes) if (size > most) most = size;
    for (let i = whole / 4; i < columns; i += 1) {
      const size = Math.abs(numbers[i] as number);
      if (size > most) most = size;
    }
    scales[row] = choice.scaleOf(numbers, most);
    scaleLanes.fill(scales[row] as number);
    call.codes(at, at + padded, stepBytes, scale, codes + index * columns, levels.low, levels.high);
  };

  for (let from = 0; from < rows; from += windowRows) {
    const count = Math.min(windowRows, rows - from);
    fillFrom(new Uint8Array(memory, window, count * rowBytes), tensor.data, from * rowBytes);
    for (let index = 0; index < count; index += 1) encode(from + index, index);
    const made = count * columns;
    if (packed) {
      new Uint8Array(memory, codes + made, 1).fill(0);
      call.pack(codes, codes + made, pairs);
      bytes.set(new Uint8Array(memory, pairs, Math.ceil(made / 2)), (from * columns) / 2);
    } else bytes.set(new Uint8Array(memory, codes, made), from * columns);
  }
  return { bytes, scales };
}
