import type { Bytes } from './bytes.ts';
import type { DType } from './dtype.ts';

/** A constant. `data` holds the elements row-major, little-endian, sub-byte types packed low bits first. */
export interface Tensor {
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly data: Bytes;
  /** Only for `dtype: 'string'`, which has no flat byte form; `data` is empty then. */
  readonly strings?: readonly Uint8Array[];
  /** Fields of the file format that the IR does not model; opaque to everyone but the codec. */
  readonly extra?: object;
}
