import { GraphEditor } from '../../ir/edit.ts';
import type { Model, Node, ValueId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { floatTensor, readFloats } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { ChannelMoments } from '../pass.ts';
import { readableConstant, stridesOf } from '../support/constants.ts';
import type { Centres } from './centre.ts';
import type { ChannelLayer, Channels } from './channels.ts';
import type { Site } from './sites.ts';
import { scaledTaps, tapsOf } from './taps.ts';

/** Subtracts the centres: in the biases of the layers that make such values, and in those of the layers that read them. */
export function withCentres<M extends Model>(model: M, channels: Channels, centres: Centres): M {
  const graph = model.graphs[0];
  const editor = new GraphEditor(graph, model);
  for (const layer of channels.layers) {
    const { node, role, from, to, bias, weight } = layer;
    const [before, after] = [centres.get(from.value), centres.get(to.value)];
    if (role.bias === undefined || (before === undefined && after === undefined)) continue;
    const tensor = bias === undefined ? undefined : (readableConstant(graph, bias) as Tensor);
    const shifted = Float64Array.from(tensor ? readFloats(tensor) : new Float64Array(to.count));
    if (before !== undefined) {
      const taps = tapsOf(layer);
      taps.forEachRun((start, end, output, input) => {
        const centre = before[taps.offsetOf(output) + input] as number;
        for (let i = start; i < end; i += 1)
          shifted[output] = (shifted[output] as number) + (taps.values[i] as number) * centre;
      });
    }
    if (after !== undefined) after.forEach((centre, i) => (shifted[i] = (shifted[i] as number) - centre));
    const inputs = [...node.inputs];
    while (inputs.length <= role.bias) inputs.push(null);
    const base = bias ?? `${node.inputs[role.input]}_bias`;
    const dims = tensor?.dims ?? [weight.dims[role.outputAxis] as number];
    inputs[role.bias] = editor.addConstant(`${base}_centred`, floatTensor(dims, Float32Array.from(shifted)));
    editor.replaceNode(node.id, [{ ...node, inputs }]);
  }
  return withMainGraph(model, editor.finish());
}

/**
 * Divides every channel by its divisor: the weights, biases and constants that make it are divided, the weights that
 * read it multiplied. What the model computes stays the same up to rounding.
 */
export function withDivisors<M extends Model>(model: M, channels: Channels, divisors: Float64Array): M {
  const graph = model.graphs[0];
  const editor = new GraphEditor(graph, model);
  const changed = new Map<string, Node>();
  const replace = (node: Node, index: number, tensor: Tensor) => {
    const before = changed.get(node.id) ?? node;
    const inputs = [...before.inputs];
    inputs[index] = editor.addConstant(`${node.inputs[index]}_equalized`, tensor);
    changed.set(node.id, { ...before, inputs });
  };
  const by = (site: Site, channel: number) => divisors[site.first + channel] as number;
  const isPlain = (site: Site | undefined) => {
    for (let i = 0; i < (site?.count ?? 0); i += 1) if (by(site as Site, i) !== 1) return false;
    return true;
  };
  for (const layer of channels.layers) {
    const { node, role, from, to, bias } = layer;
    if (isPlain(from) && isPlain(to)) continue;
    replace(node, role.input, dividedWeight(layer, by));
    if (bias === undefined || role.bias === undefined || isPlain(to)) continue;
    const tensor = readableConstant(graph, bias) as Tensor;
    replace(
      node,
      role.bias,
      scaledAlong(tensor, tensor.dims.length - 1, (i) => 1 / by(to, i)),
    );
  }
  for (const { node, input, kind, axis, from, to } of channels.constants) {
    if (isPlain(to) && isPlain(from)) continue;
    const tensor = readableConstant(graph, node.inputs[input] as ValueId) as Tensor;
    const own = (i: number) => (kind === 'mul' && from !== undefined ? by(from, i) : 1);
    replace(
      node,
      input,
      scaledAlong(tensor, axis, (i) => own(i) / by(to, i)),
    );
  }
  for (const [id, node] of changed) editor.replaceNode(id, [node]);
  return withMainGraph(model, editor.finish());
}

/** What was seen of a value, after the division. */
export function dividedMoments(seen: ChannelMoments, site: Site, divisors: Float64Array): ChannelMoments {
  const scaled = (numbers: Float64Array, power: number) =>
    numbers.map((value, i) => value / (divisors[site.first + i] as number) ** power);
  return {
    count: seen.count,
    mean: scaled(seen.mean, 1),
    variance: scaled(seen.variance, 2),
    min: scaled(seen.min, 1),
    max: scaled(seen.max, 1),
  };
}

function dividedWeight(layer: ChannelLayer, by: (site: Site, channel: number) => number): Tensor {
  const taps = tapsOf(layer);
  const times = Float64Array.from({ length: layer.from.count }, (_, channel) => by(layer.from, channel));
  const over = Float64Array.from({ length: layer.to.count }, (_, channel) => by(layer.to, channel));
  return floatTensor(layer.weight.dims, scaledTaps(taps, times, over));
}

function scaledAlong(tensor: Tensor, axis: number, factor: (channel: number) => number): Tensor {
  const stride = stridesOf(tensor.dims)[axis] as number;
  const size = tensor.dims[axis] as number;
  const scaled = readFloats(tensor).map((value, i) => value * factor(Math.floor(i / stride) % size));
  return floatTensor(tensor.dims, scaled);
}
