import type { DType } from '../ir/dtype.ts';
import { byteSize, isFloat } from '../ir/dtype.ts';
import { decodeNumbers, sizeOf } from '../ir/numbers.ts';
import type { Tensor } from '../ir/tensor.ts';
import type { Dim, Shape, TensorType, ValueType } from '../ir/types.ts';
import { tensorType } from '../ir/types.ts';
import { soundDim } from './dims.ts';
import type { Known } from './operator.ts';

/** Constants up to these sizes take part in shape arithmetic; larger ones are weights and are never read here. */
const largestIntegers = 4096;
const largestFloats = 16;

const constants = new WeakMap<Tensor, Known>();

/** Knowledge of a constant, made once. Its content is read when a rule first asks, and only when it is small. */
export function knownConstant(tensor: Tensor): Known {
  let found = constants.get(tensor);
  if (found === undefined) {
    found = new ConstantKnown(tensor);
    constants.set(tensor, found);
  }
  return found;
}

class ConstantKnown implements Known {
  readonly type: ValueType;
  readonly constant: Tensor;
  #content: readonly Dim[] | undefined | null = null;
  constructor(tensor: Tensor) {
    this.constant = tensor;
    this.type = tensorType(tensor.dtype, tensor.dims.map(soundDim));
  }
  get content(): readonly Dim[] {
    if (this.#content === null) this.#content = contentOf(this.constant);
    return this.#content as readonly Dim[];
  }
}

function contentOf(tensor: Tensor): readonly Dim[] | undefined {
  const count = sizeOf(tensor);
  if (!fitsContent(tensor.dtype, count) || tensor.data.missing !== undefined) return undefined;
  if (tensor.data.length < (byteSize(tensor.dtype, count) ?? 0)) return undefined;
  return Array.from(decodeNumbers(tensor.dtype, tensor.data.read(), count));
}

/** Whether so many elements are kept as content during inference. */
export function fitsContent(dtype: DType, count: number | undefined): boolean {
  if (count === undefined || !(count >= 0) || dtype === 'string' || dtype === 'undefined') return false;
  if (dtype.startsWith('complex') || dtype === 'resource' || dtype === 'variant') return false;
  return count <= (isFloat(dtype) ? largestFloats : largestIntegers);
}

/** Knowledge of a tensor; without an element type nothing is known. */
export function known(dtype: DType | undefined, shape: Shape | undefined, content?: readonly Dim[]): Known {
  if (dtype === undefined) return {};
  const type = tensorType(dtype, shape);
  return content === undefined ? { type } : { type, content };
}

export function tensorTypeOf(value: Known): TensorType | undefined {
  return value.type?.kind === 'tensor' || value.type?.kind === 'sparse' ? value.type : undefined;
}

export function dtypeOf(value: Known): DType | undefined {
  return tensorTypeOf(value)?.dtype;
}

export function shapeOf(value: Known): Shape | undefined {
  return tensorTypeOf(value)?.shape;
}

/** More dimensions than this are damage, not a shape. */
const highestRank = 256;

/** Unknown sizes, as many as a rank that was computed says; `undefined` when it is no rank. */
export function unknownShape(rank: Dim | undefined): Shape | undefined {
  if (typeof rank !== 'number' || !(rank >= 0 && rank <= highestRank)) return undefined;
  return Array.from({ length: rank }, () => null);
}

/** Content when every element is a number. */
export function numbersOf(value: Known): readonly number[] | undefined {
  const content = value.content;
  return content?.every((element) => typeof element === 'number')
    ? (content as readonly number[])
    : undefined;
}

/** The only element of a scalar or one-element tensor, when it is a number. */
export function scalarOf(value: Known): number | undefined {
  const content = value.content;
  return content?.length === 1 && typeof content[0] === 'number' ? content[0] : undefined;
}
