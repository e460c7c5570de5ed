import { GraphEditor } from '../ir/edit.ts';
import type { Model } from '../ir/model.ts';
import { withMainGraph } from '../ir/model.ts';
import { readFloats, sizeOf } from '../ir/numbers.ts';
import type { Tensor } from '../ir/tensor.ts';
import type { OptionValues, Pass, PassContext, PassResult } from './pass.ts';
import { eagerBytes, stridesOf } from './support/constants.ts';
import type { FloatWeight } from './support/floatWeights.ts';
import { floatRoles, floatWeights, storeTensor, withVisibleWeights } from './support/floatWeights.ts';
import { changedNodes, resultOf } from './support/graph.ts';
import { readOptions } from './support/options.ts';
import { statisticsNote, withStatistics } from './support/statistics.ts';
import type { Palette } from './support/palette.ts';
import { countedPalette, paletteOf, quickSettle, settle } from './support/palette.ts';
import { changedTensor } from './support/pieces.ts';

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
    const { tensor, palettes } = clustered(weight, options.number('channels'), 2 ** bits);
    if (palettes.length === 0) continue;
    for (const palette of palettes) {
      signal += palette.signal;
      noise += palette.noise;
    }
    stored += 1;
    elements += sizeOf(tensor);
    storeTensor(graph, editor, weight, tensor, 'clustered');
  }
  if (stored === 0)
    return resultOf(model, model, [], [`no weight has more than ${2 ** bits} distinct values per palette`]);
  const clusteredGraph = editor.finish();
  const quality = (10 * Math.log10(signal / noise)).toFixed(1);
  const notes = [
    `${elements} weights of ${stored} tensors take at most ${2 ** bits} values per palette, ${quality} dB above the rounding`,
    'the stored file is as large as before and smaller only when compressed; no runtime reads palettes, so none is faster',
  ];
  if (start !== model)
    notes.push('simplified first, because weights were hidden behind Transpose or Identity');
  let result = withMainGraph(start, clusteredGraph);
  const { calibrator } = context;
  if (calibrator !== undefined && options.boolean('statistics')) {
    const corrected = await withStatistics(start, result, calibrator, context, { what: 'means' });
    result = corrected.model;
    notes.push(statisticsNote(corrected.corrected, calibrator, 'means'));
  }
  return resultOf(model, result, changedNodes(model.graphs[0], result.graphs[0]), notes);
}

interface Clustered {
  readonly tensor: Tensor;
  /** Those of the groups that are changed. */
  readonly palettes: readonly Palette[];
}

/** A weight with its elements from one palette, or from one for every so many neighbouring output channels. */
function clustered({ tensor, role }: FloatWeight, channels: number, size: number): Clustered {
  const all = tensor.dims[role.outputAxis] as number;
  if (channels > 0 && channels < all) return clusteredByGroup(tensor, role.outputAxis, channels, size);
  const large = tensor.data.length > eagerBytes;
  const palette = large ? countedPalette(tensor, size) : paletteOf(readFloats(tensor), size);
  if (palette === undefined) return { tensor, palettes: [] };
  const change = large ? quickSettle(palette) : (floats: Float32Array) => settle(palette, floats);
  return { tensor: changedTensor(tensor, change), palettes: [palette] };
}

function clusteredByGroup(tensor: Tensor, axis: number, channels: number, size: number): Clustered {
  const all = tensor.dims[axis] as number;
  const inner = stridesOf(tensor.dims)[axis] as number;
  const floats = readFloats(tensor);
  const palettes = Array.from({ length: Math.ceil(all / channels) }, (_, index) => {
    const first = index * channels * inner;
    const count = Math.min(channels, all - index * channels) * inner;
    const group = new Float32Array((count * floats.length) / (inner * all));
    for (let from = first, to = 0; from < floats.length; from += inner * all, to += count)
      group.set(floats.subarray(from, from + count), to);
    return paletteOf(group, size);
  });
  const change = (part: Float32Array, first: number) => {
    for (let start = 0; start < part.length; ) {
      const row = Math.floor((first + start) / inner);
      const end = Math.min(part.length, (row + 1) * inner - first);
      const palette = palettes[Math.floor((row % all) / channels)];
      if (palette !== undefined) settle(palette, part.subarray(start, end));
      start = end;
    }
  };
  const used = palettes.filter((palette) => palette !== undefined);
  return { tensor: used.length === 0 ? tensor : changedTensor(tensor, change), palettes: used };
}
