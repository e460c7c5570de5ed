import { KerfError } from '../../ir/errors.ts';
import type { BackendSession } from '../process/backend.ts';
import { checkedFeeds } from '../feeds.ts';
import type { Loaded } from './interpreter.ts';
import { describeTensors, interpreterFiles, invoke, load, readOutputs, writeInputs } from './interpreter.ts';
import { timeOperators } from './operatorTimes.ts';
import type { Tensors } from '../runner.ts';
import { sessionInfo } from './sessionInfo.ts';
import type { TfliteProgram } from './tfliteModel.ts';
import { readStructure } from './tfliteModel.ts';
import { misreadBy2024 } from './tfliteGate.ts';
import { readForWasm } from './wasm.ts';

/**
 * Loads a TFLite model into the classic interpreter (WebAssembly, one thread). It keeps state between inferences,
 * which LiteRT cannot; it knows only operator versions of 2024 and before.
 */
export async function openTflite(path: string): Promise<BackendSession> {
  const bytes = await readForWasm(path);
  const structure = readStructure(bytes, path);
  const reason = misreadBy2024(structure);
  if (reason !== undefined)
    throw new KerfError('runtime-refused', `TFLite interpreter: ${reason}`, { file: path });
  const start = performance.now();
  let loaded: Loaded | undefined = await load(path, bytes);
  const loadMs = performance.now() - start;
  const ends = describeTensors(loaded);
  const info = sessionInfo('tflite', interpreterFiles, structure, { ...ends, loadMs });
  const ready = async (feeds: Tensors) => {
    const tensors = checkedFeeds(info.inputs, feeds, path);
    const current = loaded ?? (await load(path, bytes));
    loaded = current;
    writeInputs(current, tensors);
    return current;
  };
  const guarded = (current: Loaded) => {
    // A trap leaves the instance unusable: the next inference gets a new one.
    loaded = undefined;
    invoke(current, path);
    loaded = current;
  };
  return {
    info,
    async run(feeds) {
      const current = await ready(feeds);
      guarded(current);
      return readOutputs(current, info.outputs);
    },
    async prepare(feeds) {
      const current = await ready(feeds);
      return { run: async () => guarded(current), dispose: () => undefined };
    },
    profile: (feeds, runs) => timeOperators(structure, feeds, runs, (each) => openProgram(each, path)),
    close: async () => {
      loaded = undefined;
    },
  };
}

/** A model in memory, in an instance of its own: some models damage theirs when they are deleted. */
async function openProgram(bytes: Uint8Array, path: string): Promise<TfliteProgram> {
  const loaded = await load(path, bytes);
  const ends = describeTensors(loaded);
  const write = (feeds: Tensors) => writeInputs(loaded, checkedFeeds(ends.inputs, feeds, path));
  return {
    kernels: 'cpu',
    async run(feeds) {
      write(feeds);
      invoke(loaded, path);
      return readOutputs(loaded, ends.outputs);
    },
    async prepare(feeds) {
      write(feeds);
      return { run: async () => invoke(loaded, path), dispose: () => undefined };
    },
    close: () => undefined,
  };
}
