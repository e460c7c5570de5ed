import type { Model, NodeId, OnnxModel, TfliteModel, ValueId } from '../../ir/model.ts';
import { indexOf } from '../../ir/walk.ts';
import type { CrossMoments, InputMoments, LayerPair } from '../../passes/pass.ts';
import type { DenseLayer } from '../../passes/support/denseLayer.ts';
import { multiplyLayerOf } from '../../passes/support/denseLayer.ts';
import { factsOf } from '../../passes/support/facts.ts';
import type { HostTensor, Tensors } from '../../runtime/runner.ts';
import type { ColumnNames, Observed } from './columnOutputs.ts';
import { withColumnOutputs } from './columnOutputs.ts';
import { chunksOf, exposing } from './exposed.ts';
import { vectorReader } from './patches.ts';
import type { RunSamples } from './runs.ts';
import { before } from './runs.ts';
import type { Sum } from './sums.ts';
import { addTo, addVectors, crossMomentsOf, emptySum, floatsOf, momentsOf, numbersOf } from './sums.ts';

/** Longer vectors are left out: their moments alone would take more than 40 MB. */
const longestVector = 2304;
/** Gram matrices that one session of ONNX Runtime gives back together. */
const bytesPerSession = 64 * 2 ** 20;
/** Columns per layer that are summed here, outside of a runtime. */
const columnsWanted = 8192;

/** A layer and what is known of its vectors so far. */
export interface Watched {
  readonly layer: DenseLayer;
  readonly reference?: DenseLayer;
  readonly sum: Sum;
}

/** Moments of the inputs of these layers over all samples, summed in float64; see `Calibrator.moments`. */
export async function observeMoments(
  run: RunSamples,
  model: Model,
  ids: readonly NodeId[],
  samples: number,
): Promise<ReadonlyMap<NodeId, InputMoments>> {
  const watched = watchedLayers(model, ids);
  await observe(run, model, model, watched, samples);
  return momentsSeen(watched);
}

/** As `observeMoments`, with the inputs of layers of another model at the same samples; see `Calibrator.crossMoments`. */
export async function observeCrossMoments(
  run: RunSamples,
  reference: Model,
  current: Model,
  pairs: readonly LayerPair[],
  samples: number,
): Promise<ReadonlyMap<NodeId, CrossMoments>> {
  if (reference.dialect !== current.dialect) return new Map();
  const watched = pairs.flatMap((pair) => {
    const [layer] = layersOf(current, [pair.current]);
    const [other] = layersOf(reference, [pair.reference]);
    if (layer === undefined || other === undefined || !sameWindow(layer, other, current.dialect)) return [];
    if (!samePositions(current, layer, reference, other)) return [];
    return [{ layer, reference: other, sum: emptySum(layer.groups, layer.inputs, other.inputs) }];
  });
  await observe(run, current, reference, watched, samples);
  return resultOf(watched, crossMomentsOf);
}

/** Layers whose vectors are short enough, with sums that are still empty. */
export function watchedLayers(model: Model, ids: readonly NodeId[]): readonly Watched[] {
  return layersOf(model, ids).map((layer) => ({ layer, sum: emptySum(layer.groups, layer.inputs) }));
}

function layersOf(model: Model, ids: readonly NodeId[]): readonly DenseLayer[] {
  const { node } = indexOf(model.graphs[0]);
  return ids.flatMap((id) => {
    const found = node.get(id);
    const layer = found && multiplyLayerOf(model, found);
    return layer !== undefined && layer.inputs <= longestVector ? [layer] : [];
  });
}

function sameWindow(a: DenseLayer, b: DenseLayer, dialect: Model['dialect']): boolean {
  const kernel = ({ kind, weight }: DenseLayer) =>
    kind === 'linear' ? [] : dialect === 'onnx' ? weight.dims.slice(2) : weight.dims.slice(1, 3);
  return a.kind === b.kind && a.groups === b.groups && kernel(a).join() === kernel(b).join();
}

/** Whether the layers have as many output positions: the two see the same places of the same samples. */
function samePositions(current: Model, a: DenseLayer, reference: Model, b: DenseLayer): boolean {
  const positions = (model: Model, layer: DenseLayer) => {
    const shape = factsOf(model).typeOf(layer.node.outputs[0])?.shape ?? [];
    const channel = layer.kind === 'conv' && model.dialect === 'onnx' ? 1 : shape.length - 1;
    return shape.filter((dim, axis) => axis !== channel && typeof dim === 'number').join();
  };
  return positions(current, a) === positions(reference, b);
}

export function momentsSeen(watched: readonly Watched[]): ReadonlyMap<NodeId, InputMoments> {
  return resultOf(watched, momentsOf);
}

function resultOf<T>(watched: readonly Watched[], finish: (sum: Sum) => T): ReadonlyMap<NodeId, T> {
  return new Map(watched.flatMap(({ layer, sum }) => (sum.count > 0 ? [[layer.node.id, finish(sum)]] : [])));
}

async function observe(
  run: RunSamples,
  model: Model,
  reference: Model,
  watched: readonly Watched[],
  samples: number,
): Promise<void> {
  if (model.dialect === 'onnx') await sumOnnx(run, model, reference as OnnxModel, watched);
  else {
    const perSample = Math.ceil(columnsWanted / samples);
    await sumTflite(run, model, reference as TfliteModel, watched, perSample);
  }
}

