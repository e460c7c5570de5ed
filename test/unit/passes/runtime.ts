import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import * as ort from 'onnxruntime-node';
import { readModelFile } from '../../../src/formats/io/models.ts';
import { encodeOnnx } from '../../../src/formats/onnx/write.ts';
import type { Model, OnnxModel, Value } from '../../../src/ir/model.ts';
import { feedsOf } from '../../../src/ir/model.ts';
import type { HostTensor } from '../../../src/runtime/runner.ts';

/** Seeded uniform numbers in [0, 1) (Mulberry32). */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export type Feeds = Record<string, ort.Tensor>;
export type Outputs = Record<string, Float32Array>;

/** A model loaded into ONNX Runtime. */
export function openOnnx(model: OnnxModel): Promise<ort.InferenceSession> {
  const bytes = Buffer.concat(encodeOnnx(model).map((part) => part.read()));
  return ort.InferenceSession.create(bytes, { logSeverityLevel: 3, intraOpNumThreads: 1 });
}

/** The graph that ONNX Runtime makes of a model: what really became an integer kernel. */
export async function optimizedOnnx(
  model: OnnxModel,
  graphOptimizationLevel: 'extended' | 'all' = 'extended',
): Promise<Model> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kerf-passes-'));
  const file = path.join(folder, 'optimized.onnx');
  const bytes = Buffer.concat(encodeOnnx(model).map((part) => part.read()));
  const session = await ort.InferenceSession.create(bytes, {
    logSeverityLevel: 3,
    optimizedModelFilePath: file,
    graphOptimizationLevel,
  });
  await session.release();
  const optimized = readModelFile(file).model;
  fs.rmSync(folder, { recursive: true });
  return optimized;
}

/** Seeded inputs in [-1, 1); a free leading dimension is `batch`. */
export function onnxFeeds(model: Model, seed: number, batch = 1): Feeds {
  const next = random(seed);
  const feeds: Feeds = {};
  for (const value of feedsOf(model.graphs[0])) feeds[value.id] = feedOf(value, next, batch);
  return feeds;
}

function feedOf(value: Value, next: () => number, batch: number): ort.Tensor {
  const type = value.type;
  if (type?.kind !== 'tensor') throw new Error(`input ${value.id} is no tensor`);
  const shape = type.shape ?? [];
  // The recurrent state of the speech networks is [2, batch, 128]; any other free dimension is a signal's length.
  const dims = shape.map((dim, axis) => {
    if (typeof dim === 'number') return dim;
    return axis === 0 || shape.length === 3 ? batch : 512;
  });
  const count = dims.reduce((product, dim) => product * dim, 1);
  if (type.dtype === 'int64') {
    return new ort.Tensor(
      'int64',
      BigInt64Array.from({ length: count }, () => 16000n),
      dims,
    );
  }
  return new ort.Tensor(
    'float32',
    Float32Array.from({ length: count }, () => next() * 2 - 1),
    dims,
  );
}

export async function runOnnx(model: OnnxModel, feeds: Feeds): Promise<Outputs> {
  const session = await openOnnx(model);
  const results = await session.run(feeds);
  const outputs: Outputs = {};
  for (const [name, tensor] of Object.entries(results)) {
    outputs[name] = Float32Array.from(tensor.data as Iterable<number>, Number);
  }
  await session.release();
  return outputs;
}

/** Elements of a float32 or int8 tensor; codes are decoded where the encoding is given. */
export function floatsOf(
  tensor: HostTensor | undefined,
  encoding?: { readonly scale: number; readonly zeroPoint: number },
): Float32Array {
  if (tensor === undefined) return new Float32Array();
  const bytes = tensor.data.slice();
  if (tensor.dtype === 'float32') return new Float32Array(bytes.buffer);
  const codes = tensor.dtype === 'int8' ? new Int8Array(bytes.buffer) : bytes;
  const { scale, zeroPoint } = encoding ?? { scale: 1, zeroPoint: 0 };
  return Float32Array.from(codes, (code) => (code - zeroPoint) * scale);
}

/** Largest absolute difference over the largest absolute reference, the worst over all outputs. */
export function relativeError(reference: Outputs, other: Outputs): number {
  let worst = 0;
  for (const [name, expected] of Object.entries(reference)) {
    const actual = other[name];
    if (actual === undefined || actual.length !== expected.length) return Number.POSITIVE_INFINITY;
    let difference = 0;
    let size = 0;
    for (let i = 0; i < expected.length; i += 1) {
      const gap = Math.abs((expected[i] as number) - (actual[i] as number));
      if (Number.isNaN(gap) && !Number.isNaN(expected[i] as number)) return Number.POSITIVE_INFINITY;
      difference = Math.max(difference, gap || 0);
      size = Math.max(size, Math.abs(expected[i] as number) || 0);
    }
    worst = Math.max(worst, difference / (size || 1));
  }
  return worst;
}

/** Signal to quantization noise ratio over all outputs, in decibels. */
export function sqnrDb(reference: Outputs, other: Outputs): number {
  let signal = 0;
  let noise = 0;
  for (const [name, expected] of Object.entries(reference)) {
    expected.forEach((value, i) => {
      signal += value * value;
      noise += (value - (other[name]?.[i] ?? Number.NaN)) ** 2;
    });
  }
  return 10 * Math.log10(signal / noise);
}
