import type { DType } from './dtype.ts';

/** `TensorProto.DataType` by number (onnx.proto, IR version 13). */
const byNumber: readonly DType[] = [
  'undefined',
  'float32',
  'uint8',
  'int8',
  'uint16',
  'int16',
  'int32',
  'int64',
  'string',
  'bool',
  'float16',
  'float64',
  'uint32',
  'uint64',
  'complex64',
  'complex128',
  'bfloat16',
  'float8e4m3fn',
  'float8e4m3fnuz',
  'float8e5m2',
  'float8e5m2fnuz',
  'uint4',
  'int4',
  'float4e2m1',
  'float8e8m0',
  'uint2',
  'int2',
];

const numbers = new Map(byNumber.map((dtype, number) => [dtype, number]));

export function dtypeOf(number: number): DType | undefined {
  return byNumber[number];
}

/** The `TensorProto.DataType` number; 0 for types that ONNX does not have. */
export function dataTypeNumber(dtype: DType): number {
  return numbers.get(dtype) ?? 0;
}
