import { bitsOf, byteSize, isFloat } from '../ir/dtype.ts';
import { intAttribute, intsAttribute } from '../ir/attribute.ts';
import type { DType } from '../ir/dtype.ts';
import type { Graph, Model, Node, NodeId, ValueId } from '../ir/model.ts';
import { elementCount } from '../ir/types.ts';
import type { Shape, TensorType, ValueType } from '../ir/types.ts';
import { graphsOf, indexOf } from '../ir/walk.ts';
import type { Analysis, LayerCost } from '../analysis/report.ts';

/**
 * Classes of operators whose speed differs by a constant factor on one device. `depthwise` stands for every convolution
 * with at most three input channels per group: there is nothing to vectorise along, so first layers belong here too.
 */
export type OpClass = 'generic' | 'dense3x3' | 'depthwise' | 'fullyConnected' | 'other' | 'free';

export type Precision = 'float32' | 'float16' | 'int8';

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

interface Place {
  readonly node: Node;
  readonly graph: Graph;
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

const quantizers = new Set(['QuantizeLinear', 'DynamicQuantizeLinear', 'QUANTIZE']);
const dequantizers = new Set(['DequantizeLinear', 'DEQUANTIZE']);
const isIntegerOp = named(
  /^(QLinear|QGemm$|QAttention$|ConvInteger$|MatMulInteger|DynamicQuantize(MatMul|LSTM)|MatMulNBits$)/,
);
const fusesFollowers = named(/conv|gemm|matmul|fully_connected|^add$/i);

/** Whether an operator's name matches; each name is tried once. */
function named(pattern: RegExp): (op: string) => boolean {
  const tried = new Map<string, boolean>();
  return (op) => {
    let matches = tried.get(op);
    if (matches === undefined) {
      matches = pattern.test(op);
      tried.set(op, matches);
    }
    return matches;
  };
}

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

function makeWorks(model: Model, analysis: Analysis): readonly LayerWork[] {
  const graph = model.graphs[0];
  let elsewhere: ReadonlyMap<NodeId, Place> | undefined;
  return analysis.layers.map((layer, at) => {
    // The rows of an analysis are the layers of the main graph, in their order.
    const node = graph.nodes[at];
    const own = node?.id === layer.id ? { node, graph } : undefined;
    const place = own ?? (elsewhere ??= placesOf(model)).get(layer.id);
    return place === undefined ? unplaced(layer) : workOfLayer(layer, place, analysis);
  });
}

function placesOf(model: Model): ReadonlyMap<NodeId, Place> {
  const places = new Map<NodeId, Place>();
  for (const graph of graphsOf(model)) for (const node of graph.nodes) places.set(node.id, { node, graph });
  return places;
}

function unplaced(layer: LayerCost): LayerWork {
  const { id, op, macs, weightBytes } = layer;
  return { id, op, class: 'other', precision: 'float32', macs, activationBytes: undefined, weightBytes };
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

/** Types and producers around one node. */
class Reader {
  readonly #place: Place;
  readonly #types: ReadonlyMap<ValueId, ValueType> | undefined;

  constructor(place: Place, analysis: Analysis) {
    this.#place = place;
    this.#types = analysis.types.get(place.graph);
  }

  type(id: ValueId | null | undefined): TensorType | undefined {
    if (id === null || id === undefined) return undefined;
    const found = this.#types?.get(id) ?? this.#place.graph.values.get(id)?.type;
    return found !== undefined && (found.kind === 'tensor' || found.kind === 'sparse') ? found : undefined;
  }

  shape(index: number): Shape | undefined {
    return this.type(this.#place.node.inputs[index])?.shape;
  }

  producer(id: ValueId | null | undefined): Node | undefined {
    return id === null || id === undefined ? undefined : indexOf(this.#place.graph).producer.get(id);
  }

  /** The constant behind an input, through the dequantization or cast that sits on compressed weights. */
  constantBehind(id: ValueId | null | undefined): { dtype: DType; count: number } | undefined {
    let current = id;
    for (let hops = 0; hops < 4 && current !== null && current !== undefined; hops += 1) {
      const constant = this.#place.graph.values.get(current)?.constant;
      if (constant !== undefined) {
        return { dtype: constant.dtype, count: constant.dims.reduce((product, dim) => product * dim, 1) };
      }
      const producer = this.producer(current);
      const through =
        producer !== undefined && (dequantizers.has(producer.op) || passesWeights.has(producer.op));
      current = through ? producer.inputs[0] : undefined;
    }
    return undefined;
  }

  precision(): Precision {
    const { node } = this.#place;
    if (isIntegerOp(node.op) || quantizers.has(node.op) || dequantizers.has(node.op)) return 'int8';
    const activation = node.inputs.find((id) => id !== null && this.constantBehind(id) === undefined);
    const type = this.type(activation ?? node.outputs[0]);
    if (activation !== undefined && activation !== null && this.#isDequantized(activation)) return 'int8';
    if (this.isHybrid()) return 'int8';
    if (type?.dtype === 'float16' || type?.dtype === 'bfloat16') return 'float16';
    if (type !== undefined && !isFloat(type.dtype) && this.#isQuantizedTflite(activation)) return 'int8';
    return 'float32';
  }

  /** QDQ form: the node reads dequantized data, so a runtime runs it on integers. */
  #isDequantized(id: ValueId): boolean {
    const producer = this.producer(id);
    return producer?.op === 'DequantizeLinear' && this.constantBehind(id) === undefined;
  }

  #isQuantizedTflite(id: ValueId | null | undefined): boolean {
    if (id === null || id === undefined) return false;
    return this.#place.graph.values.get(id)?.quantization !== undefined;
  }

  /** TFLite's dynamic-range form: float activations against a stored int8 weight, multiplied as integers. */
  isHybrid(): boolean {
    const { node, graph } = this.#place;
    const [activation, weight] = node.inputs;
    const value = weight === null || weight === undefined ? undefined : graph.values.get(weight);
    if (value?.constant?.dtype !== 'int8' || value.quantization === undefined) return false;
    const type = this.type(activation);
    return type !== undefined && isFloat(type.dtype);
  }

  activationBytes(precision: Precision): number | undefined {
    const { node } = this.#place;
    const asStored = this.isHybrid() || quantizers.has(node.op) || dequantizers.has(node.op);
    let total = 0;
    for (const ids of [node.inputs, node.outputs]) {
      for (const id of ids) {
        if (id === null || this.constantBehind(id) !== undefined) continue;
        const type = this.type(id);
        const count = type === undefined ? undefined : elementCount(type.shape);
        if (type === undefined || count === undefined) return undefined;
        total += sizeAt(type.dtype, count, precision, asStored);
      }
    }
    return total;
  }

  weightBytes(): number {
    let total = 0;
    for (const id of this.#place.node.inputs) {
      const constant = this.constantBehind(id);
      if (constant !== undefined) total += byteSize(constant.dtype, constant.count) ?? 0;
    }
    return total;
  }
}

const passesWeights = new Set(['Cast', 'Transpose', 'Reshape', 'Identity', 'CAST', 'TRANSPOSE', 'RESHAPE']);

/** A float32 tensor inside a QDQ region travels as one byte per element. */
function sizeAt(dtype: DType, count: number, precision: Precision, asStored: boolean): number {
  if (precision === 'int8' && isFloat(dtype) && !asStored) return count;
  return Math.ceil((count * bitsOf(dtype)) / 8);
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
