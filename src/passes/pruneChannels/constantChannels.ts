import { floatAttribute, intAttribute, intsAttribute, stringAttribute } from '../../ir/attribute.ts';
import type { Model, Node, ValueId } from '../../ir/model.ts';
import { readFloats } from '../../ir/numbers.ts';
import { isBuiltin, readableConstant } from '../support/constants.ts';
import type { DenseLayer } from '../support/denseLayer.ts';
import { biasOf, matrixOf, multiplyLayerOf } from '../support/denseLayer.ts';
import { factsOf } from '../support/facts.ts';

/** What each channel of a value always is; NaN where it depends on the input. */
export type ConstantChannels = ReadonlyMap<ValueId, Float64Array>;

/** Weights so much smaller than the largest of their layer are lost in rounding. */
const vanishing = 1e-12;

/** Whether each weight of a layer adds anything, in the order of `matrixOf`. */
export function livingWeights(matrix: Float64Array): (at: number) => boolean {
  let largest = 0;
  for (const weight of matrix) largest = Math.max(largest, Math.abs(weight));
  return (at) => Math.abs(matrix[at] as number) > vanishing * largest;
}

/** The axis of channels in the rows of a layer's values. */
function channelAxisOf(model: Model, layer: Pick<DenseLayer, 'kind'>, rank: number): number {
  return layer.kind === 'conv' && model.dialect === 'onnx' ? 1 : rank - 1;
}

/** The channel of the layer's input that a column of one of its outputs reads. */
export function channelOf(model: Model, { kind, weight, inputs, groups, outputs }: DenseLayer) {
  if (kind === 'linear') return (column: number) => column;
  const depthwise = groups > 1 && model.dialect === 'tflite' && weight.dims[0] === 1;
  const each = model.dialect === 'onnx' ? (weight.dims[1] as number) : (weight.dims[3] as number);
  const taps = depthwise ? inputs : inputs / each;
  const perGroup = outputs / groups;
  return (column: number, output: number) => {
    const group = Math.floor(output / perGroup);
    if (depthwise) return group;
    const own = model.dialect === 'onnx' ? Math.floor(column / taps) : column % each;
    return group * each + own;
  };
}

/**
 * Channels that are the same number whatever the input: those whose weights are all zero, and what activations, sums and
 * pools make of them. Values of which no channel is constant are absent.
 */
export function constantChannels(model: Model): ConstantChannels {
  const known = new Map<ValueId, Float64Array>();
  for (const node of model.graphs[0].nodes) {
    const [y] = node.outputs;
    const found = y == null || !isBuiltin(node) ? undefined : channelsAfter(model, node, known);
    if (y != null && found?.some((value) => !Number.isNaN(value)) === true) known.set(y, found);
  }
  return known;
}

function channelsAfter(model: Model, node: Node, known: ConstantChannels): Float64Array | undefined {
  const layer = multiplyLayerOf(model, node);
  if (layer !== undefined) return afterLayer(model, layer, known);
  const [x] = node.inputs;
  const before = x == null ? undefined : known.get(x);
  if (node.op === 'Add' || node.op === 'ADD') return afterSum(node, known);
  if (before === undefined) return undefined;
  if (node.op === 'BatchNormalization') return afterNorm(model, node, before);
  if (pools.has(node.op)) return before.map((value) => (value === 0 ? 0 : Number.NaN));
  const f = activations[node.op]?.(node);
  return f && before.map(f);
}

/** Means and maxima of zeros are zero, padded or not. */
const pools = new Set([
  'MaxPool',
  'AveragePool',
  'GlobalAveragePool',
  'GlobalMaxPool',
  'MAX_POOL_2D',
  'AVERAGE_POOL_2D',
]);

type Scalar = (value: number) => number;
const clamp =
  (low: number, high: number): Scalar =>
  (value) =>
    Number.isNaN(value) ? value : Math.min(high, Math.max(low, value));
const relu = clamp(0, Number.POSITIVE_INFINITY);

/** Clip of opset 11 has its limits as inputs and may be any interval: only the older form is followed. */
const activations: Readonly<Record<string, (node: Node) => Scalar | undefined>> = {
  Relu: () => relu,
  RELU: () => relu,
  RELU6: () => clamp(0, 6),
  Identity: () => (value) => value,
  LeakyRelu: (node) => (value) => (value < 0 ? value * floatAttribute(node, 'alpha', 0.01) : value),
  Clip: (node) =>
    node.inputs.length > 1
      ? undefined
      : clamp(
          floatAttribute(node, 'min', Number.NEGATIVE_INFINITY),
          floatAttribute(node, 'max', Number.POSITIVE_INFINITY),
        ),
};

/** TFLite ActivationFunctionType. */
const fused: readonly (Scalar | undefined)[] = [(value) => value, relu, clamp(-1, 1), clamp(0, 6)];

function afterLayer(model: Model, layer: DenseLayer, known: ConstantChannels): Float64Array | undefined {
  const bias = biasOf(model.graphs[0], layer);
  const f = fused[intAttribute(layer.node, 'fused_activation_function', 0)];
  if (bias === undefined || f === undefined) return undefined;
  const matrix = matrixOf(layer);
  const lives = livingWeights(matrix);
  const reads = known.get(layer.activation);
  const channel = channelOf(model, layer);
  return bias.map((value, o) => {
    for (let i = 0; i < layer.inputs; i += 1)
      if (lives(o * layer.inputs + i) && reads?.[channel(i, o)] !== 0) return Number.NaN;
    return f(value);
  });
}

function afterSum(node: Node, known: ConstantChannels): Float64Array | undefined {
  const [a, b] = node.inputs.map((id) => (id === null ? undefined : known.get(id)));
  const f = fused[intAttribute(node, 'fused_activation_function', 0)];
  if (a === undefined || b === undefined || f === undefined || a.length !== b.length) return undefined;
  return a.map((value, c) => f(value + (b[c] as number)));
}

function afterNorm(model: Model, node: Node, before: Float64Array): Float64Array | undefined {
  const [scale, bias, mean, variance] = node.inputs.slice(1, 5).map((id) => {
    const tensor = readableConstant(model.graphs[0], id);
    return tensor?.dtype === 'float32' ? readFloats(tensor) : undefined;
  });
  if (scale === undefined || bias === undefined || mean === undefined || variance === undefined)
    return undefined;
  if (scale.length !== before.length) return undefined;
  const epsilon = floatAttribute(node, 'epsilon', 1e-5);
  return before.map(
    (value, c) =>
      ((value - (mean[c] as number)) / Math.sqrt((variance[c] as number) + epsilon)) * (scale[c] as number) +
      (bias[c] as number),
  );
}

/** Whether the window of a layer never leaves its input: a constant channel then adds the same everywhere. */
export function staysInside(model: Model, { node, kind }: DenseLayer): boolean {
  if (kind === 'linear') return true;
  if (model.dialect === 'tflite') {
    const padding = node.attributes.get('padding');
    return padding?.kind === 'enum' && padding.name === 'VALID';
  }
  const auto = stringAttribute(node, 'auto_pad', 'NOTSET');
  if (auto !== 'NOTSET' && auto !== 'VALID') return false;
  return (intsAttribute(node, 'pads') ?? []).every((pad) => pad === 0);
}

/** Where the channels of a layer's input lie. */
export function readsAlong(model: Model, layer: DenseLayer): { readonly id: ValueId; readonly axis: number } {
  const rank = factsOf(model).typeOf(layer.activation)?.shape?.length ?? 0;
  return { id: layer.activation, axis: channelAxisOf(model, layer, rank) };
}
