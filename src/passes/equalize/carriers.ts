import type { Shape } from '../../ir/types.ts';
import { axisAfter, productOf } from './movedAxis.ts';
import { intAttribute } from '../../ir/attribute.ts';
import type { Node, ValueId } from '../../ir/model.ts';
import { readableConstant } from '../support/constants.ts';
import type { ChannelConstant, Link } from './carried.ts';
import { scalarOf, tameActivation } from './carried.ts';
import type { Site, SiteBuilder } from './sites.ts';

/** Operators of one input through which a positive factor passes: f(s x) = s f(x), channel by channel. */
const homogeneous = new Set(
  (
    'Relu LeakyRelu PRelu MaxPool AveragePool GlobalAveragePool GlobalMaxPool Identity Dropout Pad Resize Upsample ReduceMean ' +
    'ReduceSum ReduceMax ReduceMin Slice Transpose Squeeze Unsqueeze Flatten Clip Abs Neg Reshape ' +
    'RELU LEAKY_RELU PRELU RELU6 MAX_POOL_2D AVERAGE_POOL_2D PAD MIRROR_PAD RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR MEAN SUM ' +
    'REDUCE_MAX REDUCE_MIN STRIDED_SLICE SLICE TRANSPOSE SQUEEZE EXPAND_DIMS RESHAPE ABS NEG'
  ).split(' '),
);

/**
 * Ties the channels that an operator without weights carries from inputs to outputs. Gives the pairs of values it
 * links, or `undefined` when a factor does not come through.
 */
export function carriersOf(
  builder: SiteBuilder,
  node: Node,
  constants: ChannelConstant[],
): readonly Link[] | undefined {
  if (homogeneous.has(node.op)) return carry(builder, node);
  switch (node.op) {
    case 'Add':
    case 'Sub':
    case 'ADD':
    case 'SUB':
      return sum(builder, node, constants);
    case 'Mul':
    case 'MUL':
      return product(builder, node, constants);
    case 'Concat':
    case 'CONCATENATION':
      return concatenation(builder, node);
    case 'LayerNormalization':
      return normalization(builder, node, constants);
    default:
      return undefined;
  }
}

function siteOf(builder: SiteBuilder, id: ValueId | null | undefined): Site | undefined {
  return id == null ? undefined : builder.all.get(id);
}

function carry(builder: SiteBuilder, node: Node): readonly Link[] | undefined {
  const from = siteOf(builder, node.inputs[0]);
  const [output] = node.outputs;
  if (from === undefined || output == null || node.outputs.length !== 1) return undefined;
  const moved = axisAfter(builder, node, from);
  if (moved === undefined) return undefined;
  const to = builder.make(output, moved.axis);
  if (to === undefined || to.count !== from.count * moved.times) return freezeBoth(builder, from, to);
  const channel = (i: number) => (moved.inner ? i % from.count : Math.floor(i / moved.times));
  for (let i = 0; i < to.count; i += 1) builder.tie(to.first + i, from.first + channel(i));
  if (!boundOf(builder, node, to)) builder.freeze(to);
  return [{ from: from.value, to: to.value, channel }];
}

function straight(from: Site, to: Site): Link {
  return { from: from.value, to: to.value, channel: (i) => i };
}

function freezeBoth(builder: SiteBuilder, ...sites: (Site | undefined)[]): undefined {
  for (const site of sites) builder.freeze(site);
  return undefined;
}

/** Notes the bound of a Clip from 0; gives false for any other Clip. */
function boundOf(builder: SiteBuilder, node: Node, to: Site): boolean {
  if (node.op === 'RELU6') builder.cap(to, 6);
  if (node.op !== 'Clip') return tameActivation(builder, node, to);
  const graph = builder.model.graphs[0];
  const bound = (index: number, name: string) => {
    const attribute = node.attributes.get(name);
    return attribute?.kind === 'float'
      ? attribute.value
      : scalarOf(readableConstant(graph, node.inputs[index]));
  };
  const high = bound(2, 'max');
  if (bound(1, 'min') !== 0) return false;
  if (high !== undefined) builder.cap(to, high);
  return high === undefined || high > 0;
}

function sum(builder: SiteBuilder, node: Node, constants: ChannelConstant[]): readonly Link[] | undefined {
  const graph = builder.model.graphs[0];
  const fixed = node.inputs.findIndex((id) => readableConstant(graph, id) !== undefined);
  const [output] = node.outputs;
  if (fixed >= 0) return withConstant(builder, node, fixed, 'add', constants);
  const [a, b] = [siteOf(builder, node.inputs[0]), siteOf(builder, node.inputs[1])];
  if (a === undefined || b === undefined || output == null) return undefined;
  const [left, right] = [builder.facts.typeOf(a.value)?.shape, builder.facts.typeOf(b.value)?.shape];
  if (a.axis !== b.axis || left?.length !== right?.length) return undefined;
  const to = builder.make(output, a.axis);
  if (to === undefined) return undefined;
  builder.tieAll(a, b);
  builder.tieAll(a, to);
  if (!tameActivation(builder, node, to)) builder.freeze(to);
  return [straight(a, to), straight(b, to)];
}

