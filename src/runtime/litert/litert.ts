import { KerfError } from '../../ir/errors.ts';
import type { BackendSession } from '../process/backend.ts';
import { checkedFeeds, zeroFeeds } from '../feeds.ts';
import type { LitertInstance, LoadedModel } from './litertInstance.ts';
import {
  deleteAll,
  describeInterface,
  invoke,
  litertFiles,
  loadInto,
  newInstance,
  readOutputs,
  unload,
  writeInputs,
} from './litertInstance.ts';
import { timeOperators } from './operatorTimes.ts';
import type { HostTensor, TensorInfo, Tensors } from '../runner.ts';
import { sessionInfo } from './sessionInfo.ts';
import type { TfliteProgram } from './tfliteModel.ts';
import { hasCustomOperators, passedThrough, readStructure, undeclaredDetections } from './tfliteModel.ts';
import { readForWasm } from './wasm.ts';

/** Loads a TFLite model into LiteRT (WebAssembly without threads, XNNPACK kernels). */
export async function openLitert(path: string): Promise<BackendSession> {
  const bytes = await readForWasm(path);
  const start = performance.now();
  let loaded: LoadedModel | undefined = await loadInto(await newInstance(), bytes, path);
  const loadMs = performance.now() - start;
  const structure = readStructure(bytes, path);
  const undeclared = undeclaredDetections(structure);
  if (undeclared !== undefined) {
    const message = `LiteRT: it takes the shape that the file declares for ${undeclared}, which is none`;
    throw new KerfError('runtime-refused', message, { file: path });
  }
  const passed = passedThrough(structure);
  if (passed !== undefined) {
    const message = `LiteRT: it gives no numbers for ${passed}, which is an input and an output`;
    throw new KerfError('runtime-refused', message, { file: path });
  }
  const ends = describeInterface(loaded);
  if (hasCustomOperators(structure)) await tryOut(loaded, path);
  const info = sessionInfo('litert', litertFiles, structure, { ...ends, loadMs });
  // A failed inference may have left the instance unusable: the next one gets a new instance.
  const guarded = async <T>(work: (current: LoadedModel) => Promise<T>): Promise<T> => {
    const current = loaded ?? (await loadInto(await newInstance(), bytes, path));
    loaded = undefined;
    const result = await work(current);
    loaded = current;
    return result;
  };
  return {
    info,
    async run(feeds) {
      const tensors = checkedFeeds(info.inputs, feeds, path);
      return guarded((current) => runOnce(current, tensors, info.outputs, path));
    },
    async prepare(feeds) {
      const tensors = checkedFeeds(info.inputs, feeds, path);
      return guarded(async (current) => prepareRun(current, tensors, path));
    },
    profile: (feeds, runs) => timeOperators(structure, feeds, runs, programsOf(path)),
    close: async () => {
      loaded = undefined;
    },
  };
}

/** An unknown custom operator shows only when the model first runs. */
async function tryOut(loaded: LoadedModel, path: string): Promise<void> {
  const { inputs, outputs } = describeInterface(loaded);
  await runOnce(loaded, zeroFeeds(inputs), outputs, path);
}

async function runOnce(
  loaded: LoadedModel,
  tensors: readonly HostTensor[],
  outputs: readonly TensorInfo[],
  path: string,
): Promise<Tensors> {
  const inputs = writeInputs(loaded, tensors);
  const buffers = await invoke(loaded, inputs, path);
  const result = readOutputs(loaded.instance, buffers, outputs);
  deleteAll(buffers);
  deleteAll(inputs);
  return result;
}

function prepareRun(loaded: LoadedModel, tensors: readonly HostTensor[], path: string) {
  const inputs = writeInputs(loaded, tensors);
  return {
    run: async () => deleteAll(await invoke(loaded, inputs, path)),
    dispose: () => deleteAll(inputs),
  };
}

/** Opens models in memory one after another; they share an instance until one of them fails in it. */
function programsOf(path: string): (bytes: Uint8Array) => Promise<TfliteProgram> {
  let shared: LitertInstance | undefined;
  return async (bytes) => {
    const instance = shared ?? (await newInstance());
    shared = undefined;
    const loaded = await loadInto(instance, bytes, path);
    const ends = describeInterface(loaded);
    return {
      kernels: loaded.compiled.isFullyAccelerated() ? 'xnnpack' : 'reference',
      run: (feeds) => runOnce(loaded, checkedFeeds(ends.inputs, feeds, path), ends.outputs, path),
      prepare: async (feeds) => prepareRun(loaded, checkedFeeds(ends.inputs, feeds, path), path),
      close: () => {
        unload(loaded);
        shared = instance;
      },
    };
  };
}
