import { memoryBytes } from './bytes.ts';
import type { DType } from './dtype.ts';
import { byteSize, isFloat } from './dtype.ts';
import { KerfError } from './errors.ts';
import type { Tensor } from './tensor.ts';

/** Number of elements of a tensor. */
export function sizeOf(tensor: Pick<Tensor, 'dims'>): number {
  return tensor.dims.reduce((product, dim) => product * dim, 1);
}

/** All elements as float32; integers are converted without scaling. Throws for types without numbers. */
export function readFloats(tensor: Tensor): Float32Array {
  const count = sizeOf(tensor);
  if (tensor.dtype === 'float32') return new Float32Array(aligned(tensor.data.read()).buffer, 0, count);
  return decodeFloats(tensor.dtype, tensor.data.read(), count);
}

/** All elements of an integer or boolean tensor as numbers; int64 beyond 2^53 loses precision. */
export function readIntegers(tensor: Tensor): number[] {
  if (isFloat(tensor.dtype)) throw new KerfError('internal', `${tensor.dtype} is not an integer type`);
  return Array.from(decodeNumbers(tensor.dtype, tensor.data.read(), sizeOf(tensor)));
}

/** `count` elements of packed bytes as numbers, in float64 so that every 32-bit value is exact. */
export function decodeNumbers(dtype: DType, bytes: Uint8Array, count: number): Float64Array {
  const needed = byteSize(dtype, count);
  if (needed === undefined) throw new KerfError('unsupported', `${dtype} elements are not numbers`);
  if (bytes.length < needed) {
    throw new KerfError('truncated', `${bytes.length} bytes for ${count} elements of ${dtype}`);
  }
  const codes = wholeBytes(dtype, bytes, count);
  if (codes !== undefined) return new Float64Array(codes);
  const read = elementReader(dtype, bytes);
  const out = new Float64Array(count);
  for (let i = 0; i < count; i += 1) out[i] = read(i);
  return out;
}

/** Like `decodeNumbers`, in float32. */
export function decodeFloats(dtype: DType, bytes: Uint8Array, count: number): Float32Array {
  const codes = wholeBytes(dtype, bytes, count);
  if (codes !== undefined) return new Float32Array(codes);
  return Float32Array.from(decodeNumbers(dtype, bytes, count));
}

/** Elements of a byte each, which typed arrays convert at once: pictures and weights are large, and a call for each is slow. */
function wholeBytes(dtype: DType, bytes: Uint8Array, count: number): Uint8Array | Int8Array | undefined {
  if ((dtype !== 'int8' && dtype !== 'uint8') || bytes.length < count) return undefined;
  return dtype === 'int8' ? new Int8Array(bytes.buffer, bytes.byteOffset, count) : bytes.subarray(0, count);
}

function elementReader(dtype: DType, bytes: Uint8Array): (index: number) => number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const nibble = (i: number) => ((bytes[i >> 1] as number) >> ((i & 1) * 4)) & 15;
  const pair = (i: number) => ((bytes[i >> 2] as number) >> ((i & 3) * 2)) & 3;
  switch (dtype) {
    case 'float32':
      return (i) => view.getFloat32(i * 4, true);
    case 'float64':
      return (i) => view.getFloat64(i * 8, true);
    case 'float16':
      return (i) => fromHalf(view.getUint16(i * 2, true));
    case 'bfloat16':
      return (i) => fromBfloat(view.getUint16(i * 2, true));
    case 'float8e4m3fn':
      return (i) => fromSmallFloat(bytes[i] as number, 4, 3, 7, 'fn');
    case 'float8e4m3fnuz':
      return (i) => fromSmallFloat(bytes[i] as number, 4, 3, 8, 'fnuz');
    case 'float8e5m2':
      return (i) => fromSmallFloat(bytes[i] as number, 5, 2, 15, 'ieee');
    case 'float8e5m2fnuz':
      return (i) => fromSmallFloat(bytes[i] as number, 5, 2, 16, 'fnuz');
    case 'float8e8m0':
      return (i) => ((bytes[i] as number) === 255 ? Number.NaN : 2 ** ((bytes[i] as number) - 127));
    case 'float4e2m1':
      return (i) => fromSmallFloat(nibble(i), 2, 1, 1, 'finite');
    case 'int8':
      return (i) => view.getInt8(i);
    case 'uint8':
    case 'bool':
      return (i) => view.getUint8(i);
    case 'int16':
      return (i) => view.getInt16(i * 2, true);
    case 'uint16':
      return (i) => view.getUint16(i * 2, true);
    case 'int32':
      return (i) => view.getInt32(i * 4, true);
    case 'uint32':
      return (i) => view.getUint32(i * 4, true);
    case 'int64':
      return (i) => Number(view.getBigInt64(i * 8, true));
    case 'uint64':
      return (i) => Number(view.getBigUint64(i * 8, true));
    case 'int4':
      return (i) => (nibble(i) << 28) >> 28;
    case 'uint4':
      return nibble;
    case 'int2':
      return (i) => (pair(i) << 30) >> 30;
    case 'uint2':
      return pair;
    case 'string':
    case 'complex64':
    case 'complex128':
    case 'resource':
    case 'variant':
    case 'undefined':
      throw new KerfError('unsupported', `${dtype} elements are not numbers`);
  }
}

