import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import type { InferenceSession as OrtSession, Tensor as OrtTensor } from 'onnxruntime-node';
import type * as OrtModule from 'onnxruntime-node';
import type { DType } from '../../ir/dtype.ts';
import { readModelFile } from '../../formats/io/models.ts';
import { KerfError } from '../../ir/errors.ts';
import type { BackendSession } from '../process/backend.ts';
import { isCode, scalesOfEnds, withScale } from './onnxEnds.ts';
import { profileOnnx } from './onnxProfile.ts';
import type { HostTensor, SessionInfo, SessionOptions, TensorInfo, Tensors } from '../runner.ts';
import { stripAnsi } from '../text.ts';
import { messageOf } from '../wire.ts';

type Ort = typeof OrtModule;

/** Loads an ONNX model into ONNX Runtime, from its path so that external data and files over 2 GB work. */
export async function openOnnx(path: string, options: SessionOptions): Promise<BackendSession> {
  const ort = loadOrt();
  const start = performance.now();
  const session = await createOnnx(ort, path, options);
  const loadMs = performance.now() - start;
  const info: SessionInfo = {
    runtime: 'onnxruntime',
    version: ort.env.versions.node ?? 'unknown',
    provider: options.provider ?? 'cpu',
    threads: threadsOf(options),
    ...endsOf(path, session.inputMetadata.map(describe), session.outputMetadata.map(describe)),
    loadMs,
  };
  const file = { file: path };
  return {
    info,
    run: async (feeds) => fromOrt(await runOnnx(session, toOrt(ort, feeds, file), file)),
    async prepare(feeds) {
      const own = toOrt(ort, feeds, file);
      return {
        run: async () => {
          await runOnnx(session, own, file);
        },
        dispose: () => undefined,
      };
    },
    profile: (feeds, runs, folder) =>
      profileOnnx(
        (extra) => createOnnx(ort, path, options, extra),
        async (profiled) => {
          await runOnnx(profiled, toOrt(ort, feeds, file), file);
        },
        runs,
        folder,
      ),
    close: () => session.release(),
  };
}

/** Explicit, because the number stands in reports: one thread per core that this process may use. */
function threadsOf(options: SessionOptions): number {
  return options.threads ?? availableParallelism();
}

/** The library. Throws `KerfError('runtime-refused')` on platforms that it has no native part for. */
export function loadOrt(): Ort {
  // Where JavaScript has half floats (Node 24), the library's script wraps them in arrays that its native part cannot
  // read: "not enough space: expected 6, got 0". Without the global it falls back to 16-bit integers.
  Reflect.deleteProperty(globalThis, 'Float16Array');
  // Since 1.30 the library reports its use to its maker, and leaves a session file in the temporary folder, unless told not to.
  process.env['ORT_DISABLE_TELEMETRY'] = '1';
  try {
    // Required at run time: the native library is absent on some platforms, and then only ONNX inference is.
    return require('onnxruntime-node') as Ort;
  } catch (error) {
    const platform = `${process.platform}-${process.arch}`;
    const message = messageOf(error).split('\n')[0];
    throw new KerfError(
      'runtime-refused',
      `ONNX Runtime is not available on ${platform}, so ONNX models cannot be run here (${message})`,
    );
  }
}

async function createOnnx(
  ort: Ort,
  path: string,
  options: SessionOptions,
  extra: OrtSession.SessionOptions = {},
): Promise<OrtSession> {
  const providers = ort.listSupportedBackends().map((each) => each.name);
  if (options.provider !== undefined && !providers.includes(options.provider)) {
    const message = `ONNX Runtime has no provider '${options.provider}' here (it has ${providers.join(', ')})`;
    throw new KerfError('bad-option', message);
  }
  try {
    return await ort.InferenceSession.create(resolve(path), {
      executionProviders: [options.provider ?? 'cpu'],
      intraOpNumThreads: threadsOf(options),
      graphOptimizationLevel: options.optimization ?? 'all',
      // Warnings would go to stderr, which is kept for the words of a dying process.
      logSeverityLevel: 3,
      ...(options.optimizedModelPath !== undefined && { optimizedModelFilePath: options.optimizedModelPath }),
      ...extra,
    });
  } catch (error) {
    throw refusal(error, { file: path });
  }
}

