import { intAttribute } from '../../ir/attribute.ts';
import { GraphEditor } from '../../ir/edit.ts';
import type { Graph, Node, OnnxModel, ValueId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { floatTensor, readFloats } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { indexOf } from '../../ir/walk.ts';
import { readableConstant } from '../support/constants.ts';
import type { Facts } from '../support/facts.ts';
import { isOnnxOp } from '../support/graph.ts';

/** Operators that treat every channel alike and apart, whatever the channels hold. */
const channelwise = new Set([
  'Relu',
  'Clip',
  'LeakyRelu',
  'Sigmoid',
  'HardSigmoid',
  'HardSwish',
  'Add',
  'Mul',
  'MaxPool',
  'AveragePool',
  'GlobalAveragePool',
]);

/** How many channels a runtime's kernels take at once; see `layout` in `devices/targets`. */
interface Lanes {
  /** Depthwise convolutions: whole multiples of this. */
  readonly depthwise: number;
  /** Squeezes: at least this many outputs, */
  readonly leastOutputs: number;
  /** and whole multiples of this. */
  readonly outputs: number;
}

/** Depthwise channels beyond this share of the ones there are would cost more than the faster kernel gives. */
const mostGrowth = 1 / 3;

/** The squeeze of squeeze and excitation is widened where that adds fewer weights than this. */
const mostWeights = 8192;

/** Layers that hold the same channels: from the convolutions that make them to those that read them. */
interface Region {
  readonly values: Set<ValueId>;
  /** Convolutions that get further filters. */
  readonly makers: Set<Node>;
  /** Depthwise convolutions, which get further filters too. */
  readonly depthwise: Set<Node>;
  /** Convolutions that get further inputs, with weights of zero. */
  readonly readers: Set<Node>;
}

interface Widened {
  readonly model: OnnxModel;
  /** Convolutions that were widened. */
  readonly layers: number;
}

/**
 * Widens convolutions to channel counts that the runtime's vector kernels take. The added channels come from filters of
 * zeros and are read with weights of zero, so that results stay the same. Only channels that live between convolutions are
 * widened.
 */
export function widenChannels(
  model: OnnxModel,
  facts: Facts,
  lanes: Lanes,
  allowed: (node: Node) => boolean,
): Widened {
  let graph = model.graphs[0];
  let layers = 0;
  for (const { id } of graph.nodes) {
    // The next region may end at a convolution that the last one changed.
    const node = indexOf(graph).node.get(id);
    const wanted = node && wantedChannels(graph, facts, node, lanes);
    if (node === undefined || wanted === undefined) continue;
    const starts = wanted.isDepthwise ? [node.inputs[0], node.outputs[0]] : [node.outputs[0]];
    const region = regionOf(graph, facts, starts, wanted.from);
    if (region === undefined || ![...touched(region)].every(allowed)) continue;
    if (!wanted.isDepthwise && addedWeights(graph, region, wanted) > mostWeights) continue;
    const editor = new GraphEditor(graph, withMainGraph(model, graph));
    widen(graph, editor, region, wanted.from, wanted.to);
    graph = editor.finish();
    layers += wanted.isDepthwise ? region.depthwise.size : region.makers.size;
  }
  return { model: withMainGraph(model, graph), layers };
}

interface Wanted {
  readonly isDepthwise: boolean;
  readonly from: number;
  readonly to: number;
}

function wantedChannels(graph: Graph, facts: Facts, node: Node, lanes: Lanes): Wanted | undefined {
  const depthwise = depthwiseChannels(graph, node);
  const from = depthwise ?? plainConv(graph, node)?.[0];
  const isDepthwise = depthwise !== undefined;
  if (from === undefined || (!isDepthwise && !isSqueeze(facts, node))) return undefined;
  const unit = isDepthwise ? lanes.depthwise : lanes.outputs;
  const to = Math.max(Math.ceil(from / unit) * unit, isDepthwise ? unit : lanes.leastOutputs);
  if (to === from || (isDepthwise && to - from > mostGrowth * from)) return undefined;
  return { isDepthwise, from, to };
}

/** A convolution of one position, as squeeze and excitation has them. */
function isSqueeze(facts: Facts, node: Node): boolean {
  const shape = facts.typeOf(node.outputs[0])?.shape;
  return (
    intAttribute(node, 'group', 1) === 1 && shape !== undefined && shape.slice(2).every((dim) => dim === 1)
  );
}

function addedWeights(graph: Graph, region: Region, { from, to }: Wanted): number {
  let added = 0;
  for (const node of touched(region)) {
    const size = (plainConv(graph, node) ?? []).reduce((product, dim) => product * dim, 1);
    added += (size / from) * (to - from);
  }
  return added;
}

function touched({ makers, depthwise, readers }: Region): Set<Node> {
  return new Set([...makers, ...depthwise, ...readers]);
}

/** Channels of a depthwise convolution with constant float parameters. */
function depthwiseChannels(graph: Graph, node: Node): number | undefined {
  const dims = plainConv(graph, node);
  if (dims === undefined || dims[1] !== 1 || dims[0] === 1) return undefined;
  return intAttribute(node, 'group', 1) === dims[0] ? dims[0] : undefined;
}

/** Dimensions of the weight of a convolution whose parameters are readable float constants. */
function plainConv(graph: Graph, node: Node): readonly number[] | undefined {
  if (!isOnnxOp(node, 'Conv')) return undefined;
  const weight = readableConstant(graph, node.inputs[1]);
  const bias = node.inputs[2];
  if (weight?.dtype !== 'float32') return undefined;
  return bias == null || readableConstant(graph, bias)?.dtype === 'float32' ? weight.dims : undefined;
}

/** The region around a depthwise convolution, or `undefined` where its channels leave what can be widened. */
function regionOf(
  graph: Graph,
  facts: Facts,
  starts: readonly (ValueId | null | undefined)[],
  width: number,
): Region | undefined {
  const { producer, uses, isOutput } = indexOf(graph);
  const region: Region = {
    values: new Set(),
    makers: new Set(),
    depthwise: new Set(),
    readers: new Set(),
  };
  const waiting = [...starts];
  while (waiting.length > 0) {
    const id = waiting.pop();
    if (id == null) return undefined;
    if (region.values.has(id)) continue;
    region.values.add(id);
    const maker = producer.get(id);
    const channels = facts.typeOf(id)?.shape?.[1];
    if (maker === undefined || isOutput.has(id) || channels !== width) return undefined;
    for (const [node, made] of [
      [maker, true] as const,
      ...(uses.get(id) ?? []).map((use) => [use.index < 0 ? undefined : use.node, false] as const),
    ]) {
      const next = node === undefined ? undefined : join(graph, region, node, made, width);
      if (next === undefined) return undefined;
      waiting.push(...next);
    }
  }
  return region;
}

/** Takes a maker or reader of the channels into the region; gives the values that then belong to it as well. */
function join(
  graph: Graph,
  region: Region,
  node: Node,
  made: boolean,
  width: number,
): readonly (ValueId | null | undefined)[] | undefined {
  const dims = plainConv(graph, node);
  if (dims !== undefined) {
    if (depthwiseChannels(graph, node) === width) {
      region.depthwise.add(node);
      return [node.inputs[0], node.outputs[0]];
    }
    if (intAttribute(node, 'group', 1) !== 1) return undefined;
    (made ? region.makers : region.readers).add(node);
    return [];
  }
  if (node.domain !== '' || !channelwise.has(node.op) || node.outputs.length !== 1) return undefined;
  const flowing = node.inputs.filter((id) => !isSingle(graph, id));
  return flowing.length === 0 ? undefined : [...flowing, node.outputs[0]];
}

/** An omitted input or a constant of one element, which meets all channels alike. */
function isSingle(graph: Graph, id: ValueId | null): boolean {
  if (id === null) return true;
  const constant = graph.values.get(id)?.constant;
  return constant !== undefined && constant.dims.every((dim) => dim === 1);
}

function widen(graph: Graph, editor: GraphEditor, region: Region, from: number, to: number): void {
  for (const node of touched(region)) {
    const inputs = [...node.inputs];
    const grow = (index: number, axis: number) => {
      const id = inputs[index];
      const tensor = id == null ? undefined : (editor.value(id)?.constant ?? readableConstant(graph, id));
      if (id != null && tensor !== undefined) inputs[index] = editor.addConstant(id, grown(tensor, axis, to));
    };
    const isDepthwise = region.depthwise.has(node);
    if (isDepthwise || region.makers.has(node)) {
      grow(1, 0);
      grow(2, 0);
    }
    if (region.readers.has(node)) grow(1, 1);
    const attributes = isDepthwise
      ? new Map(node.attributes).set('group', { kind: 'int', value: to } as const)
      : node.attributes;
    editor.replaceNode(node.id, [{ ...node, inputs, attributes }]);
  }
  for (const id of region.values) {
    const value = graph.values.get(id);
    if (value?.type?.kind !== 'tensor' || value.type.shape === undefined) continue;
    const shape = value.type.shape.map((dim, axis) => (axis === 1 && dim === from ? to : dim));
    editor.setValue({ ...value, type: { ...value.type, shape } });
  }
}

/** The tensor with zeros behind its last index of `axis`. */
function grown(tensor: Tensor, axis: number, to: number): Tensor {
  const dims = tensor.dims.map((dim, at) => (at === axis ? to : dim));
  const inner = tensor.dims.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  const outer = tensor.dims.slice(0, axis).reduce((product, dim) => product * dim, 1);
  const run = (tensor.dims[axis] as number) * inner;
  const values = readFloats(tensor);
  const wide = new Float32Array(outer * to * inner);
  for (let o = 0; o < outer; o += 1) wide.set(values.subarray(o * run, (o + 1) * run), o * to * inner);
  return floatTensor(dims, wide);
}