async function sumOnnx(
  run: RunSamples,
  model: OnnxModel,
  reference: OnnxModel,
  watched: readonly Watched[],
): Promise<void> {
  const groups = groupsOf(watched);
  for (const [index, group] of groups.entries()) {
    const shown = shownOf(reference, group);
    const columns = withColumnOutputs(
      model,
      group.map((each) => observedOf(each, reference)),
    );
    const models =
      shown.length === 0
        ? ([columns.model] as const)
        : ([exposing(reference, shown), columns.model] as const);
    await run(models, [index / groups.length, (index + 1) / groups.length], (tensors) => {
      for (const { layer, sum } of group)
        addSums(sum, tensors, columns.outputs.get(layer.node.id) as ColumnNames);
    });
  }
}

/** What the reference has to show: the activations of its layers. Its inputs can be shown as well. */
function shownOf(reference: OnnxModel, group: readonly Watched[]): readonly ValueId[] {
  const fed = new Set(reference.graphs[0].inputs);
  const all = group.flatMap((each) => (each.reference === undefined ? [] : [each.reference.activation]));
  return [...new Set(all)].filter((id) => !fed.has(id));
}

function observedOf({ layer, reference }: Watched, model: OnnxModel): Observed {
  if (reference === undefined) return { layer };
  const fed = model.graphs[0].inputs.includes(reference.activation);
  const input = fed ? reference.activation : before(reference.activation);
  return { layer, reference: { model, layer: reference, input } };
}

export function addSums(sum: Sum, tensors: Tensors, names: ColumnNames): void {
  addTo(sum.gram, floatsOf(tensors, names.gram));
  addTo(sum.sum, floatsOf(tensors, names.sum));
  sum.count += numbersOf(tensors, names.shape)[2] as number;
  if (names.cross === undefined || names.referenceSum === undefined) return;
  addTo(sum.cross, floatsOf(tensors, names.cross));
  addTo(sum.referenceSum, floatsOf(tensors, names.referenceSum));
}

/** As many as one session gives back together. */
export function groupsOf(watched: readonly Watched[]): (readonly Watched[])[] {
  const groups: Watched[][] = [];
  let room = 0;
  for (const each of watched) {
    const bytes = 4 * (each.sum.gram.length + each.sum.cross.length);
    if (bytes > room || groups.length === 0) {
      groups.push([]);
      room = bytesPerSession;
    }
    groups.at(-1)?.push(each);
    room -= bytes;
  }
  return groups;
}

/** Activations of TFLite models leave the runtime whole, so their columns are made here, and fewer of them. */
async function sumTflite(
  run: RunSamples,
  model: TfliteModel,
  reference: TfliteModel,
  watched: readonly Watched[],
  perSample: number,
): Promise<void> {
  const fed = new Set(model.graphs[0].inputs);
  const inner = [...new Set(watched.map(({ layer }) => layer.activation))].filter((id) => !fed.has(id));
  const chunks: (readonly ValueId[])[] = [...chunksOf(model, inner)];
  if (watched.some(({ layer }) => fed.has(layer.activation))) chunks.push([]);
  for (const [index, chunk] of chunks.entries()) {
    const shown = new Set(chunk);
    const here = watched.filter(({ layer }) =>
      chunk.length === 0 ? fed.has(layer.activation) : shown.has(layer.activation),
    );
    const others = [...new Set(here.flatMap((each) => each.reference?.activation ?? []))].filter(
      (id) => !fed.has(id),
    );
    // A model without outputs does not load: when only inputs are asked for, its own outputs stay.
    const current = chunk.length === 0 ? model : exposing(model, chunk);
    const models =
      others.length === 0 ? ([current] as const) : ([exposing(reference, others), current] as const);
    await run(models, [index / chunks.length, (index + 1) / chunks.length], (tensors, feeds) => {
      for (const each of here) addColumns(each, tensors, feeds, perSample);
    });
  }
}

function addColumns(
  { layer, reference, sum }: Watched,
  tensors: Tensors,
  feeds: Tensors,
  perSample: number,
): void {
  const find = (id: ValueId, name: string): HostTensor =>
    (tensors[name] ?? feeds[name] ?? feeds[id]) as HostTensor;
  const read = (of: DenseLayer, name: string) => {
    const tensor = find(of.activation, name);
    return { dims: tensor.dims, ...vectorReader(of, tensor.dims, numbersOf({ name: tensor }, 'name')) };
  };
  const here = read(layer, layer.activation);
  const there = reference && read(reference, before(reference.activation));
  const vectors = new Float64Array(sum.sum.length);
  const others = new Float64Array(sum.referenceSum.length);
  const wanted = Math.min(here.positions, perSample * (here.dims[0] ?? 1));
  for (let i = 0; i < wanted; i += 1) {
    // Multiples of the golden ratio spread evenly over the map, whatever the number of samples.
    const at =
      wanted === here.positions ? i : Math.floor(((sum.count * 0.6180339887498949) % 1) * here.positions);
    here.read(at, vectors);
    there?.read(at, others);
    addVectors(sum, vectors, others);
  }
}
