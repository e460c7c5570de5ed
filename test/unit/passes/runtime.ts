import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import * as ort from 'onnxruntime-node';
import { encodeOnnx } from '../../../src/formats/onnx/write.ts';
import type { Model, OnnxModel, Value } from '../../../src/ir/model.ts';
import { feedsOf } from '../../../src/ir/model.ts';

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

function concat(parts: readonly { read(): Uint8Array }[]): Uint8Array {
  return Buffer.concat(parts.map((part) => part.read()));
}

/** Runs an ONNX model in ONNX Runtime; float outputs by name. */
export async function openOnnx(model: OnnxModel, optimizedPath?: string): Promise<ort.InferenceSession> {
  return ort.InferenceSession.create(concat(encodeOnnx(model)), {
    logSeverityLevel: 3,
    intraOpNumThreads: 1,
    ...(optimizedPath !== undefined && {
      optimizedModelFilePath: optimizedPath,
      graphOptimizationLevel: 'extended',
    }),
  });
}

/** Operators of the graph that ONNX Runtime makes of a model, with their counts. */
export async function optimizedOnnx(model: OnnxModel): Promise<string> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kerf-passes-'));
  const file = path.join(folder, 'optimized.onnx');
  const session = await openOnnx(model, file);
  await session.release();
  return file;
}

/** Seeded inputs of a model; free dimensions are 1. */
export function onnxFeeds(model: Model, seed: number, scale = 1): Feeds {
  const next = random(seed);
  const feeds: Feeds = {};
  for (const value of feedsOf(model.graphs[0])) feeds[value.id] = feedOf(value, next, scale);
  return feeds;
}

function feedOf(value: Value, next: () => number, scale: number): ort.Tensor {
  const type = value.type;
  if (type?.kind !== 'tensor') throw new Error(`input ${value.id} is no tensor`);
  const dims = (type.shape ?? []).map((dim) => (typeof dim === 'number' ? dim : 1));
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
    Float32Array.from({ length: count }, () => (next() * 2 - 1) * scale),
    dims,
  );
}

export async function runOnnx(session: ort.InferenceSession, feeds: Feeds): Promise<Outputs> {
  const results = await session.run(feeds);
  const outputs: Outputs = {};
  for (const [name, tensor] of Object.entries(results)) {
    outputs[name] = Float32Array.from(tensor.data as Iterable<number>, Number);
  }
  return outputs;
}

/** Largest absolute difference over the largest absolute reference, over all outputs together per name. */
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
      difference = Math.max(difference, gap);
      size = Math.max(size, Math.abs(expected[i] as number));
    }
    worst = Math.max(worst, difference / (size || 1));
  }
  return worst;
}

/** Signal to quantization noise ratio in decibels over all outputs. */
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
