import { readFile } from 'node:fs/promises';
import type { DType } from '../ir/dtype.ts';
import { KerfError } from '../ir/errors.ts';
import type { BackendSession } from './backend.ts';
import { checkedFeeds } from './feeds.ts';
import type { HostTensor, LayerTime, SessionInfo, TensorInfo, Tensors } from './runner.ts';
import { parseSummary } from './tfliteProfile.ts';
import type { EmscriptenModule, WasmLog } from './wasm.ts';
import { copyIn, instantiate, takeErrors, versionOf } from './wasm.ts';
import { messageOf } from './wire.ts';

interface InterpreterTensor {
  readonly name: string;
  readonly dataType: string;
  /** Comma-separated. */
  readonly shape: string;
  /** A view into the module's memory, valid until the next call. */
  data(): ArrayBufferView;
}

interface Interpreter {
  GetInputs(): { size(): number; get(index: number): InterpreterTensor };
  GetOutputs(): { size(): number; get(index: number): InterpreterTensor };
  /** False when an operator failed. */
  Infer(): boolean;
  GetProfilingSummary(): string;
}

interface TfliteModule extends EmscriptenModule {
  readonly TFLiteWebModelRunner: {
    CreateFromBufferAndOptions(
      pointer: number,
      bytes: number,
      options: { numThreads: number; enableProfiling: boolean; maxProfilingBufferEntries: number },
    ): { ok(): boolean; errorMessage(): string; value(): Interpreter };
  };
}

interface Loaded {
  readonly interpreter: Interpreter;
  readonly log: WasmLog;
}

const files = { folder: 'tflite', file: 'tflite_web_api_cc_simd', factory: 'tflite_web_api_ModuleFactory' };

/**
 * Loads a TFLite model into the classic interpreter (WebAssembly, one thread). It keeps state between inferences,
 * which LiteRT cannot, and tells the time of every operator; it knows only operator versions of 2024 and before.
 */
export async function openTflite(path: string): Promise<BackendSession> {
  const bytes = await readFile(path);
  const start = performance.now();
  let loaded: Loaded | undefined = await load(path, bytes, 0);
  const info: SessionInfo = {
    runtime: 'tflite',
    version: versionOf(files),
    provider: 'xnnpack',
    threads: 1,
    inputs: tensorsOf(loaded.interpreter.GetInputs()).map(describe),
    outputs: tensorsOf(loaded.interpreter.GetOutputs()).map(describe),
    loadMs: performance.now() - start,
  };
  const ready = async (feeds: Tensors) => {
    const tensors = checkedFeeds(info.inputs, feeds, path);
    const current = (loaded ??= await load(path, bytes, 0));
    writeInputs(current.interpreter, tensors);
    return current;
  };
  const guarded = (current: Loaded) => {
    try {
      invoke(current, path);
    } catch (error) {
      // A trap leaves the instance unusable: the next inference gets a new one.
      loaded = undefined;
      throw error;
    }
  };
  return {
    info,
    async run(feeds) {
      const current = await ready(feeds);
      guarded(current);
      return readOutputs(current.interpreter, info.outputs);
    },
    async prepare(feeds) {
      const current = await ready(feeds);
      return { run: async () => guarded(current), dispose: () => undefined };
    },
    profile: (feeds, runs) => profile(path, bytes, checkedFeeds(info.inputs, feeds, path), runs),
    close: async () => {
      loaded = undefined;
    },
  };
}

async function load(path: string, bytes: Uint8Array, profileEntries: number): Promise<Loaded> {
  const { module, log } = await instantiate<TfliteModule>(files);
  try {
    const created = module.TFLiteWebModelRunner.CreateFromBufferAndOptions(
      copyIn(module, bytes),
      bytes.length,
      {
        numThreads: 1,
        enableProfiling: profileEntries > 0,
        maxProfilingBufferEntries: Math.max(profileEntries, 1),
      },
    );
    if (!created.ok()) throw new Error(created.errorMessage());
    const errors = takeErrors(log);
    if (errors !== '') throw new Error(errors);
    return { interpreter: created.value(), log };
  } catch (error) {
    throw refusal(error, log, path);
  }
}

function invoke({ interpreter, log }: Loaded, path: string): void {
  let done: boolean;
  try {
    done = interpreter.Infer();
  } catch (error) {
    throw refusal(error, log, path);
  }
  if (!done) throw refusal('the inference failed', log, path);
}

/** Operators and XNNPACK kernels of one inference take a few hundred entries at most; the buffer holds all runs. */
const entriesPerRun = 4096;

async function profile(
  path: string,
  bytes: Uint8Array,
  tensors: readonly HostTensor[],
  runs: number,
): Promise<readonly LayerTime[]> {
  const loaded = await load(path, bytes, entriesPerRun * runs);
  writeInputs(loaded.interpreter, tensors);
  for (let run = 0; run < runs; run += 1) invoke(loaded, path);
  return parseSummary(loaded.interpreter.GetProfilingSummary());
}

function writeInputs(interpreter: Interpreter, tensors: readonly HostTensor[]): void {
  const inputs = tensorsOf(interpreter.GetInputs());
  tensors.forEach(({ data }, index) => {
    const target = inputs[index]?.data();
    if (target !== undefined) bytesOf(target).set(data);
  });
}

function readOutputs(interpreter: Interpreter, infos: readonly TensorInfo[]): Tensors {
  const outputs: Record<string, HostTensor> = {};
  tensorsOf(interpreter.GetOutputs()).forEach((tensor, index) => {
    const { name, dtype, dims } = infos[index] ?? describe(tensor);
    outputs[name] = { dtype, dims, data: bytesOf(tensor.data()).slice() };
  });
  return outputs;
}

function tensorsOf(vector: { size(): number; get(index: number): InterpreterTensor }) {
  return Array.from({ length: vector.size() }, (_, index) => vector.get(index));
}

function describe({ name, dataType, shape }: InterpreterTensor): TensorInfo {
  const dims = shape === '' ? [] : shape.split(',').map(Number);
  return { name, dtype: dataType as DType, dims };
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function refusal(error: unknown, log: WasmLog, path: string): KerfError {
  if (KerfError.is(error)) return error;
  const logged = takeErrors(log);
  const text = logged === '' ? messageOf(error) : logged;
  return new KerfError('runtime-refused', `TFLite interpreter: ${text}`, { file: path });
}
