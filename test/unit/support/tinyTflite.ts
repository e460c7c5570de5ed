import type { Node, Quantization, TfliteModel, Value } from '../../../src/ir/model.ts';
import { floatTensor, intTensor } from '../../../src/ir/numbers.ts';
import type { Tensor } from '../../../src/ir/tensor.ts';
import { tensorType } from '../../../src/ir/types.ts';

/** y = relu(W x + b), then z = y + y, with W = [[1, -2, 3], [4, 5, -6]] and b = [1, 2]. */
export function floatModel(): TfliteModel {
  return build([
    { id: 'x', type: tensorType('float32', [1, 3]) },
    constant('w', floatTensor([2, 3], Float32Array.of(1, -2, 3, 4, 5, -6))),
    constant('b', floatTensor([2], Float32Array.of(1, 2))),
    { id: 'y', type: tensorType('float32', [1, 2]) },
    { id: 'z', type: tensorType('float32', [1, 2]) },
  ]);
}

/** The same in 8-bit integers: x has scale 0.5 and zero point 10, weights scale 1, y and z scale 1 and zero point -5. */
export function int8Model(): TfliteModel {
  return build(
    [
      { id: 'x', type: tensorType('int8', [1, 3]), quantization: scale(0.5, 10) },
      { ...constant('w', intTensor('int8', [2, 3], [1, -2, 3, 4, 5, -6])), quantization: scale(1, 0) },
      { ...constant('b', intTensor('int32', [2], [2, 4])), quantization: scale(0.5, 0) },
      { id: 'y', type: tensorType('int8', [1, 2]), quantization: scale(1, -5) },
      { id: 'z', type: tensorType('int8', [1, 2]), quantization: scale(1, -5) },
    ],
    { fullyConnected: 4, add: 2 },
  );
}

function build(
  parts: readonly Omit<Value, 'name'>[],
  versions: { fullyConnected: number; add: number } = { fullyConnected: 1, add: 1 },
): TfliteModel {
  const values = new Map(parts.map((part): [string, Value] => [part.id, { ...part, name: part.id }]));
  const nodes: Node[] = [
    node('FULLY_CONNECTED', versions.fullyConnected, ['x', 'w', 'b'], 'y', {
      fused_activation_function: { kind: 'enum', value: 1, name: 'RELU' },
    }),
    node('ADD', versions.add, ['y', 'y'], 'z'),
  ];
  return {
    dialect: 'tflite',
    version: 3,
    description: '',
    metadata: [],
    signatures: [],
    graphs: [{ name: 'main', inputs: ['x'], outputs: ['z'], nodes, values }],
  };
}

function node(
  op: string,
  version: number,
  inputs: readonly string[],
  output: string,
  attributes: Record<string, { kind: 'enum'; value: number; name: string }> = {},
): Node {
  const own = new Map(Object.entries(attributes));
  return { id: output, name: '', op, domain: '', version, inputs, outputs: [output], attributes: own };
}

function constant(id: string, tensor: Tensor): Omit<Value, 'name'> {
  return { id, type: tensorType(tensor.dtype, tensor.dims), constant: tensor };
}

function scale(value: number, zeroPoint: number): Quantization {
  return { scale: Float32Array.of(value), zeroPoint: [zeroPoint], axis: 0 };
}
