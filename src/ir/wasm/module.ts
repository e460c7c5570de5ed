import type { WasmFunction } from './assembler.ts';
import { assemble } from './assembler.ts';

export interface WasmModule<Name extends string> {
  readonly memory: ArrayBuffer;
  readonly call: Readonly<Record<Name, (...numbers: readonly number[]) => void>>;
}

/** A module of these functions, or `undefined` where WebAssembly with vectors of 128 bits cannot run. */
export function wasmModule<Name extends string>(
  bytes: number,
  functions: readonly (WasmFunction & { readonly name: Name })[],
): WasmModule<Name> | undefined {
  // Some hosts turn it off, with all other compiling at run time.
  if (typeof WebAssembly === 'undefined') return undefined;
  const code = assemble(Math.ceil(bytes / 65536), functions);
  if (!WebAssembly.validate(code)) return undefined;
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code));
  const { memory, ...call } = exports as unknown as { memory: { readonly buffer: ArrayBuffer } };
  return { memory: memory.buffer, call: call as WasmModule<Name>['call'] };
}