function product(
  builder: SiteBuilder,
  node: Node,
  constants: ChannelConstant[],
): readonly Link[] | undefined {
  const graph = builder.model.graphs[0];
  const fixed = node.inputs.findIndex((id) => readableConstant(graph, id) !== undefined);
  if (fixed >= 0) return withConstant(builder, node, fixed, 'mul', constants);
  const [output] = node.outputs;
  const counts = node.inputs.map((id) => productOf(builder.facts.typeOf(id)?.shape?.slice(1) ?? [null]) ?? 0);
  const main = (counts[0] ?? 0) >= (counts[1] ?? 0) ? 0 : 1;
  const from = siteOf(builder, node.inputs[main]);
  const gate = node.inputs[1 - main];
  if (from === undefined || output == null || gate == null || gate === from.value) return undefined;
  // The gate keeps its scale: the factor goes through the other side alone.
  if (builder.all.has(gate)) builder.freeze(builder.all.get(gate));
  const to = builder.make(output, from.axis);
  if (to === undefined) return undefined;
  builder.tieAll(from, to);
  if (!tameActivation(builder, node, to)) builder.freeze(to);
  return [straight(from, to)];
}

/** A constant per channel, or one number, added or multiplied. */
function withConstant(
  builder: SiteBuilder,
  node: Node,
  input: number,
  kind: 'add' | 'mul',
  constants: ChannelConstant[],
): readonly Link[] | undefined {
  const graph = builder.model.graphs[0];
  const tensor = readableConstant(graph, node.inputs[input]);
  const other = node.inputs[1 - input];
  const [output] = node.outputs;
  if (tensor?.dtype !== 'float32' || other == null || output == null) return undefined;
  const shape = builder.facts.typeOf(output)?.shape;
  const known = builder.all.get(other);
  const axis = known?.axis ?? channelAxis(tensor.dims, shape);
  if (axis === undefined || shape === undefined) return undefined;
  const own = axis - (shape.length - tensor.dims.length);
  const single = tensor.dims.every((dim) => dim === 1);
  if (!single && tensor.dims[own] !== shape[axis]) return undefined;
  const from = builder.read(other, axis);
  if (from === undefined) return undefined;
  const to = builder.make(output, axis);
  if (to === undefined || to.count !== from.count) return freezeBoth(builder, from, to);
  const at = tensor.dims[own] === to.count ? own : -1;
  if (kind === 'add' || at < 0) builder.tieAll(from, to);
  // One number for all channels would have to become one per channel.
  if (kind === 'add' && at < 0) builder.freeze(to);
  if (at >= 0) constants.push({ node, input, kind, axis: at, to, ...(kind === 'mul' && { from }) });
  if (!tameActivation(builder, node, to)) builder.freeze(to);
  return [straight(from, to)];
}

/** The axis of a result along which a constant varies, when there is exactly one. */
function channelAxis(dims: readonly number[], shape: Shape | undefined): number | undefined {
  const along = dims.flatMap((dim, i) => (dim > 1 ? [i + (shape?.length ?? 0) - dims.length] : []));
  return along.length === 1 ? along[0] : undefined;
}

function normalization(
  builder: SiteBuilder,
  node: Node,
  constants: ChannelConstant[],
): readonly Link[] | undefined {
  const graph = builder.model.graphs[0];
  const rank = builder.facts.typeOf(node.inputs[0])?.shape?.length ?? 0;
  const scale = readableConstant(graph, node.inputs[1]);
  const shift = node.inputs[2] == null ? undefined : readableConstant(graph, node.inputs[2]);
  const axis = intAttribute(node, 'axis', -1);
  if (node.outputs.length !== 1 || scale?.dtype !== 'float32' || scale.dims.length !== 1) return undefined;
  if (node.inputs[2] != null && shift?.dtype !== 'float32') return undefined;
  if (axis !== -1 && axis !== rank - 1) return undefined;
  builder.freeze(siteOf(builder, node.inputs[0]));
  const to = builder.make(node.outputs[0], rank - 1);
  if (to === undefined || to.count !== scale.dims[0]) return freezeBoth(builder, to);
  constants.push({ node, input: 1, kind: 'mul', axis: 0, to });
  if (shift !== undefined) constants.push({ node, input: 2, kind: 'add', axis: 0, to });
  return [];
}

function concatenation(builder: SiteBuilder, node: Node): readonly Link[] | undefined {
  const [output] = node.outputs;
  const parts = node.inputs.map((id) => siteOf(builder, id));
  const [first] = parts;
  if (first === undefined || output == null) return undefined;
  const rank = builder.facts.typeOf(output)?.shape?.length ?? 0;
  const axis = intAttribute(node, 'axis', 0);
  const along = axis < 0 ? axis + rank : axis;
  if (parts.some((part) => part === undefined || part.axis !== first.axis)) return undefined;
  const to = builder.make(output, first.axis);
  if (to === undefined) return undefined;
  const links: Link[] = [];
  let offset = 0;
  for (const part of parts as Site[]) {
    for (let i = 0; i < part.count; i += 1) builder.tie(part.first + i, to.first + offset + i);
    const start = offset;
    links.push({
      from: part.value,
      to: to.value,
      channel: (i) => (i >= start && i < start + part.count ? i - start : -1),
    });
    if (along === first.axis) offset += part.count;
  }
  if (!tameActivation(builder, node, to)) builder.freeze(to);
  return links;
}
