import type { Attribute, Graph, Node, ValueId } from '../../ir/model.ts';
import type { Bytes } from '../../ir/bytes.ts';
import { memoryBytes } from '../../ir/bytes.ts';
import { byteSize } from '../../ir/dtype.ts';
import { floatTensor, intTensor, sizeOf } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { indexOf } from '../../ir/walk.ts';

/** The constant behind a value: an initializer, what an ONNX `Constant` node holds, or an `Identity` of either. */
export function constantOf(graph: Graph, id: ValueId | null | undefined): Tensor | undefined {
  let at = id;
  for (let hops = 0; hops < 8 && at !== null && at !== undefined; hops += 1) {
    const stored = graph.values.get(at)?.constant;
    if (stored !== undefined) return stored;
    const producer = indexOf(graph).producer.get(at);
    if (producer === undefined || !isBuiltin(producer)) return undefined;
    if (producer.op === 'Constant') return tensorOfConstant(producer);
    if (producer.op !== 'Identity') return undefined;
    at = producer.inputs[0];
  }
  return undefined;
}

/** Like `constantOf`, but only when its bytes are there to be read, all of them. */
export function readableConstant(graph: Graph, id: ValueId | null | undefined): Tensor | undefined {
  const tensor = constantOf(graph, id);
  return tensor !== undefined && isReadable(tensor) ? tensor : undefined;
}

/** False for a constant whose file is missing, or that is shorter than its dimensions say. */
export function isReadable(tensor: Tensor): boolean {
  const needed = byteSize(tensor.dtype, sizeOf(tensor));
  return tensor.data.missing === undefined && needed !== undefined && tensor.data.length >= needed;
}

/** What an ONNX `Constant` node holds; `undefined` for sparse values and function references. */
export function tensorOfConstant(node: Node): Tensor | undefined {
  for (const [name, attribute] of node.attributes) {
    const tensor = tensorOfAttribute(name, attribute);
    if (tensor !== undefined) return tensor;
  }
  return undefined;
}

function tensorOfAttribute(name: string, attribute: Attribute): Tensor | undefined {
  switch (attribute.kind) {
    case 'tensor':
      return name === 'value' ? attribute.value : undefined;
    case 'float':
      return floatTensor([], Float32Array.of(attribute.value));
    case 'floats':
      return floatTensor([attribute.value.length], Float32Array.from(attribute.value));
    case 'int':
      return typeof attribute.value === 'bigint' ? undefined : intTensor('int64', [], [attribute.value]);
    case 'ints': {
      const values = attribute.value.map(Number);
      return values.every(Number.isSafeInteger) ? intTensor('int64', [values.length], values) : undefined;
    }
    default:
      return undefined;
  }
}

/** True when both constants hold the same elements; reads both. */
export function sameTensor(a: Tensor, b: Tensor): boolean {
  if (a === b) return true;
  if (a.dtype !== b.dtype || a.strings !== undefined || b.strings !== undefined) return false;
  if (a.dims.length !== b.dims.length || a.dims.some((dim, i) => dim !== b.dims[i])) return false;
  if (a.data === b.data) return true;
  if (a.data.length !== b.data.length) return false;
  const piece = 1 << 20;
  for (let offset = 0; offset < a.data.length; offset += piece) {
    const length = Math.min(piece, a.data.length - offset);
    if (!sameBytes(a.data.read(offset, length), b.data.read(offset, length))) return false;
  }
  return true;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return false;
  return true;
}

/** The same elements under other dimensions; shares the bytes. */
export function reshaped(tensor: Tensor, dims: readonly number[]): Tensor {
  return { dtype: tensor.dtype, dims, data: tensor.data };
}

/** Results above this size are made when somebody reads them, and may be forgotten again. */
export const eagerBytes = 1 << 20;

