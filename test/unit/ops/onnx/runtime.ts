import { InferenceSession, Tensor } from 'onnxruntime-node';
import { encodeOnnx } from '../../../../src/formats/onnx/write.ts';
import type { DType } from '../../../../src/ir/dtype.ts';
import { byteSize } from '../../../../src/ir/dtype.ts';
import type { OnnxModel } from '../../../../src/ir/model.ts';
import { feedsOf } from '../../../../src/ir/model.ts';

/** What a runtime says of a value. */
export interface Observed {
  readonly dtype: string;
  readonly dims: readonly (number | string)[];
}

const arrays: Readonly<Record<string, new (buffer: ArrayBuffer) => ArrayLike<number | bigint>>> = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
};

export async function openSession(model: OnnxModel): Promise<InferenceSession> {
  return InferenceSession.create(Buffer.concat(encodeOnnx(model).map((part) => part.read())), {
    graphOptimizationLevel: 'disabled',
    logSeverityLevel: 4,
    intraOpNumThreads: 1,
  });
}

/** Zeros of a type; the unknown dimensions have been given. */
function zeros(dtype: DType, dims: readonly number[]): Tensor {
  const count = dims.reduce((product, dim) => product * dim, 1);
  const array = arrays[dtype];
  if (array === undefined) throw new Error(`no array for ${dtype}`);
  const data = new array(new ArrayBuffer(byteSize(dtype, count) ?? 0));
  return new Tensor(dtype as 'float32', data as Float32Array, dims);
}

/** Runs the model on zeros: types and shapes of its outputs as they really came out. */
export async function observe(model: OnnxModel): Promise<ReadonlyMap<string, Observed>> {
  const session = await openSession(model);
  const feeds: Record<string, Tensor> = {};
  for (const feed of feedsOf(model.graphs[0])) {
    if (feed.type?.kind !== 'tensor') throw new Error(`${feed.id} is not a tensor`);
    feeds[feed.id] = zeros(feed.type.dtype, feed.type.shape as readonly number[]);
  }
  const results = await session.run(feeds);
  await session.release();
  return new Map(
    Object.entries(results).map(([name, tensor]) => [name, { dtype: tensor.type, dims: [...tensor.dims] }]),
  );
}
