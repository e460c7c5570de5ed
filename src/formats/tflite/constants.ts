import type { Bytes } from '../../ir/bytes.ts';
import { memoryBytes, missingBytes } from '../../ir/bytes.ts';
import type { DType } from '../../ir/dtype.ts';
import { bitsOf } from '../../ir/dtype.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { TensorExtra, TensorSource } from './extra.ts';
import { blobOf, choiceOf, integersOf, rowsOf, scalarOf, type Row } from './row.ts';

/**
 * A string tensor: a count, count + 1 offsets from the start of the buffer, then the characters. Damaged content
 * gives no strings.
 */
export function readStrings(
  stored: Bytes,
  dims: readonly number[],
  place: string,
  source: TensorSource,
): Tensor {
  const bytes = stored.read();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = bytes.length >= 4 ? view.getInt32(0, true) : -1;
  const strings: Uint8Array[] = [];
  const fits = count >= 0 && 4 * (count + 2) <= bytes.length;
  for (let index = 0; index < (fits ? count : 0); index += 1) {
    const from = view.getInt32(4 * (index + 1), true);
    const to = view.getInt32(4 * (index + 2), true);
    if (from < 0 || to < from || to > bytes.length) break;
    strings.push(bytes.slice(from, to));
  }
  if (!fits || strings.length !== count) source.report.damage('error', place, 'holds damaged string data');
  const extra: TensorExtra = { codec: 'tflite.constant', stored, content: strings };
  return { dtype: 'string', dims, data: memoryBytes(new Uint8Array(0)), strings, extra };
}

/** The buffer form of strings; the inverse of `readStrings`. */
export function writeStrings(strings: readonly Uint8Array[]): Bytes {
  const header = 4 * (strings.length + 2);
  const bytes = new Uint8Array(strings.reduce((total, each) => total + each.length, header));
  const view = new DataView(bytes.buffer);
  view.setInt32(0, strings.length, true);
  let at = header;
  strings.forEach((each, index) => {
    view.setInt32(4 * (index + 1), at, true);
    bytes.set(each, at);
    at += each.length;
  });
  view.setInt32(4 * (strings.length + 1), at, true);
  return memoryBytes(bytes);
}

/** A sparse tensor is expanded in memory, so there is a limit to it. */
const largestDense = 2 ** 31;

/**
 * A tensor stored sparsely (TACO format: Kjolstad et al., "The Tensor Algebra Compiler", 2017) with data that becomes
 * dense when it is read; what is stored stays in `extra` for the writer.
 */
export function densify(
  sparsity: Row,
  dtype: DType,
  dims: readonly number[],
  stored: Bytes,
  place: string,
  source: TensorSource,
): Tensor {
  const width = bitsOf(dtype) / 8;
  const length = dims.reduce((product, dim) => product * dim, 1) * width;
  const sparse = (data: Bytes): Tensor => {
    const extra: TensorExtra = { codec: 'tflite.constant', stored, content: data, sparsity };
    return { dtype, dims, data, extra };
  };
  if (!Number.isInteger(width) || width === 0 || length > largestDense) {
    const reason = `sparse storage of ${length} bytes of ${dtype} is not understood`;
    source.report.damage('warning', place, reason);
    return sparse(missingBytes(Math.ceil(length), reason));
  }
  const expanded = () => expand(sparsity, dims, width, stored, place);
  return sparse(new LazyBytes(length, expanded, stored.length));
}

/** Bytes that are made when they are first read. */
class LazyBytes implements Bytes {
  readonly length: number;
  readonly storedLength?: number;
  readonly #make: () => Uint8Array;
  #made: Uint8Array | undefined;
  constructor(length: number, make: () => Uint8Array, storedLength?: number) {
    this.length = length;
    this.#make = make;
    if (storedLength !== undefined) this.storedLength = storedLength;
  }
  read(offset = 0, length = this.length - offset): Uint8Array {
    this.#made ??= this.#make();
    return this.#made.subarray(offset, offset + length);
  }
  slice(offset: number, length: number): Bytes {
    const clamped = Math.max(0, Math.min(length, this.length - offset));
    return new LazyBytes(clamped, () => this.read(offset, clamped));
  }
}

interface Level {
  readonly dimension: number;
  readonly size: number;
  /** For compressed levels: where each parent's children start, and their positions. */
  readonly segments?: readonly number[];
  readonly positions?: readonly number[];
}

function expand(
  sparsity: Row,
  dims: readonly number[],
  width: number,
  stored: Bytes,
  place: string,
): Uint8Array {
  const wrong = (): never => {
    throw new KerfError('malformed', 'has damaged sparsity parameters', { place });
  };
  const order = integersOf(sparsity, 'traversal_order') ?? [];
  const blockMap = integersOf(sparsity, 'block_map') ?? [];
  const metadata = rowsOf(sparsity, 'dim_metadata');
  const rank = dims.length;
  if (order.length !== rank + blockMap.length || metadata.length !== order.length) wrong();
  const levels = order.map((dimension, index) => levelOf(metadata[index] as Row, dimension));
  const blockSize = new Map(
    levels.filter((each) => each.dimension >= rank).map((each) => [each.dimension, each.size]),
  );
  const strides = dims.map((_, axis) => dims.slice(axis + 1).reduce((product, dim) => product * dim, width));
  const step = (dimension: number): number => {
    const axis = dimension < rank ? dimension : (blockMap[dimension - rank] ?? wrong());
    const inner = blockMap.indexOf(axis);
    const factor = dimension < rank && inner >= 0 ? (blockSize.get(rank + inner) ?? wrong()) : 1;
    return (strides[axis] ?? wrong()) * factor;
  };
  const steps = levels.map((level) => step(level.dimension));
  const source = stored.read();
  const out = new Uint8Array(dims.reduce((product, dim) => product * dim, width));
  let next = 0;
  const visit = (depth: number, parent: number, at: number): void => {
    const level = levels[depth];
    if (level === undefined) {
      if (next + width > source.length || at + width > out.length) wrong();
      out.set(source.subarray(next, next + width), at);
      next += width;
      return;
    }
    const first = level.segments?.[parent] ?? 0;
    const last = level.segments === undefined ? level.size : (level.segments[parent + 1] ?? first);
    for (let child = first; child < last; child += 1) {
      const position = level.positions === undefined ? child : (level.positions[child] ?? wrong());
      const key = level.segments === undefined ? parent * level.size + child : child;
      visit(depth + 1, key, at + position * (steps[depth] as number));
    }
  };
  visit(0, 0, 0);
  return out;
}

function levelOf(row: Row, dimension: number): Level {
  const size = scalarOf(row, 'dense_size');
  if (scalarOf(row, 'format') === 0) return { dimension, size };
  const segments = indicesOf(row, 'array_segments');
  return { dimension, size: 0, segments, positions: indicesOf(row, 'array_indices') };
}

function indicesOf(row: Row, name: string): readonly number[] {
  const vector = choiceOf(row, name)?.row;
  if (vector === undefined) return [];
  const bytes = blobOf(vector, 'values');
  return bytes === undefined ? (integersOf(vector, 'values') ?? []) : [...bytes.read()];
}
