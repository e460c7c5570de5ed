import { intAttribute } from '../ir/attribute.ts';
import { KerfError } from '../ir/errors.ts';
import type { Model, NodeId, OnnxModel, TfliteModel, ValueId } from '../ir/model.ts';
import { decodeNumbers } from '../ir/numbers.ts';
import { indexOf } from '../ir/walk.ts';
import type { InputMoments } from '../passes/pass.ts';
import type { DenseLayer } from '../passes/support/denseLayer.ts';
import { denseLayerOf } from '../passes/support/denseLayer.ts';
import type { HostTensor, Tensors } from '../runtime/runner.ts';
import { withColumnOutputs } from './columnOutputs.ts';
import { chunksOf, exposing } from './exposed.ts';

/** Runs a model on every sample; `part` is the share of the progress that this takes. */
type Run = (
  model: Model,
  part: readonly [number, number],
  visit: (tensors: Tensors, feeds: Tensors) => void,
) => Promise<void>;

/** Longer vectors are left out: their moments alone would take more than 40 MB. */
const longestVector = 2304;
/** Gram matrices that one session of ONNX Runtime gives back together. */
const bytesPerSession = 64 * 2 ** 20;
/** Columns per layer that are summed here, outside of a runtime. */
const columnsWanted = 8192;

/** Moments of the inputs of these layers over all samples, summed in float64; see `Calibrator.moments`. */
export async function observeMoments(
  run: Run,
  model: Model,
  ids: readonly NodeId[],
  samples: number,
): Promise<ReadonlyMap<NodeId, InputMoments>> {
  const { node } = indexOf(model.graphs[0]);
  const layers = ids.flatMap((id) => {
    const found = node.get(id);
    const layer = found && denseLayerOf(model, found);
    return layer !== undefined && layer.inputs <= longestVector ? [layer] : [];
  });
  const sums = new Map(layers.map((layer) => [layer.node.id, emptySum(layer.inputs)]));
  if (model.dialect === 'onnx') await sumOnnx(run, model, layers, sums);
  else await sumTflite(run, model, layers, sums, Math.ceil(columnsWanted / samples));
  const moments = new Map<NodeId, InputMoments>();
  for (const [id, sum] of sums) if (sum.count > 0) moments.set(id, meanOf(sum));
  return moments;
}

interface Sum {
  readonly size: number;
  count: number;
  readonly sum: Float64Array;
  readonly gram: Float64Array;
}

type Sums = ReadonlyMap<NodeId, Sum>;

function emptySum(size: number): Sum {
  return { size, count: 0, sum: new Float64Array(size), gram: new Float64Array(size * size) };
}

function meanOf({ size, count, sum, gram }: Sum): InputMoments {
  return {
    size,
    count,
    mean: sum.map((value) => value / count),
    gram: gram.map((value) => value / count),
  };
}

async function sumOnnx(run: Run, model: OnnxModel, layers: readonly DenseLayer[], sums: Sums): Promise<void> {
  const groups = groupsOf(layers);
  for (const [index, group] of groups.entries()) {
    const observed = withColumnOutputs(model, group);
    await run(observed.model, [index / groups.length, (index + 1) / groups.length], (tensors) => {
      for (const [id, names] of observed.outputs) {
        const into = sums.get(id) as Sum;
        addTo(into.gram, numbersOf(tensors, names.gram));
        addTo(into.sum, numbersOf(tensors, names.sum));
        into.count += numbersOf(tensors, names.shape)[1] as number;
      }
    });
  }
}

function groupsOf(layers: readonly DenseLayer[]): readonly (readonly DenseLayer[])[] {
  const groups: DenseLayer[][] = [];
  let room = 0;
  for (const layer of layers) {
    const bytes = 4 * layer.inputs ** 2;
    if (bytes > room || groups.length === 0) {
      groups.push([]);
      room = bytesPerSession;
    }
    groups.at(-1)?.push(layer);
    room -= bytes;
  }
  return groups;
}

function addTo(into: Float64Array, more: Float64Array): void {
  for (let i = 0; i < into.length; i += 1) into[i] = (into[i] as number) + (more[i] as number);
}

function numbersOf(tensors: Tensors, name: string): Float64Array {
  const tensor = tensors[name];
  if (tensor === undefined) throw new KerfError('internal', `the runtime gave no ${name}`);
  return decodeNumbers(
    tensor.dtype,
    tensor.data,
    tensor.dims.reduce((product, dim) => product * dim, 1),
  );
}

