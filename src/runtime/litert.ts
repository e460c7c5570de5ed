import { readFile } from 'node:fs/promises';
import { KerfError } from '../ir/errors.ts';
import type { BackendSession } from './backend.ts';
import { checkedFeeds } from './feeds.ts';
import type {
  CompiledModel,
  Deletable,
  LitertModel,
  LitertModule,
  TensorBuffer,
  TensorType,
} from './litertModule.ts';
import { dimsOf, elementTypeOf, listOf } from './litertModule.ts';
import type { HostTensor, SessionInfo, TensorInfo, Tensors } from './runner.ts';
import type { WasmLog } from './wasm.ts';
import { copyIn, instantiate, takeErrors, versionOf } from './wasm.ts';
import { messageOf } from './wire.ts';

const files = { folder: 'litert', file: 'litert_wasm_compat_internal', factory: 'ModuleFactory' };

interface Loaded {
  readonly module: LitertModule;
  readonly log: WasmLog;
  readonly environment: Deletable;
  readonly model: LitertModel;
  readonly compiled: CompiledModel;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
}

/** Loads a TFLite model into LiteRT (WebAssembly without threads, XNNPACK kernels). */
export async function openLitert(path: string): Promise<BackendSession> {
  const bytes = await readFile(path);
  const start = performance.now();
  let loaded: Loaded | undefined = await load(path, bytes);
  const info: SessionInfo = {
    runtime: 'litert',
    version: versionOf(files),
    provider: 'xnnpack',
    threads: 1,
    inputs: loaded.inputs,
    outputs: loaded.outputs,
    loadMs: performance.now() - start,
  };
  // A failed inference may have left the instance unusable: the next one gets a new instance.
  const guarded = async <T>(work: (current: Loaded) => Promise<T>): Promise<T> => {
    const current = loaded ?? (await load(path, bytes));
    loaded = undefined;
    const result = await work(current);
    loaded = current;
    return result;
  };
  return {
    info,
    async run(feeds) {
      const tensors = checkedFeeds(info.inputs, feeds, path);
      return guarded((current) => runOnce(current, tensors, path));
    },
    async prepare(feeds) {
      const tensors = checkedFeeds(info.inputs, feeds, path);
      return guarded(async (current) => {
        const inputs = writeInputs(current, tensors);
        return {
          run: async () => deleteAll(await invoke(current, inputs, path)),
          dispose: () => deleteAll(inputs),
        };
      });
    },
    profile: () =>
      Promise.reject(
        new KerfError('unsupported', 'LiteRT reports no times of its operators', { file: path }),
      ),
    close: async () => {
      loaded = undefined;
    },
  };
}

async function load(path: string, bytes: Uint8Array): Promise<Loaded> {
  const { module, log } = await instantiate<LitertModule>(files);
  try {
    module.setupLogging();
    const environment = module.LiteRtEnvironment.create(null);
    const model = module.loadModel(environment, copyIn(module, bytes), bytes.length);
    const compiled = await module.compileModel(environment, model, {
      accelerator: 'wasm',
      cpuOptions: { numThreads: 1 },
      gpuOptions: {},
      webNNOptions: {},
    });
    // A custom operator that nobody registered is only logged; the model "runs" and leaves its outputs unwritten.
    const errors = takeErrors(log);
    if (errors !== '') throw new Error(errors);
    return { module, log, environment, model, compiled, ...interfaceOf(model) };
  } catch (error) {
    throw refusal(error, log, path);
  }
}

function interfaceOf(model: LitertModel) {
  const signature = model.getSignature(0);
  const inputs = listOf(signature.inputNames()).map((name, index) => {
    const type = model.getInputTensorType(0, index);
    return { name, dtype: elementTypeOf(type), dims: dimsOf(type) };
  });
  const outputs = listOf(signature.outputNames()).map((name, index) => {
    const type = model.getOutputTensorType(0, index);
    return { name, dtype: elementTypeOf(type), dims: dimsOf(type) };
  });
  return { inputs, outputs };
}

async function runOnce(loaded: Loaded, tensors: readonly HostTensor[], path: string): Promise<Tensors> {
  const inputs = writeInputs(loaded, tensors);
  const buffers = await invoke(loaded, inputs, path);
  const outputs: Record<string, HostTensor> = {};
  buffers.forEach((buffer, index) => {
    const name = loaded.outputs[index]?.name ?? String(index);
    outputs[name] = readBuffer(loaded.module, buffer);
  });
  deleteAll(buffers);
  deleteAll(inputs);
  return outputs;
}

async function invoke(
  loaded: Loaded,
  inputs: readonly TensorBuffer[],
  path: string,
): Promise<readonly TensorBuffer[]> {
  try {
    const outputs = await loaded.compiled.run(0, inputs);
    if (loaded.log.lines.length > 0) {
      const errors = takeErrors(loaded.log);
      if (errors !== '') throw new Error(errors);
    }
    return outputs;
  } catch (error) {
    throw refusal(error, loaded.log, path);
  }
}

function writeInputs({ module, environment, model }: Loaded, tensors: readonly HostTensor[]) {
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

function readBuffer(module: LitertModule, buffer: TensorBuffer): HostTensor {
  const type = buffer.tensorType();
  const pointer = buffer.lock(module.LiteRtTensorBufferLockMode.READ);
  const data = module.HEAPU8.slice(pointer, pointer + buffer.packedSize());
  buffer.unlock();
  return { dtype: elementTypeOf(type), dims: dimsOf(type), data };
}

function deleteAll(items: readonly Deletable[]): void {
  for (const item of items) item.delete();
}

/** The thrown text is a source position at best; the reason stands in the log. */
function refusal(error: unknown, log: WasmLog, path: string): KerfError {
  if (KerfError.is(error)) return error;
  const logged = takeErrors(log);
  return new KerfError('runtime-refused', `LiteRT: ${logged === '' ? messageOf(error) : logged}`, {
    file: path,
  });
}
