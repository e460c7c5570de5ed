import type { DType } from '../../ir/dtype.ts';
import { KerfError } from '../../ir/errors.ts';
import type { HostTensor, TensorInfo, Tensors } from '../runner.ts';
import type { EmscriptenModule, WasmLog } from './wasm.ts';
import { copyIn, instantiate, takeErrors } from './wasm.ts';
import { messageOf } from '../wire.ts';

// The part of the classic interpreter's own bindings that is used.

interface InterpreterTensor {
  readonly name: string;
  readonly dataType: string;
  /** Comma-separated. */
  readonly shape: string;
  /** A view into the module's memory, valid until the next call. */
  data(): ArrayBufferView;
}

interface TensorVector {
  size(): number;
  get(index: number): InterpreterTensor;
}

interface Interpreter {
  GetInputs(): TensorVector;
  GetOutputs(): TensorVector;
  /** False when an operator failed. */
  Infer(): boolean;
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

export interface Loaded {
  readonly interpreter: Interpreter;
  readonly log: WasmLog;
}

export const interpreterFiles = {
  folder: 'tflite',
  file: 'tflite_web_api_cc_simd',
  factory: 'tflite_web_api_ModuleFactory',
};

/** Loads a model into an instance of its own. Throws `KerfError('runtime-refused')` in the runtime's words. */
export async function load(path: string, bytes: Uint8Array): Promise<Loaded> {
  const { module, log } = await instantiate<TfliteModule>(interpreterFiles);
  try {
    const created = module.TFLiteWebModelRunner.CreateFromBufferAndOptions(
      copyIn(module, bytes),
      bytes.length,
      { numThreads: 1, enableProfiling: false, maxProfilingBufferEntries: 1 },
    );
    if (!created.ok()) throw new Error(created.errorMessage());
    const errors = takeErrors(log);
    if (errors !== '') throw new Error(errors);
    return { interpreter: created.value(), log };
  } catch (error) {
    throw refusal(error, log, path);
  }
}

export function describeTensors({ interpreter }: Loaded) {
  return {
    inputs: listOf(interpreter.GetInputs()).map(describe),
    outputs: listOf(interpreter.GetOutputs()).map(describe),
  };
}

export function invoke({ interpreter, log }: Loaded, path: string): void {
  let done: boolean;
  try {
    done = interpreter.Infer();
  } catch (error) {
    throw refusal(error, log, path);
  }
  if (!done) throw refusal('the inference failed', log, path);
}

export function writeInputs({ interpreter }: Loaded, tensors: readonly HostTensor[]): void {
  const inputs = listOf(interpreter.GetInputs());
  tensors.forEach(({ data }, index) => {
    const target = inputs[index]?.data();
    if (target !== undefined) bytesOf(target).set(data);
  });
}

export function readOutputs({ interpreter }: Loaded, infos: readonly TensorInfo[]): Tensors {
  const outputs: Record<string, HostTensor> = {};
  listOf(interpreter.GetOutputs()).forEach((tensor, index) => {
    const { dtype, dims } = describe(tensor);
    outputs[infos[index]?.name ?? tensor.name] = { dtype, dims, data: bytesOf(tensor.data()).slice() };
  });
  return outputs;
}

function listOf(vector: TensorVector): readonly InterpreterTensor[] {
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
