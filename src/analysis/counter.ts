import type { DType } from '../ir/dtype.ts';
import { bitsOf } from '../ir/dtype.ts';
import { wasmModule } from '../ir/wasm/module.ts';
import {
  byteTables,
  byteValues,
  countKernels,
  layout,
  stepBytes,
  windowBytes,
  wordTables,
  wordValues,
} from './countKernels.ts';

/**
 * Statistics by counting: the elements of a tensor are counted by their codes, and everything else follows from the counts.
 * For types of at most 16 bits they are exact (smaller elements than bytes are counted by the byte). Of float32 they see
 * sign, exponent and seven bits of the mantissa, so that moments are good to a few parts in ten thousand; extremes and
 * zeros are exact on their own.
 */
export interface Counter {
  /** Where the next piece is put. */
  readonly window: Uint8Array;
  clear(): void;
  /** Counts the first `length` bytes of the window. */
  add(as: DType, length: number): void;
  /** What was counted since `clear`; all of it was of one type. */
  result(as: DType): Counts;
}

export interface Counts {
  /** By the element of 16 bits, the upper half of a float32, or the byte. */
  readonly table: Uint32Array | Float64Array;
  /** What the table sees only roughly. Infinite extremes where there is no finite number. */
  readonly floats?: { readonly min: number; readonly max: number; readonly zeros: number };
}

/** Bits by which the elements of a type are counted: what an entry of the table stands for. */
export function countedBits(dtype: DType): 8 | 16 {
  return dtype === 'float32' || bitsOf(dtype) === 16 ? 16 : 8;
}

/** Counts with vectors; `undefined` where they cannot run. */
export function vectorCounter(): Counter | undefined {
  const module = wasmModule(layout.end, countKernels);
  if (module === undefined) return undefined;
  const { memory, call } = module;
  const window = new Uint8Array(memory, layout.window, windowBytes);
  const tables = new Uint32Array(memory, layout.tables, wordTables * wordValues);
  const smallest = new Float32Array(memory, layout.smallest, 4);
  const largest = new Float32Array(memory, layout.largest, 4);
  const zeros = new Uint32Array(memory, layout.zeros, 4);
  return {
    window,
    clear() {
      tables.fill(0);
      smallest.fill(Number.POSITIVE_INFINITY);
      largest.fill(Number.NEGATIVE_INFINITY);
      zeros.fill(0);
    },
    add(as, length) {
      if (length === 0) return;
      const end = Math.ceil(length / stepBytes) * stepBytes;
      // Filled up with what is not a number to floats, and not counted.
      window.fill(255, length, end);
      const kernel =
        as === 'float32' ? call.countUppers : countedBits(as) === 16 ? call.countWords : call.countBytes;
      kernel(layout.window, layout.window + end);
      const last = countedBits(as) === 16 ? wordValues - 1 : byteValues - 1;
      tables[last] = (tables[last] as number) - (end - length) / bytesPerCount(as);
      if (as === 'float32') call.lookAtFloats(layout.window, layout.window + end);
    },
    result(as) {
      if (countedBits(as) === 16) call.joinWords();
      const table = countedBits(as) === 16 ? tables.slice(0, wordValues) : joinedBytes(tables);
      if (as !== 'float32') return { table };
      const sum = zeros.reduce((all, each) => all + each, 0);
      return { table, floats: { min: Math.min(...smallest), max: Math.max(...largest), zeros: sum } };
    },
  };
}

/** Counts one by one. */
export function plainCounter(): Counter {
  const window = new Uint8Array(windowBytes);
  const words = new Uint16Array(window.buffer);
  const numbers = new Float32Array(window.buffer);
  const table = new Uint32Array(wordValues);
  const floats = { min: 0, max: 0, zeros: 0 };
  return {
    window,
    clear() {
      table.fill(0);
      Object.assign(floats, { min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY, zeros: 0 });
    },
    add(as, length) {
      const codes = countedBits(as) === 16 ? words : window;
      const step = as === 'float32' ? 2 : 1;
      for (let i = step - 1; i * codes.BYTES_PER_ELEMENT < length; i += step) {
        const code = codes[i] as number;
        table[code] = (table[code] as number) + 1;
      }
      if (as === 'float32') lookAt(numbers, length >> 2, floats);
    },
    result(as) {
      const values = countedBits(as) === 16 ? wordValues : byteValues;
      const counts = { table: table.slice(0, values) };
      return as === 'float32' ? { ...counts, floats: { ...floats } } : counts;
    },
  };
}

function lookAt(
  numbers: Float32Array,
  count: number,
  seen: { min: number; max: number; zeros: number },
): void {
  for (let i = 0; i < count; i += 1) {
    const value = numbers[i] as number;
    if (value === 0) seen.zeros += 1;
    if (!Number.isFinite(value)) continue;
    if (value < seen.min) seen.min = value;
    if (value > seen.max) seen.max = value;
  }
}

function bytesPerCount(as: DType): number {
  return as === 'float32' ? 4 : countedBits(as) / 8;
}

function joinedBytes(tables: Uint32Array): Uint32Array {
  const sum = tables.slice(0, byteValues);
  for (let at = byteValues; at < byteTables * byteValues; at += 1) {
    const code = at % byteValues;
    sum[code] = (sum[code] as number) + (tables[at] as number);
  }
  return sum;
}

/** Parts of one tensor together. */
export function joinedCounts(parts: readonly Counts[]): Counts {
  const [first] = parts as readonly [Counts];
  if (parts.length === 1) return first;
  const table = new Float64Array(first.table.length);
  for (const part of parts)
    for (let code = 0; code < table.length; code += 1)
      table[code] = (table[code] as number) + (part.table[code] as number);
  const floats = parts.flatMap((part) => part.floats ?? []);
  if (floats.length === 0) return { table };
  return {
    table,
    floats: {
      min: Math.min(...floats.map((each) => each.min)),
      max: Math.max(...floats.map((each) => each.max)),
      zeros: floats.reduce((sum, each) => sum + each.zeros, 0),
    },
  };
}