/** A float32 constant; takes ownership of `data`. */
export function floatTensor(dims: readonly number[], data: Float32Array): Tensor {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return { dtype: 'float32', dims, data: memoryBytes(bytes) };
}

/** A constant of any numeric type, with values rounded as the type needs; integers must be in range. */
export function numberTensor(dtype: DType, dims: readonly number[], values: ArrayLike<number>): Tensor {
  return { dtype, dims, data: memoryBytes(encodeNumbers(dtype, values)) };
}

/** An integer constant. */
export function intTensor(dtype: DType, dims: readonly number[], values: ArrayLike<number>): Tensor {
  return numberTensor(dtype, dims, values);
}

/** Packs numbers into the stored form of `dtype`; sub-byte types low bits first. */
export function encodeNumbers(dtype: DType, values: ArrayLike<number>): Uint8Array {
  const size = byteSize(dtype, values.length);
  if (size === undefined) throw new KerfError('unsupported', `cannot write numbers as ${dtype}`);
  if (dtype === 'float32') return new Uint8Array(new Float32Array(values).buffer);
  const bytes = new Uint8Array(size);
  const write = elementWriter(dtype, bytes);
  for (let i = 0; i < values.length; i += 1) write(i, values[i] as number);
  return bytes;
}

function elementWriter(dtype: DType, bytes: Uint8Array): (index: number, value: number) => void {
  const view = new DataView(bytes.buffer);
  switch (dtype) {
    case 'float32':
      return (i, v) => view.setFloat32(i * 4, v, true);
    case 'float64':
      return (i, v) => view.setFloat64(i * 8, v, true);
    case 'float16':
      return (i, v) => view.setUint16(i * 2, toHalf(v), true);
    case 'bfloat16':
      return (i, v) => view.setUint16(i * 2, toBfloat(v), true);
    case 'int8':
      return (i, v) => view.setInt8(i, v);
    case 'uint8':
    case 'bool':
      return (i, v) => view.setUint8(i, v);
    case 'int16':
      return (i, v) => view.setInt16(i * 2, v, true);
    case 'uint16':
      return (i, v) => view.setUint16(i * 2, v, true);
    case 'int32':
      return (i, v) => view.setInt32(i * 4, v, true);
    case 'uint32':
      return (i, v) => view.setUint32(i * 4, v, true);
    case 'int64':
      return (i, v) => view.setBigInt64(i * 8, BigInt(v), true);
    case 'uint64':
      return (i, v) => view.setBigUint64(i * 8, BigInt(v), true);
    case 'int4':
    case 'uint4':
      return (i, v) => {
        bytes[i >> 1] = (bytes[i >> 1] as number) | ((v & 15) << ((i & 1) * 4));
      };
    case 'int2':
    case 'uint2':
      return (i, v) => {
        bytes[i >> 2] = (bytes[i >> 2] as number) | ((v & 3) << ((i & 3) * 2));
      };
    default:
      throw new KerfError('unsupported', `cannot write numbers as ${dtype}`);
  }
}

const scratch = new DataView(new ArrayBuffer(4));

/** IEEE 754 binary16 to number. */
export function fromHalf(bits: number): number {
  return fromSmallFloat(bits, 5, 10, 15, 'ieee');
}

function fromBfloat(bits: number): number {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
}

/** Number to IEEE 754 binary16, round to nearest even; overflows to infinity. */
export function toHalf(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude >= 0x38800000) return sign | roundShift(magnitude - 0x38000000, 13);
  const exponent = magnitude >>> 23;
  if (exponent < 102) return sign;
  return sign | roundShift((magnitude & 0x7fffff) | 0x800000, 126 - exponent);
}

/** Number to bfloat16, round to nearest even. */
export function toBfloat(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  if (Number.isNaN(value)) return 0x7fc0;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** `value >> shift` with round to nearest, ties to even. */
function roundShift(value: number, shift: number): number {
  const down = value >>> shift;
  const rest = value - down * 2 ** shift;
  const half = 2 ** (shift - 1);
  return rest > half || (rest === half && (down & 1) === 1) ? down + 1 : down;
}

type Specials = 'ieee' | 'fn' | 'fnuz' | 'finite';

/** A float of few bits; `specials` says how NaN and infinity are coded (ONNX float8 notes). */
function fromSmallFloat(
  bits: number,
  exponentBits: number,
  mantissaBits: number,
  bias: number,
  specials: Specials,
): number {
  const mantissaMax = 2 ** mantissaBits;
  const exponentMax = 2 ** exponentBits - 1;
  const negative = bits >>> (exponentBits + mantissaBits) === 1;
  const exponent = (bits >>> mantissaBits) & exponentMax;
  const mantissa = bits & (mantissaMax - 1);
  if (specials === 'fnuz' && negative && exponent === 0 && mantissa === 0) return Number.NaN;
  if (specials === 'fn' && exponent === exponentMax && mantissa === mantissaMax - 1) return Number.NaN;
  const sign = negative ? -1 : 1;
  if (specials === 'ieee' && exponent === exponentMax) return mantissa === 0 ? sign * Infinity : Number.NaN;
  const value =
    exponent === 0
      ? (mantissa / mantissaMax) * 2 ** (1 - bias)
      : (1 + mantissa / mantissaMax) * 2 ** (exponent - bias);
  return sign * value;
}

/** A copy whose buffer starts at the data, so that typed-array views line up. */
function aligned(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(bytes.length);
  copy.set(bytes);
  return copy;
}