/** Moves elements without looking at them: output axis `i` is input axis `perm[i]`. Byte-sized types only. */
export function transposed(tensor: Tensor, perm: readonly number[]): Tensor {
  const dims = perm.map((axis) => tensor.dims[axis] as number);
  const make = () => transposedBytes(tensor, perm, dims);
  const { length } = tensor.data;
  return {
    dtype: tensor.dtype,
    dims,
    data: length > eagerBytes ? madeBytes(length, make) : memoryBytes(make()),
  };
}

/** Bytes that are computed when they are read; only the last ones that were computed stay in memory. */
export function madeBytes(length: number, make: () => Uint8Array): Bytes {
  return new MadeBytes(length, make);
}

/** Whoever reads piece by piece waits in between, which is when a weak reference would be cleared. */
const lastMade: { bytes?: Uint8Array } = {};

/** Bytes that are computed when they are read, so that a folded model does not hold all its weights in memory. */
class MadeBytes implements Bytes {
  readonly length: number;
  readonly #make: () => Uint8Array;
  #made: WeakRef<Uint8Array> | undefined;
  constructor(length: number, make: () => Uint8Array) {
    this.length = length;
    this.#make = make;
  }
  read(offset = 0, length = this.length - offset): Uint8Array {
    let bytes = this.#made?.deref();
    if (bytes === undefined) {
      bytes = this.#make();
      this.#made = new WeakRef(bytes);
      lastMade.bytes = bytes;
    }
    return bytes.subarray(offset, offset + length);
  }
  slice(offset: number, length: number): Bytes {
    return new MadeBytes(length, () => this.read(offset, length));
  }
}

function transposedBytes(tensor: Tensor, perm: readonly number[], dims: readonly number[]): Uint8Array {
  const count = dims.reduce((product, dim) => product * dim, 1);
  const source = tensor.data.read();
  const width = count === 0 ? 1 : source.length / count;
  if (width === 4 && perm.length === 2 && perm[0] === 1) return turnedWords(source, dims);
  const strides = stridesOf(tensor.dims);
  const steps = perm.map((axis) => (strides[axis] as number) * width);
  const out = new Uint8Array(count * width);
  const position = dims.map(() => 0);
  let from = 0;
  for (let to = 0; to < out.length; to += width) {
    for (let byte = 0; byte < width; byte += 1) out[to + byte] = source[from + byte] as number;
    for (let axis = dims.length - 1; axis >= 0; axis -= 1) {
      position[axis] = (position[axis] as number) + 1;
      from += steps[axis] as number;
      if ((position[axis] as number) < (dims[axis] as number)) break;
      from -= (steps[axis] as number) * (dims[axis] as number);
      position[axis] = 0;
    }
  }
  return out;
}

/** Side of the squares that are turned one after another, so that both sides stay in the processor's cache. */
const turnedSide = 32;

/** A matrix of 32-bit elements with its rows as columns; `dims` of the result. */
function turnedWords(source: Uint8Array, dims: readonly number[]): Uint8Array {
  const [rows, columns] = dims as readonly [number, number];
  const bytes = source.byteOffset % 4 === 0 ? source : source.slice();
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, rows * columns);
  const out = new Uint32Array(rows * columns);
  for (let top = 0; top < rows; top += turnedSide) {
    const bottom = Math.min(rows, top + turnedSide);
    for (let left = 0; left < columns; left += turnedSide) {
      const right = Math.min(columns, left + turnedSide);
      for (let column = left; column < right; column += 1) {
        for (let row = top; row < bottom; row += 1)
          out[row * columns + column] = words[column * rows + row] as number;
      }
    }
  }
  return new Uint8Array(out.buffer);
}

/** An operator of the format's own set; ONNX spells its default domain both '' and 'ai.onnx'. */
export function isBuiltin(node: Node): boolean {
  return node.domain === '' || node.domain === 'ai.onnx';
}

/** Elements to skip per step along each axis, row-major. */
export function stridesOf(dims: readonly number[]): number[] {
  const strides = dims.map(() => 1);
  for (let axis = dims.length - 2; axis >= 0; axis -= 1) {
    strides[axis] = (strides[axis + 1] as number) * (dims[axis + 1] as number);
  }
  return strides;
}
