import type { DType } from '../../ir/dtype.ts';
import { isFloat } from '../../ir/dtype.ts';
import { decodeNumbers, numberTensor } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { isReadable } from '../support/constants.ts';

/** A constant being computed with; float64 holds every value of up to 32 bits and every safe int64 exactly. */
export interface Numbers {
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly values: Float64Array;
}

/** The arguments of one evaluation; an entry is `undefined` where an optional input is omitted. */
export interface Arguments {
  readonly inputs: readonly (Numbers | undefined)[];
  int(name: string, fallback: number): number;
  ints(name: string): readonly number[] | undefined;
  readonly opset: number;
  readonly outputs: number;
}

/** Computes the outputs of an operator, or `undefined` when this case is not covered. */
export type Evaluator = (args: Arguments) => readonly Numbers[] | undefined;

const computable = new Set<DType>([
  'float32',
  'float64',
  'float16',
  'int8',
  'int16',
  'int32',
  'int64',
  'uint8',
  'uint16',
  'uint32',
  'bool',
]);

/** Operators that make much out of little are not computed beyond so many elements: the result would be dropped. */
export const mostGenerated = 1 << 16;

export function countOf(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

/** Reads a constant for computing; `undefined` for types this evaluator leaves alone and for unsafe int64. */
export function numbersOf(tensor: Tensor): Numbers | undefined {
  if (!computable.has(tensor.dtype) || !isReadable(tensor)) return undefined;
  const values = decodeNumbers(tensor.dtype, tensor.data.read(), countOf(tensor.dims));
  return { dtype: tensor.dtype, dims: tensor.dims, values };
}

/** `undefined` when an integer does not fit its type exactly, so that nothing is folded to a wrong number. */
export function tensorOf(numbers: Numbers): Tensor | undefined {
  const { dtype, values } = numbers;
  const [low, high] = limitsOf(dtype);
  if (!isFloat(dtype)) {
    for (const value of values)
      if (!Number.isSafeInteger(value) || value < low || value > high) return undefined;
  }
  return numberTensor(dtype, numbers.dims, values);
}

function limitsOf(dtype: DType): readonly [number, number] {
  if (dtype === 'bool') return [0, 1];
  const bits = Number(/\d+$/.exec(dtype)?.[0] ?? 64);
  if (bits === 64) return [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER];
  return dtype.startsWith('u') ? [0, 2 ** bits - 1] : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
}

/** Shape of the broadcast of all, by the rules of NumPy; `undefined` when they do not fit. */
export function broadcastDims(all: readonly (readonly number[])[]): number[] | undefined {
  const rank = Math.max(...all.map((dims) => dims.length));
  const out = Array.from({ length: rank }, () => 1);
  for (const dims of all) {
    for (let i = 0; i < dims.length; i += 1) {
      const axis = rank - dims.length + i;
      const dim = dims[i] as number;
      if (dim === 1 || dim === out[axis]) continue;
      if (out[axis] !== 1) return undefined;
      out[axis] = dim;
    }
  }
  return out;
}

/** Index into an array of `dims` for each element of the broadcast shape `to`. */
export function broadcastIndex(dims: readonly number[], to: readonly number[]): Int32Array {
  const total = countOf(to);
  const index = new Int32Array(total);
  let stride = 1;
  let repeat = 1;
  for (let axis = to.length - 1; axis >= 0; axis -= 1) {
    const size = to[axis] as number;
    const own = dims[axis - (to.length - dims.length)] ?? 1;
    if (own !== 1) {
      for (let i = 0; i < total; i += 1) {
        index[i] = (index[i] as number) + (Math.floor(i / repeat) % size) * stride;
      }
      stride *= own;
    }
    repeat *= size;
  }
  return index;
}

/** A negative axis counts from the end. */
export function positiveAxis(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}
