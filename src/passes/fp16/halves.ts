import type { Bytes } from '../../ir/bytes.ts';
import { computedBytes, fillFrom, memoryBytes } from '../../ir/bytes.ts';
import { sizeOf, toBfloat, toHalf } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { WasmModule } from '../../ir/wasm/module.ts';
import { wasmModule } from '../../ir/wasm/module.ts';
import { eagerBytes } from '../support/constants.ts';
import { halfKernels, stepBytes } from './halfKernels.ts';

export type HalfType = 'float16' | 'bfloat16';

interface Halved {
  readonly tensor: Tensor;
  /** Elements beyond the range of float16, which were clamped to its end. */
  readonly clamped: number;
}

/**
 * A float32 constant in 16 bits, rounded to nearest even; finite values stay finite. A large one is converted in pieces as it is
 * read, and read once here to count what was clamped.
 */
export function halved(
  { dims, data }: Tensor,
  dtype: HalfType = 'float16',
  converter: Converter = (usual ??=
    vectorConverter() ?? plainConverter()),
): Halved {
  const source = data.slice(0, 4 * sizeOf({ dims }));
  const convert = (offset: number, length: number) => converted(source, offset, length, dtype, converter);
  if (data.length <= eagerBytes) {
    const { bytes, clamped } = convert(0, source.length / 2);
    return { tensor: { dtype, dims, data: memoryBytes(bytes) }, clamped };
  }
  let clamped = 0;
  // Nothing is out of the range of bfloat16.
  if (dtype === 'float16')
    for (let offset = 0; offset < source.length; offset += windowBytes)
      clamped += converter.convert(
        dtype,
        source,
        offset,
        Math.min(windowBytes, source.length - offset),
      ).clamped;
  const read = (offset: number, length: number) => convert(offset, length).bytes;
  return { tensor: { dtype, dims, data: computedBytes(source.length / 2, read) }, clamped };
}

/** A range of the converted bytes. */
function converted(source: Bytes, offset: number, length: number, dtype: HalfType, converter: Converter) {
  const first = offset - (offset % 2);
  const last = offset + length + ((offset + length) % 2);
  const bytes = new Uint8Array(last - first);
  let clamped = 0;
  for (let at = first; at < last; at += windowBytes / 2) {
    const made = converter.convert(dtype, source, 2 * at, Math.min(windowBytes, 2 * (last - at)));
    bytes.set(made.bytes, at - first);
    clamped += made.clamped;
  }
  return { bytes: bytes.subarray(offset - first, offset - first + length), clamped };
}

/** Converts at most `windowBytes` of float32; the result is overwritten by the next one. */
export interface Converter {
  convert(
    dtype: HalfType,
    source: Bytes,
    offset: number,
    length: number,
  ): { readonly bytes: Uint8Array; readonly clamped: number };
}

const windowBytes = 1 << 18;
const windowAt = 64;
const outAt = windowAt + windowBytes;

let usual: Converter | undefined;

/** `undefined` where vectors cannot run. */
export function vectorConverter(): Converter | undefined {
  const module: WasmModule<HalfType> | undefined = wasmModule(outAt + windowBytes / 2, halfKernels);
  if (module === undefined) return undefined;
  const { memory, call } = module;
  const beyond = new Uint32Array(memory, 0, 4);
  return {
    convert(dtype, source, offset, length) {
      fillFrom(new Uint8Array(memory, windowAt, length), source, offset);
      const end = windowAt + Math.ceil(length / stepBytes) * stepBytes;
      new Uint8Array(memory, windowAt + length, end - windowAt - length).fill(0);
      beyond.fill(0);
      if (length > 0) call[dtype](windowAt, end, outAt, 0);
      const clamped = beyond.reduce((sum, each) => sum + each, 0);
      return { bytes: new Uint8Array(memory, outAt, length / 2), clamped };
    },
  };
}

/** Number by number. */
export function plainConverter(): Converter {
  const window = new Float32Array(windowBytes / 4);
  return {
    convert(dtype, source, offset, length) {
      fillFrom(new Uint8Array(window.buffer, 0, length), source, offset);
      const halves = new Uint16Array(length / 4);
      let clamped = 0;
      for (let i = 0; i < halves.length; i += 1) {
        const value = window[i] as number;
        const outside = dtype === 'float16' && Number.isFinite(value) && Math.abs(value) > largest;
        if (outside) clamped += 1;
        const inside = outside ? Math.sign(value) * largest : value;
        halves[i] = dtype === 'float16' ? toHalf(inside) : toBfloat(inside);
      }
      return { bytes: new Uint8Array(halves.buffer), clamped };
    },
  };
}

/** Largest finite float16. */
const largest = 65504;
