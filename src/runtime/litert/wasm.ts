import { readFileSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { KerfError } from '../../ir/errors.ts';
import { lastLines } from '../text.ts';
import { messageOf } from '../wire.ts';

/** What Emscripten modules of both TFLite runtimes offer. */
export interface EmscriptenModule {
  /** Replaced whenever the memory grows: read it anew after every call into the module. */
  readonly HEAPU8: Uint8Array;
  _malloc(bytes: number): number;
  _free(pointer: number): void;
}

/** Where a runtime's script and code lie. */
export interface WasmFiles {
  readonly folder: string;
  readonly file: string;
  /** Name of the module factory that the script declares. */
  readonly factory: string;
}

/** What a module wrote to its console since it was last taken. */
export interface WasmLog {
  readonly lines: string[];
}

type Factory = (options: object) => Promise<EmscriptenModule>;

const loaded = new Map<string, Promise<{ readonly factory: Factory; readonly module: WebAssembly.Module }>>();

/**
 * A new instance with its own memory; the code is compiled once per process. Every session has an instance of its own,
 * because a trap leaves an instance unusable for all that live in it.
 */
export async function instantiate<M extends EmscriptenModule>(
  files: WasmFiles,
): Promise<{ module: M; log: WasmLog }> {
  const { factory, module } = await load(files);
  const lines: string[] = [];
  const write = (line: string) => {
    lines.push(line);
  };
  const instance = await factory({
    print: write,
    printErr: write,
    locateFile: (path: string) => path,
    instantiateWasm(
      imports: WebAssembly.Imports,
      done: (instance: WebAssembly.Instance, module: WebAssembly.Module) => void,
    ) {
      const created = new WebAssembly.Instance(module, imports);
      done(created, module);
      return created.exports;
    },
  });
  return { module: instance as M, log: { lines } };
}

function load(files: WasmFiles) {
  const key = join(files.folder, files.file);
  let found = loaded.get(key);
  if (found === undefined) {
    found = compile(files);
    loaded.set(key, found);
  }
  return found;
}

async function compile({ folder, file, factory }: WasmFiles) {
  const script = join(__dirname, folder, `${file}.js`);
  try {
    const source = readFileSync(script, 'utf8');
    // The scripts are written for a page or a worker: they declare a global and export nothing.
    const declare = new Function('require', '__filename', '__dirname', `${source};return ${factory}`);
    const made = declare(createRequire(script), script, join(__dirname, folder)) as Factory;
    const module = await WebAssembly.compile(readFileSync(join(__dirname, folder, `${file}.wasm`)));
    return { factory: made, module };
  } catch (error) {
    throw new KerfError('runtime-refused', `the ${folder} runtime cannot be loaded: ${messageOf(error)}`);
  }
}

/** WebAssembly modules have 4 GiB of memory for the file, its unpacked weights and the values. */
const largestFile = 2 ** 31 - 1;

/** The bytes of a model file. Throws `KerfError('runtime-refused')` when it is too large for WebAssembly. */
export async function readForWasm(path: string): Promise<Uint8Array> {
  const { size } = await stat(path);
  if (size <= largestFile) return readFile(path);
  const message = `a file of ${size} bytes does not fit into a WebAssembly runtime (${largestFile} at most)`;
  throw new KerfError('runtime-refused', message, { file: path });
}

/** Copies bytes into the module's memory; the caller frees the pointer. */
export function copyIn(module: EmscriptenModule, bytes: Uint8Array): number {
  const { _malloc: allocate } = module;
  const pointer = allocate(bytes.length);
  if (pointer === 0)
    throw new KerfError('runtime-refused', `no memory for ${bytes.length} bytes in the WebAssembly runtime`);
  module.HEAPU8.set(bytes, pointer);
  return pointer;
}

/** Takes the error lines out of a log, without source positions of the runtime. */
export function takeErrors(log: WasmLog): string {
  const errors = log.lines.splice(0).filter((line) => /^ERROR\b/.test(line));
  return lastLines(errors.map((line) => line.replace(/^ERROR:\s*(\[[^\]]*\]\s*)?/, '')).join('\n'), 5);
}

/** Version of the package that the module came from. */
export function versionOf({ folder }: WasmFiles): string {
  const text = readFileSync(join(__dirname, folder, 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
