import { computedBytes, fillFrom, memoryBytes } from '../../ir/bytes.ts';
import { bitsOf } from '../../ir/dtype.ts';
import { decodeFloats, encodeNumbers, sizeOf } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { eagerBytes } from './constants.ts';

/** Elements that lie in memory at once. */
const windowSize = 1 << 16;

/** The elements of a float tensor from the first on, piece by piece; a piece is overwritten by the next one. */
export function eachPiece(tensor: Tensor, visit: (floats: Float32Array, first: number) => void): void {
  const size = sizeOf(tensor);
  const window = new Float32Array(Math.min(size, windowSize));
  for (let first = 0; first < size; first += windowSize)
    visit(floatsAt(tensor, first, window.subarray(0, Math.min(windowSize, size - first))), first);
}

function floatsAt({ dtype, data }: Tensor, first: number, target: Float32Array): Float32Array {
  if (dtype === 'float32') {
    fillFrom(new Uint8Array(target.buffer, target.byteOffset, target.byteLength), data, 4 * first);
    return target;
  }
  const width = bitsOf(dtype) / 8;
  return decodeFloats(dtype, data.read(width * first, width * target.length), target.length);
}

/** Runs of elements that are changed together. */
interface Runs {
  /** The last boundary that is not behind this element. */
  before(element: number): number;
  /** The first boundary that is not before this element. */
  after(element: number): number;
}

const singly: Runs = { before: (element) => element, after: (element) => element };

/**
 * A float32 or float16 tensor with its elements changed in place; a large one piece by piece, whenever somebody reads it, so
 * that neither has to lie in memory. A piece is made of whole runs.
 */
export function changedTensor(
  tensor: Tensor,
  change: (floats: Float32Array, first: number) => void,
  runs = singly,
): Tensor {
  const { dtype, dims } = tensor;
  const width = bitsOf(dtype) / 8;
  const size = sizeOf(tensor);
  const make = (offset: number, length: number) => {
    const bytes = new Uint8Array(length);
    const end = Math.min(size, runs.after(Math.ceil((offset + length) / width)));
    for (let first = runs.before(Math.floor(offset / width)); first < end; ) {
      const next = Math.min(end, runs.after(first + windowSize));
      const floats = floatsAt(tensor, first, new Float32Array(next - first));
      change(floats, first);
      const made =
        dtype === 'float32'
          ? new Uint8Array(floats.buffer, 0, 4 * floats.length)
          : encodeNumbers(dtype, floats);
      const at = width * first - offset;
      bytes.set(made.subarray(Math.max(0, -at), length - at), Math.max(0, at));
      first = next;
    }
    return bytes;
  };
  const data =
    tensor.data.length > eagerBytes ? computedBytes(width * size, make) : memoryBytes(make(0, width * size));
  return { dtype, dims, data };
}

/** The places of a table that are not 0. */
export function occupied(counts: Uint32Array): Uint32Array {
  let found = 0;
  for (let place = 0; place < counts.length; place += 1) if (counts[place] !== 0) found += 1;
  const places = new Uint32Array(found);
  for (let place = 0, at = 0; at < found; place += 1) {
    if (counts[place] === 0) continue;
    places[at] = place;
    at += 1;
  }
  return places;
}
