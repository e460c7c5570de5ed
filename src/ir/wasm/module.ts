import { assemble } from './assembler.ts';
import type { WasmFunction } from './kernel.ts';

export interface WasmModule<Name extends string> {
  readonly memory: ArrayBuffer;
  readonly call: Readonly<Record<Name, (...numbers: readonly number[]) => void>>;
}

/** A module of these functions, or `undefined` where WebAssembly with vectors of 128 bits cannot run. */
export function wasmModule<Name extends string>(
  bytes: number,
  functions: readonly WasmFunction<Name>[],
): WasmModule<Name> | undefined {
  // Some hosts turn it off, with all other compiling at run time.
  if (typeof WebAssembly === 'undefined') return undefined;
  const code = assemble(Math.ceil(bytes / 65536), functions);
  if (!WebAssembly.validate(code)) return undefined;
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code));
  const { memory, ...call } = exports as unknown as { memory: { readonly buffer: ArrayBuffer } };
  return { memory: memory.buffer, call: call as WasmModule<Name>['call'] };
}

/** A WebAssembly memory has 4 GiB at most; half of it keeps places positive. */
const mostBytes = 2 ** 31;

/**
 * A module with a memory of at least as many bytes as are asked for: always the same one, until more are. What lies in it
 * is left from before. `undefined` where it cannot be had.
 */
export function growingModule<Name extends string>(
  functions: readonly WasmFunction<Name>[],
): (bytes: number) => WasmModule<Name> | undefined {
  let widest: WasmModule<Name> | undefined;
  return (bytes) => {
    if (bytes > mostBytes) return undefined;
    if (widest === undefined || widest.memory.byteLength < bytes) widest = wasmModule(bytes, functions);
    return widest;
  };
}
