import type { Model, Node, ValueId } from '../../ir/model.ts';
import { factsOf } from '../support/facts.ts';
import type { ChannelLayer, Channels } from './channels.ts';
import type { ChannelConstant, Link } from './carried.ts';
import { readFloats } from '../../ir/numbers.ts';
import { readableConstant } from '../support/constants.ts';
import type { Site } from './sites.ts';
import type { TapSizes } from './taps.ts';
import { tapSizesOf } from './taps.ts';

/** How much of the energy of independent noise on one element of a channel arrives at the model's outputs. */
type Importance = ReadonlyMap<ValueId, Float64Array>;

/** A rectifier lets about half of the elements through. */
const passing = 0.5;
const rectifiers = new Set(['Relu', 'Clip', 'RELU', 'RELU6', 'LeakyRelu', 'LEAKY_RELU', 'PRelu', 'PRELU']);
const averages = new Set(['AveragePool', 'GlobalAveragePool', 'ReduceMean', 'AVERAGE_POOL_2D', 'MEAN']);
const sums = new Set(['ReduceSum', 'SUM']);

/**
 * Follows noise energy back from the outputs: squares of weights, summed over the outputs that a channel reaches. Signs
 * count as random. Values behind something that is not understood count with 1, as outputs do.
 */
export function importanceOf(
  model: Model,
  channels: Channels,
  sizesOf: (layer: ChannelLayer) => TapSizes = tapSizesOf,
): Importance {
  const graph = model.graphs[0];
  const facts = factsOf(model);
  const layers = new Map(channels.layers.map((layer) => [layer.node.id, layer]));
  const constants = new Map<string, ChannelConstant>();
  for (const each of channels.constants) if (each.kind === 'mul') constants.set(each.node.id, each);
  const found = new Map<ValueId, Float64Array>();
  const siteEnergy = ({ value, count }: Site): Float64Array => {
    let known = found.get(value);
    if (known === undefined) {
      known = new Float64Array(count);
      found.set(value, known);
    }
    return known;
  };
  const ends = (site: Site): Float64Array => {
    const known = siteEnergy(site);
    return known.every((energy) => energy === 0) ? known.fill(1) : known;
  };
  const positions = ({ value, count }: Site): number => {
    const shape = facts.typeOf(value)?.shape ?? [];
    return shape.reduce<number>((product, dim) => product * (typeof dim === 'number' ? dim : 1), 1) / count;
  };
  for (const node of graph.nodes.toReversed()) {
    const layer = layers.get(node.id);
    if (layer !== undefined) {
      const [into, behind] = [siteEnergy(layer.from), ends(layer.to)];
      const { outputs, inputs, squares, offsetOf } = sizesOf(layer);
      const share = (positions(layer.to) / positions(layer.from)) * activationShare(node);
      for (let output = 0, at = 0; output < outputs; output += 1) {
        const offset = offsetOf(output);
        const weight = (behind[output] as number) * share;
        for (let i = offset; i < offset + inputs; i += 1, at += 1)
          into[i] = (into[i] as number) + (squares[at] as number) * weight;
      }
      continue;
    }
    for (const link of channels.links.get(node.id) ?? []) passBack(link, node);
  }
  return found;

  function passBack({ from, to, channel }: Link, node: Node): void {
    const [source, target] = [channels.sites.all.get(from), channels.sites.all.get(to)];
    if (source === undefined || target === undefined) return;
    const [into, behind] = [siteEnergy(source), ends(target)];
    const fewer = positions(source) / positions(target) / (target.count / source.count);
    let share = (rectifiers.has(node.op) ? passing : 1) * activationShare(node);
    if (averages.has(node.op)) share /= fewer * fewer;
    else if (!sums.has(node.op)) share /= fewer;
    const factor = constants.get(node.id);
    const stored = factor && readableConstant(graph, node.inputs[factor.input]);
    const gains = stored && readFloats(stored);
    const times = Math.max(1, Math.round(target.count / source.count));
    for (let i = 0; i < target.count; i += 1) {
      const gain = gains?.length === target.count ? (gains[i] as number) ** 2 : 1;
      const at = channel(i);
      if (at < 0) continue;
      into[at] = (into[at] as number) + ((behind[i] as number) * gain * share) / times;
    }
  }
}

/** TFLite fuses rectifiers into layers. */
function activationShare(node: Node): number {
  const fused = node.attributes.get('fused_activation_function');
  return fused !== undefined && 'value' in fused && Number(fused.value) > 0 ? passing : 1;
}
