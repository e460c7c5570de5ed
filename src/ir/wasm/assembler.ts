import type { Code } from './instructions.ts';
import type { WasmFunction, WasmType } from './kernel.ts';
import { unsigned } from './leb128.ts';

/** Magic and version. */
const header: Code = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];

/**
 * The bytes of a module (WebAssembly core specification 2.0, binary format) with `pages` of memory (64 KiB each), exported
 * as `memory` beside the functions.
 */
export function assemble(pages: number, functions: readonly WasmFunction[]): Uint8Array<ArrayBuffer> {
  const types = functions.map(({ parameters }) => [0x60, ...list(parameters.map(typeCode)), 0]);
  const names = functions.map(({ name }, index) => [...text(name), 0, ...unsigned(index)]);
  return Uint8Array.from([
    ...header,
    ...section(1, list(types)),
    ...section(3, list(functions.map((_, index) => unsigned(index)))),
    ...section(5, list([[0, ...unsigned(pages)]])),
    ...section(7, list([[...text('memory'), 2, 0], ...names])),
    ...section(10, list(functions.map(functionBody))),
  ]);
}

function functionBody({ locals, body }: WasmFunction): Code {
  const code = [...list(locals.map((type) => [1, ...typeCode(type)])), ...body().flat(), 0x0b];
  return [...unsigned(code.length), ...code];
}

function typeCode(type: WasmType): Code {
  return [{ i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b }[type]];
}

function section(id: number, content: Code): Code {
  return [id, ...unsigned(content.length), ...content];
}

function list(items: readonly Code[]): Code {
  return [...unsigned(items.length), ...items.flat()];
}

/** Names are ASCII here. */
function text(name: string): Code {
  return list(Array.from(name, (letter) => [letter.charCodeAt(0)]));
}
