import { quantizers, dequantizers, named, passesWeights, Reader } from './workReader.ts';
import type { OpClass, Precision, Place } from './workReader.ts';
import { intAttribute, intsAttribute } from '../ir/attribute.ts';
import type { Graph, Model, Node, NodeId } from '../ir/model.ts';
import { elementCount } from '../ir/types.ts';
import { graphsOf, indexOf } from '../ir/walk.ts';
import type { Analysis, LayerCost } from '../analysis/report.ts';

/** What one layer asks of a device, as far as the latency model looks. `undefined` is unknown. */
export interface LayerWork {
  readonly id: NodeId;
  readonly op: string;
  readonly class: OpClass;
  readonly precision: Precision;
  /** Integer weights against float activations: a kernel that processors have and microcontrollers and NPUs do not. */
  readonly hybrid?: true;
  readonly macs: number | undefined;
  /** Activations read and written, in bytes at the precision the layer runs in. */
  readonly activationBytes: number | undefined;
  /** Weights read, in stored bytes. */
  readonly weightBytes: number;
}

/** Operators that runtimes fold into the convolution or product before them: they cost no memory traffic. */
const fusable = new Set([
  'BatchNormalization',
  'Relu',
  'Clip',
  'LeakyRelu',
  'PRelu',
  'HardSwish',
  'RELU',
  'RELU6',
  'RELU_N1_TO_1',
  'LEAKY_RELU',
]);

/** Operators that only rename or describe data. */
const views = new Set([
  'Identity',
  'Reshape',
  'Flatten',
  'Squeeze',
  'Unsqueeze',
  'Dropout',
  'RESHAPE',
  'SQUEEZE',
  'EXPAND_DIMS',
]);

const fusesFollowers = named(/conv|gemm|matmul|fully_connected|^add$/i);

const known = new WeakMap<Analysis, readonly LayerWork[]>();

/** The work of every layer of the analysis, in its order; made once per analysis. */
export function workOf(model: Model, analysis: Analysis): readonly LayerWork[] {
  let works = known.get(analysis);
  if (works === undefined) {
    works = makeWorks(model, analysis);
    known.set(analysis, works);
  }
  return works;
}

/** What each layer of the analysis computes in, in its order: a small part of `workOf`. */
export function precisionsOf(model: Model, analysis: Analysis): readonly Precision[] {
  const works = known.get(analysis);
  if (works !== undefined) return works.map(({ precision }) => precision);
  return mapPlaces(model, analysis, (_, place) =>
    place === undefined ? unplacedPrecision : new Reader(place, analysis).precision(),
  );
}

function makeWorks(model: Model, analysis: Analysis): readonly LayerWork[] {
  return mapPlaces(model, analysis, (layer, place) =>
    place === undefined ? unplaced(layer) : workOfLayer(layer, place, analysis),
  );
}

function mapPlaces<T>(
  model: Model,
  analysis: Analysis,
  make: (layer: LayerCost, place: Place | undefined) => T,
): readonly T[] {
  const graph = model.graphs[0];
  let elsewhere: ReadonlyMap<NodeId, Place> | undefined;
  return analysis.layers.map((layer, at) => {
    // The rows of an analysis are the layers of the main graph, in their order.
    const node = graph.nodes[at];
    const own = node?.id === layer.id ? { node, graph } : undefined;
    return make(layer, own ?? (elsewhere ??= placesOf(model)).get(layer.id));
  });
}

function placesOf(model: Model): ReadonlyMap<NodeId, Place> {
  const places = new Map<NodeId, Place>();
  for (const graph of graphsOf(model)) for (const node of graph.nodes) places.set(node.id, { node, graph });
  return places;
}

const unplacedPrecision: Precision = 'float32';

function unplaced(layer: LayerCost): LayerWork {
  const { id, op, macs, weightBytes } = layer;
  return {
    id,
    op,
    class: 'other',
    precision: unplacedPrecision,
    macs,
    activationBytes: undefined,
    weightBytes,
  };
}

function workOfLayer(layer: LayerCost, place: Place, analysis: Analysis): LayerWork {
  const reader = new Reader(place, analysis);
  const precision = reader.precision();
  const free = isFree(layer, place, reader);
  return {
    id: layer.id,
    op: layer.op,
    class: free ? 'free' : classOf(layer, place, reader),
    precision,
    ...(!free && reader.isHybrid() && { hybrid: true }),
    macs: free ? 0 : layer.macs,
    activationBytes: free ? 0 : reader.activationBytes(precision),
    weightBytes: free ? 0 : reader.weightBytes(),
  };
}

