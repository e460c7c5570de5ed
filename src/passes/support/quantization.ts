import { memoryBytes } from '../../ir/bytes.ts';
import { numberTensor, readFloats } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { ObservedRange } from '../pass.ts';
import { eagerBytes, madeBytes, stridesOf } from './constants.ts';

/** What activations are stored as. */
export type ActivationType = 'uint8' | 'int8' | 'uint16' | 'int16';

/** Per-tensor affine encoding: real = scale * (q - zeroPoint). */
export interface Encoding {
  readonly scale: number;
  readonly zeroPoint: number;
  readonly dtype: ActivationType;
}

const low = { uint8: 0, int8: -128, uint16: 0, int16: -32768 } as const;
/** Codes beside the lowest. */
const steps = { uint8: 255, int8: 255, uint16: 65535, int16: 65535 } as const;

/**
 * Encodes a range so that zero is exact, as padding and ReLU need it. A range without extent gets the scale 1, a range
 * that does not reach zero is stretched to it. `cap` is an upper bound of a following Clip: the largest code stays at
 * or below it, so that runtimes see that the Clip has nothing left to do.
 */
export function activationEncoding(range: ObservedRange, dtype: ActivationType, cap?: number): Encoding {
  const min = Math.min(0, range.min);
  const max = Math.max(0, range.max);
  if (!(max - min > 1e-30)) return { scale: 1, zeroPoint: low[dtype], dtype };
  const top = steps[dtype];
  let scale = Math.fround((max - min) / top);
  if (cap !== undefined && min === 0) {
    // From a little above the bound down: a wide range would be millions of floats away.
    scale = Math.min(scale, Math.fround((cap / top) * (1 + 2 ** -21)));
    while (Math.fround(scale * top) > cap) scale = previousFloat(scale);
  }
  const offset = Math.min(top, Math.max(0, roundHalfEven(-min / scale)));
  return { scale, zeroPoint: low[dtype] + offset, dtype };
}

function previousFloat(value: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, value);
  view.setInt32(0, view.getInt32(0) - 1);
  return view.getFloat32(0);
}

