import { floatAttribute, intAttribute } from '../../ir/attribute.ts';
import type { Graph, Model, Node, ValueId } from '../../ir/model.ts';
import { readFloats } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { operatorOf } from '../../ops/registry.ts';
import { isBuiltin, readableConstant } from './constants.ts';
import { factsOf } from './facts.ts';

/**
 * A layer that multiplies vectors of its input by a constant matrix W, `outputs` x `inputs`, in float32; a convolution
 * in groups has one such matrix per group, with `outputs / groups` of the rows each.
 */
export interface DenseLayer {
  readonly node: Node;
  /** `conv`: the vectors are the patches under the window. `linear`: they are the rows of the last axis. */
  readonly kind: 'conv' | 'linear';
  readonly activation: ValueId;
  readonly weightId: ValueId;
  readonly weight: Tensor;
  readonly outputs: number;
  /** Elements that one output reads: within a group. */
  readonly inputs: number;
  readonly groups: number;
  /** Whether the weight stores W row by row; otherwise its transpose. */
  readonly outputsFirst: boolean;
}

const names = {
  onnx: new Set(['Conv', 'Gemm', 'MatMul']),
  tflite: new Set(['CONV_2D', 'DEPTHWISE_CONV_2D', 'FULLY_CONNECTED']),
} as const;

/** Conv without groups, Gemm and MatMul with a constant right side; CONV_2D and FULLY_CONNECTED. */
export function denseLayerOf(model: Model, node: Node): DenseLayer | undefined {
  const layer = multiplyLayerOf(model, node);
  return layer?.groups === 1 && node.op !== 'DEPTHWISE_CONV_2D' ? layer : undefined;
}

/** As `denseLayerOf`, and convolutions in groups, depthwise ones included. */
export function multiplyLayerOf(model: Model, node: Node): DenseLayer | undefined {
  if (!isBuiltin(node) || !names[model.dialect].has(node.op) || node.outputs.length !== 1) return undefined;
  const [role] = operatorOf(model, node)?.weights?.(node, model) ?? [];
  if (role === undefined || role.input !== 1 || role.activation !== 0) return undefined;
  const weightId = node.inputs[1];
  const activation = node.inputs[0];
  const weight = readableConstant(model.graphs[0], weightId);
  if (weightId == null || activation == null || weight?.dtype !== 'float32') return undefined;
  if (factsOf(model).dtypeOf(activation) !== 'float32') return undefined;
  const outputs = weight.dims[role.outputAxis] ?? 0;
  const inputs = weight.dims.reduce((product, dim) => product * dim, 1) / outputs;
  if (!(outputs > 0 && inputs > 0)) return undefined;
  const base = { node, activation, weightId, weight, outputs, inputs, groups: 1 };
  if (role.kind === 'matmul') {
    const plain = weight.dims.length === 2 && intAttribute(node, 'weights_format', 0) === 0;
    if (!plain || intAttribute(node, 'transA', 0) !== 0) return undefined;
    return { ...base, kind: 'linear', outputsFirst: role.outputAxis === 0 };
  }
  const groups = groupsOf(model, node, activation, weight.dims);
  if (weight.dims.length < 3 || groups === undefined) return undefined;
  return { ...base, kind: 'conv', groups, outputsFirst: role.outputAxis === 0 };
}

/** TFLite has no attribute for groups: the filter of CONV_2D is narrower than the input. */
function groupsOf(
  model: Model,
  node: Node,
  activation: ValueId,
  dims: readonly number[],
): number | undefined {
  if (model.dialect === 'onnx') return intAttribute(node, 'group', 1);
  const channels = factsOf(model).typeOf(activation)?.shape?.[3];
  if (typeof channels !== 'number') return undefined;
  return node.op === 'DEPTHWISE_CONV_2D' ? channels : channels / (dims[3] as number);
}

/** W in float64, row-major. */
export function matrixOf({ weight, outputs, inputs, outputsFirst }: DenseLayer): Float64Array {
  const stored = Float64Array.from(readFloats(weight));
  if (outputsFirst) return stored;
  const matrix = new Float64Array(stored.length);
  for (let o = 0; o < outputs; o += 1)
    for (let i = 0; i < inputs; i += 1) matrix[o * inputs + i] = stored[i * outputs + o] as number;
  return matrix;
}

/** The constant added to the layer's outputs by its own bias, one number per output; `undefined` when it is unknown. */
export function biasOf(graph: Graph, { node, outputs }: DenseLayer): Float64Array | undefined {
  const bias = new Float64Array(outputs);
  const id = node.op === 'MatMul' ? undefined : node.inputs[2];
  if (id == null) return bias;
  const tensor = readableConstant(graph, id);
  if (tensor?.dtype !== 'float32') return undefined;
  const stored = readFloats(tensor);
  const single = stored.length === 1;
  if (!single && (stored.length !== outputs || tensor.dims.at(-1) !== outputs)) return undefined;
  const beta = node.op === 'Gemm' ? floatAttribute(node, 'beta', 1) : 1;
  return bias.map((_, i) => beta * (stored[single ? 0 : i] as number));
}
