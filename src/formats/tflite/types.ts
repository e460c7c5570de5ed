import type { DType } from '../../ir/dtype.ts';

/** Element types by the schema's `TensorType` number. */
const dtypes: readonly DType[] = [
  'float32',
  'float16',
  'int32',
  'uint8',
  'int64',
  'string',
  'bool',
  'int16',
  'complex64',
  'int8',
  'float64',
  'complex128',
  'uint64',
  'resource',
  'variant',
  'uint32',
  'uint16',
  'int4',
  'bfloat16',
  'int2',
  'uint4',
  'float8e4m3fn',
  'float8e5m2',
];

/** The element type of a `TensorType` number, or `undefined` beyond the known ones. */
export function dtypeOf(code: number): DType | undefined {
  return dtypes[code];
}

/** The `TensorType` number, or `undefined` for a type that TFLite does not have. */
export function tensorTypeCode(dtype: DType): number | undefined {
  const code = dtypes.indexOf(dtype);
  return code < 0 ? undefined : code;
}