async function runOnnx(
  session: OrtSession,
  feeds: Record<string, OrtTensor>,
  file: { file: string },
): Promise<OrtSession.ReturnType> {
  try {
    return await session.run(feeds);
  } catch (error) {
    throw refusal(error, file);
  }
}

function refusal(error: unknown, file: { file: string }): KerfError {
  return new KerfError('runtime-refused', `ONNX Runtime: ${stripAnsi(messageOf(error)).trim()}`, file);
}

/** The runtime says element types only; what codes mean stands in the model. */
function endsOf(
  path: string,
  inputs: readonly TensorInfo[],
  outputs: readonly TensorInfo[],
): Pick<SessionInfo, 'inputs' | 'outputs'> {
  if (![...inputs, ...outputs].some(isCode)) return { inputs, outputs };
  const scales = scalesOfEnds(readModelFile(path).model);
  const scaled = (info: TensorInfo) => withScale(info, scales);
  return { inputs: inputs.map(scaled), outputs: outputs.map(scaled) };
}

function describe(metadata: OrtSession.ValueMetadata): TensorInfo {
  if (!metadata.isTensor) return { name: metadata.name, dtype: 'undefined', dims: [] };
  const dims = metadata.shape.map((dim) => (typeof dim === 'number' ? dim : -1));
  const symbols = metadata.shape.map((dim) => (typeof dim === 'number' ? '' : dim));
  return { name: metadata.name, dtype: metadata.type as DType, dims, symbols };
}

const arrays: Partial<Record<DType, new (buffer: ArrayBuffer) => ArrayLike<number> | ArrayLike<bigint>>> = {
  float32: Float32Array,
  float16: Uint16Array,
  float64: Float64Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  int4: Uint8Array,
  uint4: Uint8Array,
  bool: Uint8Array,
};

function toOrt(ort: Ort, feeds: Tensors, file: { file: string }): Record<string, OrtTensor> {
  const own: Record<string, OrtTensor> = {};
  for (const [name, tensor] of Object.entries(feeds)) {
    try {
      own[name] = toOrtTensor(ort, tensor);
    } catch (error) {
      const message = `ONNX Runtime: input ${name}: ${messageOf(error)}`;
      throw new KerfError('runtime-refused', message, { ...file, place: `input ${name}` });
    }
  }
  return own;
}

function toOrtTensor(ort: Ort, { dtype, dims, data, strings }: HostTensor): OrtTensor {
  if (dtype === 'string') return new ort.Tensor('string', [...(strings ?? [])], [...dims]);
  const ArrayOf = arrays[dtype];
  if (ArrayOf === undefined) throw new KerfError('unsupported', `no tensors of type ${dtype}`);
  // A copy of its own: message buffers start anywhere, typed arrays need alignment.
  const aligned = data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength) as ArrayBuffer;
  // The type table of the constructor's overloads cannot be followed by a type that is known at run time only.
  const Tensor = ort.Tensor as new (type: string, data: unknown, dims: readonly number[]) => OrtTensor;
  return new Tensor(dtype, new ArrayOf(aligned), dims);
}

function fromOrt(outputs: OrtSession.ReturnType): Tensors {
  const tensors: Record<string, HostTensor> = {};
  for (const [name, value] of Object.entries(outputs)) {
    // Sequences and maps have no data here; callers see that the output is missing.
    if (value?.data === undefined) continue;
    tensors[name] = fromOrtTensor(value as OrtTensor);
  }
  return tensors;
}

function fromOrtTensor({ type, dims, data }: OrtTensor): HostTensor {
  if (Array.isArray(data)) return { dtype: 'string', dims, data: new Uint8Array(), strings: data };
  const bytes = data as ArrayBufferView;
  return {
    dtype: type as DType,
    dims,
    data: new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength),
  };
}
