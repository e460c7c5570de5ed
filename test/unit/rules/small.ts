import type {
  Attribute,
  Graph,
  Node,
  OnnxModel,
  Quantization,
  TfliteModel,
  Value,
} from '../../../src/ir/model.ts';
import { memoryBytes } from '../../../src/ir/bytes.ts';
import type { DType } from '../../../src/ir/dtype.ts';
import { byteSize } from '../../../src/ir/dtype.ts';
import type { Tensor } from '../../../src/ir/tensor.ts';
import { tensorType } from '../../../src/ir/types.ts';
import type { Shape } from '../../../src/ir/types.ts';

/** A constant of zeros, or of the given bytes. */
export function tensor(dtype: DType, dims: readonly number[], data?: Uint8Array): Tensor {
  const count = dims.reduce((product, dim) => product * dim, 1);
  return { dtype, dims, data: memoryBytes(data ?? new Uint8Array(byteSize(dtype, count) ?? 0)) };
}

export function floats(...values: readonly number[]): Tensor {
  return { dtype: 'float32', dims: [values.length], data: bytesOf(new Float32Array(values)) };
}

export function scalar(dtype: 'float32' | 'int8' | 'uint8', value: number): Tensor {
  const array =
    dtype === 'float32'
      ? new Float32Array([value])
      : dtype === 'int8'
        ? new Int8Array([value])
        : new Uint8Array([value]);
  return { dtype, dims: [], data: bytesOf(array) };
}

function bytesOf(array: Float32Array | Int8Array | Uint8Array) {
  return memoryBytes(new Uint8Array(array.buffer));
}

interface Drawing {
  readonly inputs: Readonly<Record<string, readonly [DType, Shape]>>;
  readonly outputs: readonly string[];
  readonly constants?: Readonly<Record<string, Tensor>>;
  readonly types?: Readonly<Record<string, readonly [DType, Shape]>>;
  readonly quantization?: Readonly<Record<string, Quantization>>;
  readonly nodes: readonly (readonly [
    name: string,
    op: string,
    inputs: readonly string[],
    outputs: readonly string[],
    attributes?: Readonly<Record<string, Attribute>>,
  ])[];
}

function graphOf(drawing: Drawing, name: string): Graph {
  const values = new Map<string, Value>();
  const put = (id: string, more: Omit<Value, 'id' | 'name'> = {}) => {
    const quantization = drawing.quantization?.[id];
    values.set(id, { id, name: id, ...more, ...(quantization && { quantization }) });
  };
  for (const [id, constant] of Object.entries(drawing.constants ?? {}))
    put(id, { constant, type: tensorType(constant.dtype, constant.dims) });
  for (const [id, [dtype, shape]] of Object.entries({ ...drawing.types, ...drawing.inputs }))
    put(id, { type: tensorType(dtype, shape) });
  const nodes = drawing.nodes.map(
    ([id, op, inputs, outputs, attributes]): Node => ({
      id,
      name: id,
      op,
      domain: '',
      version: 1,
      inputs: inputs.map((input) => (input === '' ? null : input)),
      outputs,
      attributes: new Map(Object.entries(attributes ?? {})),
    }),
  );
  for (const node of nodes)
    for (const output of node.outputs) if (output !== null && !values.has(output)) put(output);
  return { name, inputs: Object.keys(drawing.inputs), outputs: drawing.outputs, nodes, values };
}

export function onnx(drawing: Drawing): OnnxModel {
  return {
    dialect: 'onnx',
    irVersion: 9,
    opsets: new Map([['', 18]]),
    producerName: 'test',
    producerVersion: '1',
    metadata: [],
    functions: [],
    graphs: [graphOf(drawing, 'main')],
  };
}

export function tflite(drawing: Drawing): TfliteModel {
  return {
    dialect: 'tflite',
    version: 3,
    description: 'test',
    metadata: [],
    signatures: [],
    graphs: [graphOf(drawing, 'main')],
  };
}

export function perTensor(scale: number, zeroPoint = 0): Quantization {
  return { scale: new Float32Array([scale]), zeroPoint: [zeroPoint], axis: 0 };
}

export function perChannel(count: number, axis: number, zeroPoint = 0): Quantization {
  return {
    scale: new Float32Array(count).fill(0.01),
    zeroPoint: Array.from({ length: count }, () => zeroPoint),
    axis,
  };
}

/** input 1×C×H×W → Conv 3×3 → output, with more nodes behind it if wanted. */
export function convNet(
  channels: number,
  size: number,
  tail: Drawing['nodes'] = [],
  more: Readonly<Record<string, Tensor>> = {},
): OnnxModel {
  const last = tail.at(-1)?.[3][0] ?? 'y';
  return onnx({
    inputs: { x: ['float32', [1, channels, size, size]] },
    outputs: [last],
    constants: { w: tensor('float32', [channels, channels, 3, 3]), ...more },
    nodes: [['conv', 'Conv', ['x', 'w'], ['y'], { pads: { kind: 'ints', value: [1, 1, 1, 1] } }], ...tail],
  });
}

/** The body of an If, which reads `x` of the graph around it. */
export const reluBody: Graph = {
  name: 'then',
  inputs: [],
  outputs: ['t'],
  nodes: [
    {
      id: 'inner',
      name: 'inner',
      op: 'Relu',
      domain: '',
      inputs: ['x'],
      outputs: ['t'],
      attributes: new Map(),
    },
  ],
  values: new Map([['t', { id: 't', name: 't' }]]),
};
