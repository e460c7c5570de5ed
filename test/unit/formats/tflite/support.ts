import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { encodeTflite } from '../../../../src/formats/tflite/write.ts';
import { readTflite } from '../../../../src/formats/tflite/read.ts';
import type { Attribute, Graph, Node, TfliteModel, Value } from '../../../../src/ir/model.ts';
import { attr } from '../../../../src/ir/attribute.ts';
import type { Bytes } from '../../../../src/ir/bytes.ts';
import { memoryBytes } from '../../../../src/ir/bytes.ts';
import { floatTensor, intTensor } from '../../../../src/ir/numbers.ts';
import type { Tensor } from '../../../../src/ir/tensor.ts';
import { tensorType } from '../../../../src/ir/types.ts';

export function readModel(file: string): TfliteModel {
  return readTflite(memoryBytes(readFileSync(file))).model;
}

export function join(parts: readonly Bytes[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts.map((part) => part.read())));
}

/** Writes the model anew even when it is unchanged: a copy is another value. */
export function rewritten(model: TfliteModel): Uint8Array {
  return join(encodeTflite({ ...model }));
}

export function reread(model: TfliteModel): TfliteModel {
  return readTflite(memoryBytes(rewritten(model))).model;
}

const digest = (bytes: Bytes) =>
  bytes.missing ?? `${bytes.length}:${createHash('sha256').update(bytes.read()).digest('hex')}`;

/** Everything the IR holds, without the codec's own fields, as plain data for comparisons. */
export function plain(model: TfliteModel) {
  const { graphs, version, description, metadata, signatures } = model;
  return {
    version,
    description,
    metadata: metadata.map(({ name, data }) => [name, digest(data)]),
    signatures,
    graphs: graphs.map(plainGraph),
  };
}

function plainGraph({ name, inputs, outputs, nodes, values }: Graph) {
  return {
    name,
    inputs,
    outputs,
    nodes: nodes.map(({ attributes, ...node }) => ({
      ...node,
      extra: undefined,
      attributes: [...attributes].map(([key, value]) => [key, plainAttribute(value)]),
    })),
    values: [...values.values()].map(({ constant, quantization, ...value }) => ({
      ...value,
      extra: undefined,
      constant: constant && plainTensor(constant),
      quantization: quantization && { ...quantization, details: plainDetails(quantization.details) },
    })),
  };
}

const plainTensor = ({ dtype, dims, data, strings }: Tensor) => ({
  dtype,
  dims,
  data: digest(data),
  strings,
});

const plainAttribute = (attribute: Attribute) =>
  attribute.kind === 'bytes' ? { kind: 'bytes', value: digest(attribute.value) } : attribute;

function plainDetails(details: object | undefined) {
  if (details === undefined) return undefined;
  const { scales, zeroPoints, tag } = details as { scales?: string; zeroPoints?: string; tag?: number };
  return { scales, zeroPoints, tag };
}

/** Bytes that were never stored: zeros of any length, counting what is read of them. */
export class ZeroBytes implements Bytes {
  readonly length: number;
  constructor(length: number) {
    this.length = length;
  }
  read(offset = 0, length = this.length - offset): Uint8Array {
    return new Uint8Array(Math.max(0, Math.min(length, this.length - offset)));
  }
  slice(_offset: number, length: number): Bytes {
    return new ZeroBytes(length);
  }
}

/** Parts as one file that is never put together; `touched` counts the bytes that were read. */
export class JoinedBytes implements Bytes {
  readonly length: number;
  readonly #parts: readonly { readonly from: number; readonly bytes: Bytes }[];
  touched = 0;
  constructor(parts: readonly Bytes[]) {
    let from = 0;
    this.#parts = parts.map((bytes) => {
      const part = { from, bytes };
      from += bytes.length;
      return part;
    });
    this.length = from;
  }
  read(offset = 0, length = this.length - offset): Uint8Array {
    const end = Math.min(this.length, offset + length);
    const out = new Uint8Array(Math.max(0, end - offset));
    this.touched += out.length;
    for (const { from, bytes } of this.#parts) {
      const low = Math.max(offset, from);
      const high = Math.min(end, from + bytes.length);
      if (high > low) out.set(bytes.read(low - from, high - low), low - offset);
    }
    return out;
  }
  slice(offset: number, length: number): Bytes {
    const read = (at: number, count: number) => this.read(offset + at, count);
    return {
      length: Math.min(length, this.length - offset),
      read: (at = 0, count = length - at) => read(at, count),
      slice: (at, count) => this.slice(offset + at, count),
    };
  }
}

