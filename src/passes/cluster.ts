import { GraphEditor } from '../ir/edit.ts';
import type { Model } from '../ir/model.ts';
import { withMainGraph } from '../ir/model.ts';
import { readFloats } from '../ir/numbers.ts';
import type { OptionValues, Pass, PassContext, PassResult } from './pass.ts';
import { stridesOf } from './support/constants.ts';
import type { FloatWeight } from './support/floatWeights.ts';
import { floatRoles, floatWeights, storeWeight, withVisibleWeights } from './support/floatWeights.ts';
import { changedNodes, resultOf } from './support/graph.ts';
import { readOptions } from './support/options.ts';
import { statisticsNote, withStatistics } from './support/statistics.ts';
import { toPalette } from './support/palette.ts';

/** Replaces weights by the entries of small palettes (Han et al. 2016, "Deep Compression", arXiv 1510.00149). */
export const cluster: Pass = {
  id: 'cluster',
  title: 'Cluster weights',
  summary:
    'Lets each weight tensor take a few values only: a much smaller compressed file; stored size and speed stay.',
  dialects: ['onnx', 'tflite'],
  exact: false,
  calibration: 'optional',
  options: [
    {
      name: 'bits',
      title: 'Bits per weight: the palette has 2 to the power of this many entries',
      type: 'integer',
      default: 6,
      min: 2,
      max: 8,
    },
    {
      name: 'channels',
      title: 'Output channels that share a palette; 0 for one palette per tensor',
      type: 'integer',
      default: 0,
      min: 0,
      max: 65536,
    },
    {
      name: 'statistics',
      title: 'Put the mean outputs of the layers back, with sample data',
      type: 'boolean',
      default: true,
    },
  ],
  appliesTo: (node, model) => floatRoles(model, model.graphs[0], node).length > 0,
  run: runCluster,
};

async function runCluster(model: Model, values: OptionValues, context: PassContext): Promise<PassResult> {
  const options = readOptions(cluster.options, values);
  const bits = options.number('bits');
  const start = await withVisibleWeights(model, context);
  const graph = start.graphs[0];
  const weights = floatWeights(start, graph, context.layers);
  if (weights.length === 0) return resultOf(model, model, [], ['there are no float weights to cluster']);
  const editor = new GraphEditor(graph, start);
  let stored = 0;
  let elements = 0;
  let signal = 0;
  let noise = 0;
  for (const [done, weight] of weights.entries()) {
    await context.step(done / weights.length, `clustering ${weight.id}`);
    const floats = readFloats(weight.tensor);
    const before = floats.slice();
    if (!clusterWeight(floats, weight, options.number('channels'), 2 ** bits)) continue;
    for (let i = 0; i < floats.length; i += 1) {
      signal += (before[i] as number) ** 2;
      noise += ((before[i] as number) - (floats[i] as number)) ** 2;
    }
    stored += 1;
    elements += floats.length;
    storeWeight(graph, editor, weight, floats, 'clustered');
  }
  if (stored === 0)
    return resultOf(model, model, [], [`no weight has more than ${2 ** bits} distinct values per palette`]);
  const clustered = editor.finish();
  const quality = (10 * Math.log10(signal / noise)).toFixed(1);
  const notes = [
    `${elements} weights of ${stored} tensors take at most ${2 ** bits} values per palette, ${quality} dB above the rounding`,
    'the stored file is as large as before and smaller only when compressed; no runtime reads palettes, so none is faster',
  ];
  if (start !== model)
    notes.push('simplified first, because weights were hidden behind Transpose or Identity');
  let result = withMainGraph(start, clustered);
  const { calibrator } = context;
  if (calibrator !== undefined && options.boolean('statistics')) {
    const corrected = await withStatistics(start, result, calibrator, context, { what: 'means' });
    result = corrected.model;
    notes.push(statisticsNote(corrected.corrected, calibrator, 'means'));
  }
  return resultOf(model, result, changedNodes(model.graphs[0], result.graphs[0]), notes);
}

/** Clusters a weight as a whole, or each group of neighbouring output channels by itself. */
function clusterWeight(
  floats: Float32Array,
  { tensor, role }: FloatWeight,
  channels: number,
  size: number,
): boolean {
  const all = tensor.dims[role.outputAxis] as number;
  if (channels === 0 || channels >= all) return toPalette(floats, size);
  const inner = stridesOf(tensor.dims)[role.outputAxis] as number;
  let changed = false;
  for (let first = 0; first < all; first += channels) {
    const last = Math.min(first + channels, all);
    const places: number[] = [];
    for (let block = 0; block < floats.length; block += inner * all) {
      for (let at = block + first * inner; at < block + last * inner; at += 1) places.push(at);
    }
    const group = Float32Array.from(places, (at) => floats[at] as number);
    if (!toPalette(group, size)) continue;
    changed = true;
    for (const [i, at] of places.entries()) floats[at] = group[i] as number;
  }
  return changed;
}
