import type { DType } from '../../../ir/dtype.ts';
import type { Quantization } from '../../../ir/model.ts';
import { intTensor, readIntegers } from '../../../ir/numbers.ts';
import type { Tensor } from '../../../ir/tensor.ts';

/** How the codes of an activation are stored inside of the ONNX graph. */
export interface Storage {
  readonly dtype: DType;
  readonly quantization: Quantization;
}

/**
 * Activations of 8 bits are uint8 inside: on x86 ONNX Runtime 1.30 has no kernels for int8 activations, rewrites the
 * pairs of some and leaves layers that read both kinds in floats. The codes are the file's plus 128, and so is the zero
 * point, so that real numbers stay.
 */
export function storageOf(dtype: DType, quantization: Quantization): Storage {
  if (dtype !== 'int8' || quantization.scale.length !== 1) return { dtype, quantization };
  const zeroPoint = [(quantization.zeroPoint[0] ?? 0) + 128];
  return { dtype: 'uint8', quantization: { ...quantization, zeroPoint } };
}

/** A constant of int8 codes as it is stored beside uint8 activations. */
export function storedConstant(tensor: Tensor): Tensor {
  return intTensor(
    'uint8',
    tensor.dims,
    readIntegers(tensor).map((code) => code + 128),
  );
}