/** A generator of numbers in [0, 1) from a seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function value(id: string, dims: readonly number[], more: Partial<Value> = {}): Value {
  return { id, name: id, type: tensorType('float32', dims), ...more };
}

export function constant(id: string, tensor: Tensor): Value {
  return { id, name: id, type: tensorType(tensor.dtype, tensor.dims), constant: tensor };
}

export function node(
  op: string,
  inputs: Node['inputs'],
  outputs: readonly string[],
  attributes: Record<string, Attribute> = {},
): Node {
  return {
    id: outputs[0] ?? op,
    name: '',
    op,
    domain: '',
    inputs,
    outputs,
    attributes: new Map(Object.entries(attributes)),
  };
}

export function graphOf(
  nodes: readonly Node[],
  values: readonly Value[],
  inputs: readonly string[],
  outputs: readonly string[],
): Graph {
  return { name: 'main', inputs, outputs, nodes, values: new Map(values.map((each) => [each.id, each])) };
}

export function modelOf(graph: Graph, more: Partial<TfliteModel> = {}): TfliteModel {
  return {
    dialect: 'tflite',
    version: 3,
    description: 'made by a test',
    graphs: [graph],
    metadata: [],
    signatures: [],
    ...more,
  };
}

/** A 3×3 convolution with 2 filters over a 1×4×4×1 image (SAME), then RELU and a RESHAPE to a row. */
export function tinyModel(): TfliteModel {
  const random = seeded(7);
  const weights = Float32Array.from({ length: 18 }, () => random() - 0.5);
  const nodes = [
    node('CONV_2D', ['image', 'filter', 'bias'], ['conv'], {
      padding: { kind: 'enum', value: 0, name: 'SAME' },
      stride_w: attr.int(1),
      stride_h: attr.int(1),
    }),
    node('RELU', ['conv'], ['relu']),
    node('RESHAPE', ['relu', 'shape'], ['row'], { new_shape: attr.ints([1, 32]) }),
  ];
  const values = [
    value('image', [1, 4, 4, 1]),
    constant('filter', floatTensor([2, 3, 3, 1], weights)),
    constant('bias', floatTensor([2], Float32Array.of(0.25, -0.125))),
    value('conv', [1, 4, 4, 2]),
    value('relu', [1, 4, 4, 2]),
    constant('shape', intTensor('int32', [2], [1, 32])),
    value('row', [1, 32]),
  ];
  const signature = {
    key: 'serving_default',
    graph: 0,
    inputs: [['x', 'image']],
    outputs: [['y', 'row']],
  } as const;
  return modelOf(graphOf(nodes, values, ['image'], ['row']), {
    signatures: [signature],
    metadata: [{ name: 'note', data: memoryBytes(new TextEncoder().encode('hello')) }],
  });
}

/** The convolution, rectified, computed plainly: the oracle for `tinyModel`. */
export function tinyOutput(model: TfliteModel, image: Float32Array): Float32Array {
  const floats = (id: string) => {
    const bytes = model.graphs[0].values.get(id)?.constant?.data.read() as Uint8Array;
    return new Float32Array(bytes.slice().buffer);
  };
  const [filter, bias] = [floats('filter'), floats('bias')];
  const out = new Float32Array(32);
  for (let y = 0; y < 4; y += 1)
    for (let x = 0; x < 4; x += 1)
      for (let channel = 0; channel < 2; channel += 1) {
        let sum = bias[channel] as number;
        for (let i = 0; i < 3; i += 1)
          for (let j = 0; j < 3; j += 1) {
            const [row, column] = [y + i - 1, x + j - 1];
            if (row < 0 || row > 3 || column < 0 || column > 3) continue;
            sum += (image[row * 4 + column] as number) * (filter[channel * 9 + i * 3 + j] as number);
          }
        out[(y * 4 + x) * 2 + channel] = Math.max(0, sum);
      }
  return out;
}
