import type { ChannelConstant, Link } from './carried.ts';
import { tameActivation } from './carried.ts';
import { floatAttribute, intAttribute } from '../../ir/attribute.ts';
import type { Model, Node, NodeId, ValueId } from '../../ir/model.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { indexOf } from '../../ir/walk.ts';
import type { WeightRole } from '../../ops/operator.ts';
import { operatorOf } from '../../ops/registry.ts';
import { isBuiltin, readableConstant } from '../support/constants.ts';
import { factsOf } from '../support/facts.ts';
import { carriersOf } from './carriers.ts';
import type { Site, SiteBuilder, Sites } from './sites.ts';
import { siteBuilder } from './sites.ts';

/** A layer with a constant weight between two sites. */
export interface ChannelLayer {
  readonly node: Node;
  readonly role: WeightRole;
  readonly weight: Tensor;
  readonly from: Site;
  readonly to: Site;
  readonly bias?: ValueId;
}

export interface Channels {
  readonly sites: Sites;
  readonly layers: readonly ChannelLayer[];
  readonly constants: readonly ChannelConstant[];
  /** For operators between two sites: which value comes through to which. */
  readonly links: ReadonlyMap<NodeId, readonly Link[]>;
}

/**
 * Finds the channels of a model that can be scaled against each other without changing what it computes: a factor on a
 * channel of a layer's result is taken back in the weights that read it. It passes through whatever is homogeneous
 * (max(0, x), pooling, sums of values scaled alike), and through everything that moves data along other axes.
 * After Nagel et al., "Data-free quantization through weight equalization and bias correction" (ICCV 2019).
 */
export function findChannels(model: Model, allowed: (node: Node) => boolean): Channels {
  const graph = model.graphs[0];
  const builder = siteBuilder(model, factsOf(model));
  const layers: ChannelLayer[] = [];
  const constants: ChannelConstant[] = [];
  const links = new Map<NodeId, readonly Link[]>();
  for (const node of graph.nodes) {
    const found = allowed(node) && isBuiltin(node) ? visit(builder, node, layers, constants) : undefined;
    if (found === undefined) builder.freezeNode(node);
    else links.set(node.id, found);
  }
  const { uses } = indexOf(graph);
  for (const id of graph.outputs) builder.freeze(builder.all.get(id));
  for (const [id, site] of builder.all) {
    if (uses.get(id)?.some((use) => use.index === -1)) builder.freeze(site);
  }
  return { sites: builder, layers, constants, links };
}

function visit(
  builder: SiteBuilder,
  node: Node,
  layers: ChannelLayer[],
  constants: ChannelConstant[],
): readonly Link[] | undefined {
  const layer = layerOf(builder, node);
  if (layer !== undefined) {
    layers.push(layer);
    return [];
  }
  if (
    (operatorOf(builder.model, node)?.weights?.(node, builder.model) ?? []).length > 0 &&
    node.op !== 'MatMul'
  )
    return undefined;
  return carriersOf(builder, node, constants);
}

/** A layer whose weight is a float constant of its own. */
function layerOf(builder: SiteBuilder, node: Node): ChannelLayer | undefined {
  const { model, facts } = builder;
  const graph = model.graphs[0];
  const roles = operatorOf(model, node)?.weights?.(node, model) ?? [];
  const [role] = roles;
  if (role === undefined || roles.length > 1 || role.kind === 'recurrent' || role.kind === 'embedding')
    return undefined;
  const weight = readableConstant(graph, node.inputs[role.input]);
  const uses = indexOf(graph).uses.get(node.inputs[role.input] ?? '') ?? [];
  if (weight?.dtype !== 'float32' || uses.length !== 1 || node.outputs.length !== 1) return undefined;
  if (role.kind === 'matmul' && !isPlainProduct(node, weight, role)) return undefined;
  const last = role.kind === 'matmul' || model.dialect === 'tflite';
  const axisOf = (id: ValueId | null | undefined) => (last ? (facts.typeOf(id)?.shape?.length ?? 0) - 1 : 1);
  const [activation, output] = [node.inputs[role.activation], node.outputs[0]];
  const bias = role.bias === undefined ? undefined : (node.inputs[role.bias] ?? undefined);
  const outputs = weight.dims[role.outputAxis];
  if (bias !== undefined) {
    const tensor = readableConstant(graph, bias);
    if (tensor?.dtype !== 'float32' || tensor.dims.at(-1) !== outputs) return undefined;
  }
  const from = builder.read(activation, axisOf(activation));
  if (from === undefined || !fits(node, role, weight, from)) return undefined;
  const to = builder.make(output, axisOf(output));
  if (to === undefined) return undefined;
  if (!tameActivation(builder, node, to)) builder.freeze(to);
  return { node, role, weight, from, to, ...(bias !== undefined && { bias }) };
}

function isPlainProduct(node: Node, weight: Tensor, role: WeightRole): boolean {
  if (weight.dims.length !== 2 || intAttribute(node, 'weights_format', 0) !== 0) return false;
  if (node.op === 'MatMul') return role.activation === 0;
  return (
    (node.op === 'Gemm' || node.op === 'FULLY_CONNECTED') &&
    intAttribute(node, 'transA', 0) === 0 &&
    floatAttribute(node, 'alpha', 1) === 1 &&
    floatAttribute(node, 'beta', 1) === 1
  );
}

/** Whether the weight's input channels are those of the site: FULLY_CONNECTED may flatten what it reads. */
function fits(node: Node, role: WeightRole, weight: Tensor, from: Site): boolean {
  const own = role.inputAxis === undefined ? 1 : (weight.dims[role.inputAxis] ?? 0);
  const groups = intAttribute(node, 'group', 1);
  if (role.kind === 'matmul') return own === from.count;
  if (role.kind === 'depthwise') return (weight.dims[role.outputAxis] ?? 0) % from.count === 0;
  if (role.kind === 'conv-transpose') return own === from.count && groups === 1;
  return own > 0 && from.count % own === 0;
}
