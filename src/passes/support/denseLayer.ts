import { floatAttribute, intAttribute } from '../../ir/attribute.ts';
import type { Graph, Model, Node, ValueId } from '../../ir/model.ts';
import { readFloats } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { operatorOf } from '../../ops/registry.ts';
import { isBuiltin, readableConstant } from './constants.ts';
import { factsOf } from './facts.ts';

/** A layer that multiplies vectors of its input by one constant matrix W, `outputs` x `inputs`, in float32. */
export interface DenseLayer {
  readonly node: Node;
  /** `conv`: the vectors are the patches under the window. `linear`: they are the rows of the last axis. */
  readonly kind: 'conv' | 'linear';
  readonly activation: ValueId;
  readonly weightId: ValueId;
  readonly weight: Tensor;
  readonly outputs: number;
  readonly inputs: number;
  /** Whether the weight stores W row by row; otherwise its transpose. */
  readonly outputsFirst: boolean;
}

const names = {
  onnx: new Set(['Conv', 'Gemm', 'MatMul']),
  tflite: new Set(['CONV_2D', 'FULLY_CONNECTED']),
} as const;

/** Conv without groups, Gemm and MatMul with a constant right side; CONV_2D and FULLY_CONNECTED. */
export function denseLayerOf(model: Model, node: Node): DenseLayer | undefined {
  if (!isBuiltin(node) || !names[model.dialect].has(node.op) || node.outputs.length !== 1) return undefined;
  const [role] = operatorOf(model, node)?.weights?.(node, model) ?? [];
  if (role === undefined || role.input !== 1 || role.activation !== 0) return undefined;
  const weightId = node.inputs[1];
  const activation = node.inputs[0];
  const weight = readableConstant(model.graphs[0], weightId);
  if (weightId == null || activation == null || weight?.dtype !== 'float32') return undefined;
  const facts = factsOf(model);
  if (facts.dtypeOf(activation) !== 'float32') return undefined;
  const outputs = weight.dims[role.outputAxis] ?? 0;
  const inputs = weight.dims.reduce((product, dim) => product * dim, 1) / outputs;
  if (!(outputs > 0 && inputs > 0)) return undefined;
  const base = { node, activation, weightId, weight, outputs, inputs };
  if (role.kind === 'matmul') {
    const plain = weight.dims.length === 2 && intAttribute(node, 'weights_format', 0) === 0;
    if (!plain || intAttribute(node, 'transA', 0) !== 0) return undefined;
    return { ...base, kind: 'linear', outputsFirst: role.outputAxis === 0 };
  }
  if (role.kind !== 'conv' || weight.dims.length < 3 || intAttribute(node, 'group', 1) !== 1)
    return undefined;
  const channels = facts.typeOf(activation)?.shape?.[model.dialect === 'onnx' ? 1 : 3];
  // TFLite has no attribute for groups: the filter is narrower than the input.
  if (typeof channels === 'number' && channels !== weight.dims[model.dialect === 'onnx' ? 1 : 3])
    return undefined;
  return { ...base, kind: 'conv', outputsFirst: true };
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