function isFree(layer: LayerCost, place: Place, reader: Reader): boolean {
  const { node, graph } = place;
  if (layer.family === 'constant' || layer.family === 'shape' || views.has(node.op)) return true;
  if (reader.constantBehind(node.inputs[0]) !== undefined && dequantizers.has(node.op)) return true;
  if (passesWeights.has(node.op) && reader.constantBehind(node.inputs[0]) !== undefined) return true;
  if (node.op === 'QuantizeLinear' || node.op === 'DequantizeLinear') return isInsideQdq(place);
  return isGateOfSwish(node, graph) || (fusable.has(node.op) && fusesIntoProducer(node, graph));
}

/** x · sigmoid(x) is one operator to every runtime; only exporters write it as two. */
function isGateOfSwish(node: Node, graph: Graph): boolean {
  if (node.op !== 'Sigmoid' && node.op !== 'HardSigmoid') return false;
  const { uses, isOutput } = indexOf(graph);
  const output = node.outputs[0];
  if (output === null || output === undefined || isOutput.has(output)) return false;
  const [only, ...others] = uses.get(output) ?? [];
  return others.length === 0 && only?.node.op === 'Mul' && only.node.inputs.includes(node.inputs[0] ?? '');
}

/** A Q or DQ between two operators is absorbed by integer kernels; at the border of the graph it is real work. */
function isInsideQdq(place: Place): boolean {
  const { producer, uses, isOutput } = indexOf(place.graph);
  const input = place.node.inputs[0];
  const output = place.node.outputs[0];
  if (input === null || input === undefined || output === null || output === undefined) return false;
  return producer.has(input) && !isOutput.has(output) && (uses.get(output)?.length ?? 0) > 0;
}

function fusesIntoProducer(node: Node, graph: Graph): boolean {
  const { producer, uses, isOutput } = indexOf(graph);
  let current = node;
  for (let hops = 0; hops < 3; hops += 1) {
    const input = current.inputs[0];
    if (input === null || input === undefined || isOutput.has(input)) return false;
    if ((uses.get(input)?.length ?? 0) !== 1) return false;
    const before = producer.get(input);
    if (before === undefined) return false;
    if (fusesFollowers(before.op)) return true;
    if (!fusable.has(before.op)) return false;
    current = before;
  }
  return false;
}

function classOf(layer: LayerCost, place: Place, reader: Reader): OpClass {
  if (quantizers.has(place.node.op) || dequantizers.has(place.node.op)) return 'other';
  if (layer.family === 'convolution') return convolutionClass(place.node, reader);
  if (layer.family === 'matmul') return isVectorProduct(place.node, reader) ? 'fullyConnected' : 'generic';
  if (layer.family === 'recurrent') return 'fullyConnected';
  if (layer.family === 'attention') return 'generic';
  return layer.macs === undefined || layer.macs > 0 ? 'generic' : 'other';
}

function convolutionClass(node: Node, reader: Reader): OpClass {
  if (node.op === 'DEPTHWISE_CONV_2D') return 'depthwise';
  const tflite = node.op === 'CONV_2D' || node.op === 'CONV_3D' || node.op === 'TRANSPOSE_CONV';
  const weight = reader.shape(weightInputOf(node));
  if (weight === undefined) return 'generic';
  const perGroup = Number(tflite ? weight.at(-1) : weight[1]);
  if (perGroup <= 3) return 'depthwise';
  const kernel = tflite ? weight.slice(1, -1) : weight.slice(2);
  const strides = tflite
    ? [intAttribute(node, 'stride_h', 1), intAttribute(node, 'stride_w', 1)]
    : (intsAttribute(node, 'strides') ?? [1]);
  const is3x3 = kernel.length === 2 && kernel.every((size) => size === 3);
  const ungrouped = intAttribute(node, 'group', 1) === 1;
  return is3x3 && ungrouped && perGroup >= 16 && strides.every((step) => step === 1) ? 'dense3x3' : 'generic';
}

function weightInputOf(node: Node): number {
  return node.op === 'QLinearConv' ? 3 : 1;
}

/** One row of activations against a matrix of weights: every weight is read once and used once. */
function isVectorProduct(node: Node, reader: Reader): boolean {
  if (reader.constantBehind(node.inputs[1]) === undefined) return false;
  const shape = reader.shape(0);
  if (node.op !== 'FULLY_CONNECTED') return elementCount(shape?.slice(0, -1)) === 1;
  const inner = reader.shape(1)?.at(-1);
  return inner !== undefined && elementCount(shape) === inner;
}
