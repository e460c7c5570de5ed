import { KerfError } from '../../ir/errors.ts';
import type {
  CompiledModel,
  Deletable,
  LitertModel,
  LitertModule,
  TensorBuffer,
  TensorType,
} from './litertBindings.ts';
import { dimsOf, elementTypeOf, listOf } from './litertBindings.ts';
import type { HostTensor, TensorInfo, Tensors } from '../runner.ts';
import type { WasmLog } from './wasm.ts';
import { copyIn, instantiate, takeErrors } from './wasm.ts';
import { messageOf } from '../wire.ts';

export const litertFiles = {
  folder: 'litert',
  file: 'litert_wasm_compat_internal',
  factory: 'ModuleFactory',
};

/** A WebAssembly instance of LiteRT. A trap, for example in a damaged model, leaves it unusable. */
export interface LitertInstance {
  readonly module: LitertModule;
  readonly log: WasmLog;
  readonly environment: Deletable;
}

export interface LoadedModel {
  readonly instance: LitertInstance;
  readonly model: LitertModel;
  readonly compiled: CompiledModel;
  readonly pointer: number;
}

export async function newInstance(): Promise<LitertInstance> {
  const { module, log } = await instantiate<LitertModule>(litertFiles);
  module.setupLogging();
  return { module, log, environment: module.LiteRtEnvironment.create(null) };
}

/** Loads and compiles a model. Throws `KerfError('runtime-refused')` in the runtime's own words. */
export async function loadInto(
  instance: LitertInstance,
  bytes: Uint8Array,
  path: string,
): Promise<LoadedModel> {
  const { module, environment, log } = instance;
  takeErrors(log);
  try {
    const pointer = copyIn(module, bytes);
    const model = module.loadModel(environment, pointer, bytes.length);
    const compiled = await module.compileModel(environment, model, {
      accelerator: 'wasm',
      cpuOptions: { numThreads: 1 },
      gpuOptions: {},
      webNNOptions: {},
    });
    // A custom operator that nobody registered is only logged; the model "runs" and leaves its outputs unwritten.
    const errors = takeErrors(log);
    if (errors !== '') throw new Error(errors);
    return { instance, model, compiled, pointer };
  } catch (error) {
    throw refusal(error, log, path);
  }
}

export function unload({ instance, model, compiled, pointer }: LoadedModel): void {
  compiled.delete();
  model.delete();
  const { _free: free } = instance.module;
  free(pointer);
}

/** Inputs and outputs as LiteRT names them. */
export function describeInterface({ model }: LoadedModel) {
  const signature = model.getSignature(0);
  const inputs = listOf(signature.inputNames()).map((name, index) =>
    infoOf(name, model.getInputTensorType(0, index)),
  );
  const outputs = listOf(signature.outputNames()).map((name, index) =>
    infoOf(name, model.getOutputTensorType(0, index)),
  );
  return { inputs, outputs };
}

function infoOf(name: string, type: TensorType): TensorInfo {
  return { name, dtype: elementTypeOf(type), dims: dimsOf(type) };
}

/** Runs an inference; the caller deletes the outputs. */
export async function invoke(
  { compiled, instance: { log } }: LoadedModel,
  inputs: readonly TensorBuffer[],
  path: string,
): Promise<readonly TensorBuffer[]> {
  try {
    const outputs = await compiled.run(0, inputs);
    if (log.lines.length > 0) {
      const errors = takeErrors(log);
      if (errors !== '') throw new Error(errors);
    }
    return outputs;
  } catch (error) {
    throw refusal(error, log, path);
  }
}

/** Copies feeds, in the order of the inputs, into buffers of the instance; the caller deletes them. */
export function writeInputs(
  { instance: { module, environment }, model }: LoadedModel,
  tensors: readonly HostTensor[],
): readonly TensorBuffer[] {
  return tensors.map((tensor, index) => {
    const type = concreteType(module, model.getInputTensorType(0, index));
    const kind = module.LiteRtTensorBufferType.HOST_MEMORY;
    const buffer = module.LiteRtTensorBuffer.createManaged(environment, kind, type, type.bytes());
    const pointer = buffer.lock(module.LiteRtTensorBufferLockMode.WRITE);
    module.HEAPU8.set(tensor.data, pointer);
    buffer.unlock();
    return buffer;
  });
}

/** The type with its free dimensions set to 1: without that its size cannot be told. */
function concreteType(module: LitertModule, type: TensorType): TensorType {
  const dims = new module.VectorInt32();
  for (const dim of dimsOf(type)) dims.push_back(dim);
  return module.LiteRtRankedTensorType.create(type.elementType(), module.LiteRtLayout.create(dims));
}

/** Copies outputs into host memory. */
export function readOutputs(
  { module }: LitertInstance,
  buffers: readonly TensorBuffer[],
  infos: readonly TensorInfo[],
): Tensors {
  const tensors: Record<string, HostTensor> = {};
  buffers.forEach((buffer, index) => {
    const type = buffer.tensorType();
    const pointer = buffer.lock(module.LiteRtTensorBufferLockMode.READ);
    const data = module.HEAPU8.slice(pointer, pointer + buffer.packedSize());
    buffer.unlock();
    tensors[infos[index]?.name ?? String(index)] = { dtype: elementTypeOf(type), dims: dimsOf(type), data };
  });
  return tensors;
}

export function deleteAll(items: readonly Deletable[]): void {
  for (const item of items) item.delete();
}

/** The thrown text is a source position at best; the reason stands in the log. */
function refusal(error: unknown, log: WasmLog, path: string): KerfError {
  if (KerfError.is(error)) return error;
  const logged = takeErrors(log);
  const text = logged === '' ? messageOf(error) : logged;
  return new KerfError('runtime-refused', `LiteRT: ${text}`, { file: path });
}
