import { intAttribute, intsAttribute, stringAttribute } from '../../ir/attribute.ts';
import type { Graph, Model, Node, ValueId } from '../../ir/model.ts';
import { indexOf } from '../../ir/walk.ts';
import type { ChannelMoments } from '../pass.ts';
import type { ChannelLayer, Channels } from './channels.ts';

/** What is subtracted from the channels of values; values without an entry stay. */
export type Centres = ReadonlyMap<ValueId, Float64Array>;

/** Operators through which an offset passes as it is (of two inputs: as their sum). */
const transparent = new Set(
  (
    'Add Identity Dropout Flatten Reshape Squeeze Unsqueeze Transpose GlobalAveragePool ReduceMean Concat ' +
    'ADD RESHAPE SQUEEZE EXPAND_DIMS TRANSPOSE MEAN CONCATENATION'
  ).split(' '),
);

/**
 * Offsets that put the range of every channel around zero where only linear layers without padding read it: the
 * layer that makes the values gives the offset up in its bias, those that read it take it up in theirs. One quantizer
 * for all channels then loses nothing to channels that lie aside. The linear bottlenecks of MobileNetV2 are such values.
 */
export function chooseCentres(
  model: Model,
  channels: Channels,
  moments: ReadonlyMap<ValueId, ChannelMoments>,
): Centres {
  const graph = model.graphs[0];
  const centres = new Map<ValueId, Float64Array>();
  const open = shiftable(graph, channels);
  const layers = new Map(channels.layers.map((layer) => [layer.node.id, layer]));
  for (const node of graph.nodes) {
    const layer = layers.get(node.id);
    if (layer !== undefined) {
      const centre = open.has(layer.to.value)
        ? centreOf(graph, layer, channels, centres, moments)
        : undefined;
      if (centre !== undefined) centres.set(layer.to.value, centre);
      continue;
    }
    for (const { from, to, channel } of channels.links.get(node.id) ?? []) {
      const before = centres.get(from);
      const count = channels.sites.all.get(to)?.count ?? 0;
      if (before === undefined) continue;
      const sum = centres.get(to) ?? new Float64Array(count);
      for (let i = 0; i < count; i += 1) {
        const source = channel(i);
        if (source >= 0) sum[i] = (sum[i] as number) + (before[source] as number);
      }
      centres.set(to, sum);
    }
  }
  return centres;
}

/** Values all of whose readers can take up an offset. */
function shiftable(graph: Graph, channels: Channels): ReadonlySet<ValueId> {
  const { uses, isOutput } = indexOf(graph);
  const layers = new Map(channels.layers.map((layer) => [layer.node.id, layer]));
  const open = new Set<ValueId>();
  const readable = (id: ValueId, node: Node, index: number): boolean => {
    const layer = layers.get(node.id);
    if (layer !== undefined) return index === layer.role.activation && takesOffset(layer);
    const links = channels.links.get(node.id);
    if (links === undefined || !transparent.has(node.op)) return false;
    if (intAttribute(node, 'fused_activation_function', 0) !== 0) return false;
    return links.every((link) => open.has(link.to)) && links.some((link) => link.from === id);
  };
  for (const node of graph.nodes.toReversed()) {
    for (const id of node.outputs) {
      const readers = id === null ? [] : (uses.get(id) ?? []);
      if (id === null || isOutput.has(id) || readers.length === 0 || !channels.sites.all.has(id)) continue;
      if (readers.every((use) => readable(id, use.node, use.index))) open.add(id);
    }
  }
  return open;
}

/** Whether an offset of the input is one constant per output: padding would make it another at the border. */
function takesOffset({ node, role, weight }: ChannelLayer): boolean {
  if (role.bias === undefined || role.kind === 'conv-transpose') return false;
  if (role.kind === 'matmul') return node.op !== 'MatMul';
  const kernel = node.op === 'Conv' ? weight.dims.slice(2) : weight.dims.slice(1, 3);
  const single = kernel.every((size) => size === 1);
  if (node.op !== 'Conv') return single || intAttribute(node, 'padding', 0) === 1;
  const auto = stringAttribute(node, 'auto_pad', 'NOTSET');
  if (auto !== 'NOTSET' && auto !== 'VALID') return false;
  return (intsAttribute(node, 'pads') ?? []).every((pad) => pad === 0);
}

/**
 * The middle of a layer's outputs, or what brings the sum that they go into to the middle: whichever leaves the smaller
 * ranges, as both are quantized.
 */
function centreOf(
  graph: Graph,
  { to, role, node }: ChannelLayer,
  channels: Channels,
  centres: Centres,
  moments: ReadonlyMap<ValueId, ChannelMoments>,
): Float64Array | undefined {
  const seen = moments.get(to.value);
  const fused = intAttribute(node, 'fused_activation_function', 0) !== 0;
  if (seen === undefined || role.bias === undefined || fused || seen.min.length !== to.count)
    return undefined;
  const own = middleOf(seen);
  const readers = indexOf(graph).uses.get(to.value) ?? [];
  const sum = readers.length === 1 ? readers[0]?.node : undefined;
  const links = sum && (channels.links.get(sum.id) ?? []);
  if (sum === undefined || links?.length !== 2 || !/^add$/i.test(sum.op)) return own;
  const total = moments.get(links[0]?.to ?? '');
  const other = links.find((link) => link.from !== to.value)?.from;
  if (total === undefined || other === undefined) return own;
  const before = centres.get(other) ?? new Float64Array(to.count);
  const wanted = middleOf(total).map((middle, i) => middle - (before[i] as number));
  const choices = [0, 0.5, 1].map((share) =>
    own.map((middle, i) => middle + share * ((wanted[i] as number) - middle)),
  );
  const spread = (centre: Float64Array) =>
    reachAround(seen, centre) ** 2 +
    reachAround(
      total,
      centre.map((each, i) => each + (before[i] as number)),
    ) **
      2;
  return choices.reduce((best, choice) => (spread(choice) < spread(best) ? choice : best));
}

function middleOf({ min, max }: ChannelMoments): Float64Array {
  return min.map((low, i) => (low + (max[i] as number)) / 2);
}

function reachAround({ min, max }: ChannelMoments, centre: Float64Array): number {
  let reach = 0;
  centre.forEach((middle, i) => {
    reach = Math.max(reach, (max[i] as number) - middle, middle - (min[i] as number));
  });
  return reach;
}

/** What was seen of a value, after the subtraction. */
export function centredMoments(seen: ChannelMoments, centre: Float64Array): ChannelMoments {
  const less = (numbers: Float64Array) => numbers.map((value, i) => value - (centre[i] as number));
  return { ...seen, mean: less(seen.mean), min: less(seen.min), max: less(seen.max) };
}
