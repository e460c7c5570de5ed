import type { Bytes } from '../../ir/bytes.ts';
import { memoryBytes } from '../../ir/bytes.ts';
import type { DType } from '../../ir/dtype.ts';
import { KerfError } from '../../ir/errors.ts';
import { sizeOf } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { forEachRun } from './pages.ts';

/** Element types that NumPy stores as they are. */
const native: Partial<Record<DType, string>> = {
  float32: '<f4',
  float16: '<f2',
  float64: '<f8',
  int8: '|i1',
  int16: '<i2',
  int32: '<i4',
  int64: '<i8',
  uint8: '|u1',
  uint16: '<u2',
  uint32: '<u4',
  uint64: '<u8',
  bool: '|b1',
  complex64: '<c8',
  complex128: '<c16',
};

/**
 * The parts of an `.npy` file (format 1.0) of a constant. What NumPy has no type for is widened: small integers to
 * int8 or uint8, bfloat16 and 8-bit floats to float32. Stored bytes are ranges of the model's file, not copies.
 */
export function npyParts(tensor: Tensor): readonly Bytes[] {
  const descr = native[tensor.dtype];
  if (descr !== undefined) return [header(descr, tensor.dims), tensor.data];
  if (tensor.dtype === 'int4' || tensor.dtype === 'int2')
    return [header('|i1', tensor.dims), widened(tensor, (count) => new Int8Array(count))];
  if (tensor.dtype === 'uint4' || tensor.dtype === 'uint2')
    return [header('|u1', tensor.dims), widened(tensor, (count) => new Uint8Array(count))];
  if (tensor.dtype.startsWith('bfloat') || tensor.dtype.startsWith('float'))
    return [header('<f4', tensor.dims), widened(tensor, (count) => new Float32Array(count))];
  throw new KerfError('unsupported', `NumPy has no type for ${tensor.dtype} elements`);
}

function widened(tensor: Tensor, make: (count: number) => Int8Array | Uint8Array | Float32Array): Bytes {
  const elements = sizeOf(tensor);
  const values = make(elements);
  forEachRun(tensor, elements, (numbers, first) => values.set(numbers, first));
  return memoryBytes(new Uint8Array(values.buffer));
}

function header(descr: string, dims: readonly number[]): Bytes {
  const shape = dims.length === 1 ? `(${dims[0]},)` : `(${dims.join(', ')})`;
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${shape}, }`;
  // Magic, version and length are 10 bytes; the data starts at a multiple of 64.
  const length = Math.ceil((10 + text.length + 1) / 64) * 64 - 10;
  const bytes = new Uint8Array(10 + length).fill(0x20);
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, length & 255, length >> 8]);
  bytes.set(new TextEncoder().encode(text), 10);
  bytes[bytes.length - 1] = 0x0a;
  return memoryBytes(bytes);
}
