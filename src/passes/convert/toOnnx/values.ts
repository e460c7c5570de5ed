import type { DType } from '../../../ir/dtype.ts';
import { KerfError } from '../../../ir/errors.ts';
import type { Quantization, Value } from '../../../ir/model.ts';
import { intTensor, readIntegers } from '../../../ir/numbers.ts';
import type { Tensor } from '../../../ir/tensor.ts';
import { isStatic } from '../../../ir/types.ts';

const ranges: Partial<Record<DType, readonly [number, number]>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  int4: [-8, 7],
  int2: [-2, 1],
};

/** Smallest and largest code of a quantized type, or `undefined`. */
export function codesOf(dtype: DType): readonly [number, number] | undefined {
  return ranges[dtype];
}

/** The quantization of a tensor of integers, or `undefined`. */
export function quantizationOf(value: Value): Quantization | undefined {
  const { quantization, type } = value;
  if (quantization === undefined || quantization.scale.length === 0 || type?.kind !== 'tensor')
    return undefined;
  return ranges[type.dtype] === undefined ? undefined : quantization;
}

/** Declared type and static shape. Throws `KerfError('unsupported')` without them. */
export function declared(value: Value): { dtype: DType; shape: readonly number[] } {
  const shape = value.type?.kind === 'tensor' ? value.type.shape : undefined;
  if (value.type?.kind !== 'tensor' || !isStatic(shape))
    throw new KerfError('unsupported', 'its shape is not static', { place: `value '${value.id}'` });
  return { dtype: value.type.dtype, shape };
}

/** Stored codes through the scale of their channel. */
export function realsOf(
  codes: Float32Array,
  { dims }: Tensor,
  { scale, zeroPoint, axis }: Quantization,
): Float32Array {
  const inner = dims.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  return codes.map((code, i) => {
    const channel = scale.length === 1 ? 0 : Math.floor(i / inner) % scale.length;
    const zero = zeroPoint[zeroPoint.length > 1 ? channel : 0] ?? 0;
    return (code - zero) * (scale[channel] as number);
  });
}

/** Codes of less than 8 bits one to a byte, so that their axes can move. */
export function wholeBytes(tensor: Tensor): Tensor {
  const count = tensor.dims.reduce((product, dim) => product * dim, 1);
  return Number.isInteger(tensor.data.length / count)
    ? tensor
    : intTensor('int8', tensor.dims, readIntegers(tensor));
}