/** Activations of TFLite models leave the runtime whole, so their columns are made here, and fewer of them. */
async function sumTflite(
  run: Run,
  model: TfliteModel,
  layers: readonly DenseLayer[],
  sums: Sums,
  perSample: number,
): Promise<void> {
  const fed = new Set(model.graphs[0].inputs);
  const inner = [...new Set(layers.map((layer) => layer.activation))].filter((id) => !fed.has(id));
  const atInput = layers.filter((layer) => fed.has(layer.activation));
  const chunks: (readonly ValueId[])[] = [...chunksOf(model, inner)];
  if (chunks.length === 0 && atInput.length > 0) chunks.push(model.graphs[0].outputs);
  for (const [index, chunk] of chunks.entries()) {
    const shown = new Set(chunk);
    const here = layers.filter((layer) => !fed.has(layer.activation) && shown.has(layer.activation));
    await run(
      exposing(model, chunk),
      [index / chunks.length, (index + 1) / chunks.length],
      (tensors, feeds) => {
        for (const layer of here) addColumns(sums, layer, tensors, perSample);
        if (index === 0) for (const layer of atInput) addColumns(sums, layer, feeds, perSample);
      },
    );
  }
}

function addColumns(sums: Sums, layer: DenseLayer, tensors: Tensors, perSample: number): void {
  const sum = sums.get(layer.node.id) as Sum;
  const data = numbersOf(tensors, layer.activation);
  const { dims } = tensors[layer.activation] as HostTensor;
  const { positions, read } = layer.kind === 'conv' ? patchReader(layer, dims, data) : rowReader(layer, data);
  const column = new Float64Array(layer.inputs);
  const wanted = Math.min(positions, perSample * (dims[0] ?? 1));
  for (let i = 0; i < wanted; i += 1) {
    // Multiples of the golden ratio spread evenly over the map, whatever the number of samples.
    const at = wanted === positions ? i : Math.floor(((sum.count * 0.6180339887498949) % 1) * positions);
    read(at, column);
    addColumn(sum, column);
  }
}

interface ColumnReader {
  readonly positions: number;
  read(position: number, column: Float64Array): void;
}

function rowReader({ inputs }: DenseLayer, data: Float64Array): ColumnReader {
  return {
    positions: Math.floor(data.length / inputs),
    read: (position, column) => column.set(data.subarray(position * inputs, (position + 1) * inputs)),
  };
}

/** Patches of an NHWC map under a CONV_2D, taps before channels as its filter stores them. */
function patchReader(
  { node, weight }: DenseLayer,
  dims: readonly number[],
  data: Float64Array,
): ColumnReader {
  const [batch = 1, height = 1, width = 1, channels = 1] = dims;
  const [, kernelHeight = 1, kernelWidth = 1] = weight.dims;
  const same = intAttribute(node, 'padding', 0) === 0;
  const rows = slide(
    height,
    kernelHeight,
    intAttribute(node, 'stride_h', 1),
    intAttribute(node, 'dilation_h_factor', 1),
    same,
  );
  const columns = slide(
    width,
    kernelWidth,
    intAttribute(node, 'stride_w', 1),
    intAttribute(node, 'dilation_w_factor', 1),
    same,
  );
  return {
    positions: batch * rows.count * columns.count,
    read(position, column) {
      const image = Math.floor(position / (rows.count * columns.count));
      const top = (Math.floor(position / columns.count) % rows.count) * rows.stride - rows.before;
      const left = (position % columns.count) * columns.stride - columns.before;
      column.fill(0);
      for (let ky = 0; ky < kernelHeight; ky += 1) {
        const y = top + ky * rows.dilation;
        if (y < 0 || y >= height) continue;
        for (let kx = 0; kx < kernelWidth; kx += 1) {
          const x = left + kx * columns.dilation;
          if (x < 0 || x >= width) continue;
          const from = ((image * height + y) * width + x) * channels;
          column.set(data.subarray(from, from + channels), (ky * kernelWidth + kx) * channels);
        }
      }
    },
  };
}

/** One axis of a TFLite window: SAME pads so that the map shrinks by the stride only, the odd element at the end. */
function slide(size: number, kernel: number, stride: number, dilation: number, same: boolean) {
  const reach = (kernel - 1) * dilation + 1;
  const count = same ? Math.ceil(size / stride) : Math.max(0, Math.floor((size - reach) / stride) + 1);
  const before = same ? Math.floor(Math.max(0, (count - 1) * stride + reach - size) / 2) : 0;
  return { count, before, stride, dilation };
}

function addColumn(sum: Sum, column: Float64Array): void {
  const { size, gram } = sum;
  sum.count += 1;
  for (let i = 0; i < size; i += 1) {
    const value = column[i] as number;
    if (value === 0) continue;
    sum.sum[i] = (sum.sum[i] as number) + value;
    const row = i * size;
    for (let j = 0; j < size; j += 1)
      gram[row + j] = (gram[row + j] as number) + value * (column[j] as number);
  }
}
