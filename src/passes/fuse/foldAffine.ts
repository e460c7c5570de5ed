import { floatAttribute, intAttribute } from '../../ir/attribute.ts';
import type { GraphEditor } from '../../ir/edit.ts';
import type { Graph, Model, Node, ValueId } from '../../ir/model.ts';
import { decodeNumbers, numberTensor, readFloats, sizeOf } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { WeightRole } from '../../ops/operator.ts';
import { operatorOf } from '../../ops/registry.ts';
import { constantOf, isReadable, stridesOf } from '../support/constants.ts';
import type { Facts } from '../support/facts.ts';
import { readCount, soleReader } from '../support/graph.ts';
import type { Affine } from './affine.ts';
import { affineOf, compose, identityAffine } from './affine.ts';

/** A layer `y = W x + b` whose output channels can be scaled and shifted by changing W and b. */
interface Foldable {
  readonly node: Node;
  readonly role: WeightRole;
  readonly weight: Tensor;
  readonly channels: number;
  /** Axis of the channels in the layer's output, and the output's rank. */
  readonly axis: number;
  /** Factor on the bias: Gemm's beta. */
  readonly beta: number;
  readonly canShift: boolean;
}

interface FoldReport {
  folded: number;
  /** Layers that could not be folded because their weights are not there. */
  missing: number;
}

/** Folds chains of batch normalization and per-channel arithmetic into the layer before them. */
export function foldAffines(
  model: Model,
  graph: Graph,
  facts: Facts,
  editor: GraphEditor,
  allowed: (node: Node) => boolean,
): FoldReport {
  const report: FoldReport = { folded: 0, missing: 0 };
  for (const node of graph.nodes) {
    if (!allowed(node)) continue;
    const layer = foldableLayer(model, graph, facts, node);
    if (layer === undefined) continue;
    const chain = chainAfter(model, graph, facts, layer, allowed);
    if (chain === undefined) continue;
    if (!isReadable(layer.weight)) {
      report.missing += 1;
      continue;
    }
    if (!fold(graph, editor, layer, chain)) continue;
    report.folded += 1;
  }
  return report;
}

/** The chains that `foldAffines` would fold, without looking at the weights of the layers before them. */
export function affineChains(
  model: Model,
  graph: Graph,
  facts: Facts,
): readonly { readonly layer: Node; readonly nodes: readonly Node[] }[] {
  return graph.nodes.flatMap((node) => {
    const layer = foldableLayer(model, graph, facts, node);
    const chain = layer && isReadable(layer.weight) && chainAfter(model, graph, facts, layer, () => true);
    return !chain || layer === undefined ? [] : [{ layer: layer.node, nodes: chain.nodes }];
  });
}

function foldableLayer(model: Model, graph: Graph, facts: Facts, node: Node): Foldable | undefined {
  const roles = operatorOf(model, node)?.weights?.(node, model) ?? [];
  const [role] = roles;
  if (role === undefined || roles.length !== 1 || node.outputs.length !== 1) return undefined;
  if (role.kind === 'recurrent' || role.kind === 'embedding') return undefined;
  const weight = constantOf(graph, node.inputs[role.input]);
  if (weight === undefined || (weight.dtype !== 'float32' && weight.dtype !== 'float16')) return undefined;
  if (intAttribute(node, 'fused_activation_function', 0) !== 0) return undefined;
  const rank = facts.typeOf(node.outputs[0])?.shape?.length;
  if (rank === undefined) return undefined;
  const perGroup = weight.dims[role.outputAxis];
  if (perGroup === undefined) return undefined;
  // ONNX ConvTranspose stores the output channels of one group; every other layout stores all of them.
  const grouped = model.dialect === 'onnx' && role.kind === 'conv-transpose';
  const channels = grouped ? perGroup * intAttribute(node, 'group', 1) : perGroup;
  const channelsFirst = model.dialect === 'onnx' && role.kind !== 'matmul';
  if (role.kind === 'matmul' && weight.dims.length !== 2) return undefined;
  const beta = node.op === 'Gemm' ? floatAttribute(node, 'beta', 1) : 1;
  return {
    node,
    role,
    weight,
    channels,
    axis: channelsFirst ? 1 : rank - 1,
    beta,
    canShift: role.bias !== undefined && beta !== 0,
  };
}

interface Chain extends Affine {
  readonly nodes: readonly Node[];
  readonly output: ValueId;
  /** TFLite: the activation that the last arithmetic operator had fused. */
  readonly last: Node;
}