/** Rounds to nearest, ties to even, as QuantizeLinear does. */
export function roundHalfEven(value: number): number {
  const rounded = Math.round(value);
  return Math.abs(value % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

interface QuantizedWeight {
  readonly tensor: Tensor;
  /** One scale, or one per index of the axis. */
  readonly scales: Float32Array;
}

/**
 * Symmetric int8 in [-`largest`, `largest`], per tensor or along `axis`. A channel of zeros gets the scale 1. `atLeast`
 * raises scales from below (for biases that would overflow otherwise). `given` are scales that were chosen before, for
 * weights that are whole multiples of them.
 */
export function quantizeWeight(
  tensor: Tensor,
  axis: number | undefined,
  atLeast?: ArrayLike<number>,
  largest = 127,
  given?: Float32Array,
): QuantizedWeight {
  const values = readFloats(tensor);
  const channels = axis === undefined ? 1 : (tensor.dims[axis] as number);
  const inner = axis === undefined ? Math.max(1, values.length) : (stridesOf(tensor.dims)[axis] as number);
  const scales = new Float32Array(channels);
  // Plain loops over runs of one channel: a large model has tens of millions of weights.
  for (let start = 0, c = 0; start < values.length; start += inner, c = (c + 1) % channels) {
    const end = Math.min(values.length, start + inner);
    let most = scales[c] as number;
    for (let i = start; i < end; i += 1) {
      const size = Math.abs(values[i] as number);
      if (size > most) most = size;
    }
    scales[c] = most;
  }
  for (let c = 0; c < channels; c += 1) {
    const scale = given === undefined ? (scales[c] as number) / largest : (given[c] as number);
    // Below the smallest normal float32 the division would lose its precision.
    scales[c] = Math.max(scale > 1.2e-38 ? scale : 1, atLeast?.[c] ?? 0);
  }
  const codes = (floats: Float32Array) => symmetricCodes(floats, scales, inner, largest);
  // What lies in a file need not lie in memory as well until it is written.
  const { data, dims } = tensor;
  const later = data.start !== undefined && data.length > eagerBytes;
  const bytes = later
    ? madeBytes(values.length, () => codes(readFloats(tensor)))
    : memoryBytes(codes(values));
  return { tensor: { dtype: 'int8', dims, data: bytes }, scales };
}

/** Nearest codes; runs of `inner` elements take the scales in turn. */
function symmetricCodes(
  values: Float32Array,
  scales: Float32Array,
  inner: number,
  largest: number,
): Uint8Array {
  const channels = scales.length;
  const codes = new Int8Array(values.length);
  for (let start = 0, c = 0; start < values.length; start += inner, c = (c + 1) % channels) {
    const end = Math.min(values.length, start + inner);
    const scale = scales[c] as number;
    for (let i = start; i < end; i += 1) {
      const code = (values[i] as number) / scale + toEven - toEven;
      codes[i] = code > largest ? largest : code < -largest ? -largest : code;
    }
  }
  return new Uint8Array(codes.buffer);
}

/** Adding and taking away 1.5 x 2^52 rounds a small double to the nearest integer, ties to even. */
const toEven = 1.5 * 2 ** 52;

const largestBias = 2 ** 31 - 1;

/** Weight scales below which a bias would not fit into int32 with the scale `inputScale * weightScale`. */
export function smallestScales(bias: Float32Array, inputScale: number): Float64Array {
  return Float64Array.from(bias, (value) => Math.abs(value) / (inputScale * largestBias * 0.999));
}

interface QuantizedBias {
  readonly tensor: Tensor;
  readonly scales: Float32Array;
}

/** Bias in int32 with scale `inputScale * weightScales[c]` and zero point 0. */
export function quantizeBias(
  bias: Float32Array,
  inputScale: number,
  weightScales: Float32Array,
): QuantizedBias {
  const codes = biasCodes(bias, inputScale, weightScales).map((code) =>
    Math.min(largestBias, Math.max(-largestBias, code)),
  );
  return {
    tensor: numberTensor('int32', [bias.length], codes),
    scales: weightScales.map((scale) => scale * inputScale),
  };
}

/** Bias in int64, as LiteRT's kernels for 16-bit activations take it. */
export function quantizeWideBias(
  bias: Float32Array,
  inputScale: number,
  weightScales: Float32Array,
): QuantizedBias {
  return {
    tensor: numberTensor('int64', [bias.length], biasCodes(bias, inputScale, weightScales)),
    scales: weightScales.map((scale) => scale * inputScale),
  };
}

function biasCodes(bias: Float32Array, inputScale: number, weightScales: Float32Array): Float64Array {
  return Float64Array.from(bias, (value, c) => {
    const scale = inputScale * (weightScales[weightScales.length === 1 ? 0 : c] as number);
    return roundHalfEven(value / scale);
  });
}

/** The symmetric encoding with zero point 0 that LiteRT wants of 16-bit activations. */
export function symmetricWide({ min, max }: ObservedRange): Encoding {
  const size = Math.max(-min, max, 0);
  return { scale: size > 1e-30 ? Math.fround(size / 32767) : 1, zeroPoint: 0, dtype: 'int16' };
}

/** Codes of a constant activation. */
export function quantizeConstant(tensor: Tensor, encoding: Encoding): Tensor {
  const floor = low[encoding.dtype];
  const top = floor + steps[encoding.dtype];
  const codes = Float64Array.from(readFloats(tensor), (value) => {
    const code = roundHalfEven(value / encoding.scale) + encoding.zeroPoint;
    return Math.min(top, Math.max(floor, code));
  });
  return numberTensor(encoding.dtype, tensor.dims, codes);
}

/** Smallest and largest element; an empty tensor gives 0..0. */
export function rangeOf(tensor: Tensor): ObservedRange {
  let min = 0;
  let max = 0;
  for (const value of readFloats(tensor)) {
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return { min, max };
}