function chainAfter(
  model: Model,
  graph: Graph,
  facts: Facts,
  layer: Foldable,
  allowed: (node: Node) => boolean,
): Chain | undefined {
  let output = layer.node.outputs[0] as ValueId;
  let map = identityAffine(layer.channels);
  const nodes: Node[] = [];
  // The bound matters only for damaged graphs, where a value may be made twice.
  while (nodes.length < 64) {
    const reader = soleReader(graph, output);
    if (reader === undefined || !allowed(reader)) break;
    const next = affineOf({ model, graph, facts }, reader, output, layer.channels, layer.axis);
    if (next === undefined) break;
    // BATCH_MATMUL has no place for an activation.
    const fused = intAttribute(reader, 'fused_activation_function', 0) !== 0;
    if (fused && !layer.node.attributes.has('fused_activation_function')) break;
    const composed = compose(map, next);
    if (!layer.canShift && composed.shift.some((value) => value !== 0)) break;
    if (!isFinite(composed)) break;
    map = composed;
    nodes.push(reader);
    output = next.output;
    if (fused) break;
  }
  const last = nodes.at(-1);
  return last && { ...map, nodes, output, last };
}

function isFinite(map: Affine): boolean {
  return map.scale.every(Number.isFinite) && map.shift.every(Number.isFinite);
}

function fold(graph: Graph, editor: GraphEditor, layer: Foldable, chain: Chain): boolean {
  const { node, role } = layer;
  const bias = foldedBias(graph, layer, chain);
  if (bias === undefined) return false;
  const inputs = [...node.inputs];
  inputs[role.input] = store(graph, editor, node.inputs[role.input] as ValueId, scaledWeight(layer, chain));
  if (bias !== 'none' && role.bias !== undefined) {
    while (inputs.length <= role.bias) inputs.push(null);
    const old = inputs[role.bias];
    inputs[role.bias] =
      old == null
        ? editor.addConstant(`${node.inputs[role.input]}_bias`, bias)
        : store(graph, editor, old, bias);
  }
  const activation = chain.last.attributes.get('fused_activation_function');
  const attributes =
    activation === undefined || !node.attributes.has('fused_activation_function')
      ? node.attributes
      : new Map(node.attributes).set('fused_activation_function', activation);
  editor.replaceNode(node.id, [{ ...node, inputs, outputs: [chain.output], attributes }]);
  for (const absorbed of chain.nodes) editor.removeNode(absorbed.id);
  return true;
}

/** Keeps the name of a constant that nobody else reads; a shared one is copied. */
function store(graph: Graph, editor: GraphEditor, id: ValueId, tensor: Tensor): ValueId {
  const value = graph.values.get(id);
  if (value?.constant === undefined || readCount(graph, id) !== 1) {
    return editor.addConstant(`${id}_folded`, tensor);
  }
  editor.setValue({
    ...value,
    type: { kind: 'tensor', dtype: tensor.dtype, shape: tensor.dims },
    constant: tensor,
  });
  return id;
}

/** The weight with each output channel multiplied by its scale; float64 products, rounded once. */
function scaledWeight({ weight, role, node, channels }: Foldable, { scale }: Affine): Tensor {
  const values = decodeNumbers(weight.dtype, weight.data.read(), sizeOf(weight));
  const stored = weight.dims[role.outputAxis] as number;
  const inner = stridesOf(weight.dims)[role.outputAxis] as number;
  const groups = channels / stored;
  const perGroup = groups === 1 ? values.length : values.length / intAttribute(node, 'group', 1);
  for (let i = 0; i < values.length; i += 1) {
    const group = Math.floor(i / perGroup);
    const channel = group * stored + (Math.floor(i / inner) % stored);
    values[i] = (values[i] as number) * (scale[channel] as number);
  }
  return numberTensor(weight.dtype, weight.dims, values);
}

/** The new bias, `none` when none is needed, `undefined` when the old one cannot be read or has an unusual shape. */
function foldedBias(graph: Graph, layer: Foldable, map: Affine): Tensor | 'none' | undefined {
  const { node, role, channels, beta, weight } = layer;
  const old = role.bias === undefined ? null : node.inputs[role.bias];
  if (old == null && map.shift.every((value) => value === 0)) return 'none';
  const values = new Float64Array(channels);
  if (old != null) {
    const tensor = constantOf(graph, old);
    if (tensor === undefined || !isReadable(tensor)) return undefined;
    const size = sizeOf(tensor);
    if (size !== 1 && (size !== channels || tensor.dims.at(-1) !== channels)) return undefined;
    const stored = readFloats(tensor);
    for (let c = 0; c < channels; c += 1) values[c] = stored[size === 1 ? 0 : c] as number;
  }
  // Gemm multiplies its C by beta after the fact, so the shift goes in divided by it.
  for (let c = 0; c < channels; c += 1) {
    values[c] = (values[c] as number) * (map.scale[c] as number) + (map.shift[c] as number) / beta;
  }
  return numberTensor(weight.dtype, [channels], values);
}
