import { analyse } from '../../analysis/analyse.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Model, Node, OnnxModel, ValueId } from '../../ir/model.ts';
import { feedsOf } from '../../ir/model.ts';
import type { Dim } from '../../ir/types.ts';
import { fuse } from '../fuse/fuse.ts';
import { withGelu } from '../fuse/gelu.ts';
import { layout } from '../layout/layout.ts';
import type { Calibrator, ObservedRange, PassContext } from '../pass.ts';
import { quantizeStatic } from '../quantizeStatic/quantizeStatic.ts';
import { simplify } from '../simplify/simplify.ts';
import { ioTypes } from '../surgery/ioTypes.ts';
import { setShape } from '../surgery/setShape.ts';
import { onnxToTflite } from './toTflite/convert.ts';
import { withoutQuantization } from './toTflite/quantized.ts';

export interface Converted {
  readonly model: Model;
  readonly notes: readonly string[];
}

/**
 * An ONNX model as TFLite, float or QDQ: simplified, fused and converted as floats; then the ranges that Q and DQ stated
 * make it an integer model again, by the rules that TFLite has for scales. Throws `KerfError('unsupported')`.
 */
export async function convertOnnx(model: OnnxModel, context: PassContext): Promise<Converted> {
  const bound = await withBatch(model, context);
  const bare = withoutQuantization(bound.model);
  let ready: Model = bare.model;
  for (const pass of [simplify, fuse]) ready = (await pass.run(ready, {}, context)).model;
  const plain = withGelu(ready as OnnxModel);
  const converted = onnxToTflite(plain, analyse(plain), bare.codes);
  const notes = [...bound.notes, ...converted.notes];
  const stated = spread(converted.model, bare.ranges);
  const float = await tidied(converted.model, context);
  if (bare.ranges.size === 0) return { model: float, notes };
  const graph = model.graphs[0];
  const ends = [...feedsOf(graph).map((value) => value.id), ...graph.outputs].map((id) => bare.ends.get(id));
  const coded = ends.every((type) => type !== undefined);
  const quantized = await quantizedAs(float, spread(float, stated), coded ? 'int8' : 'float', context);
  const unsigned = coded && ends.every((type) => type === 'uint8');
  const restored = unsigned
    ? (await ioTypes.run(quantized.model, { input: 'uint8', output: 'uint8' }, context)).model
    : quantized.model;
  const changed = !coded && ends.some((type) => type !== undefined);
  const border = changed ? ['inputs and outputs are floats now, those that were codes too'] : [];
  return { model: restored, notes: [...notes, ...quantized.notes, ...border] };
}

/** TFLite wants sizes: a batch that is free becomes 1. Other free dimensions have to be bound by who knows them. */
async function withBatch(
  model: OnnxModel,
  context: PassContext,
): Promise<Converted & { readonly model: OnnxModel }> {
  const shapes = feedsOf(model.graphs[0]).map(({ type }) =>
    type?.kind === 'tensor' ? (type.shape ?? []) : [],
  );
  const isFree = (dim: Dim | undefined) => typeof dim !== 'number';
  const free =
    shapes.some((shape) => shape.length > 0 && isFree(shape[0])) &&
    !shapes.some((shape) => shape.slice(1).some(isFree));
  if (!free) return { model, notes: [] };
  const bound = await setShape.run(model, { batch: '1' }, context);
  return { model: bound.model as OnnxModel, notes: ['the free batch is 1 now (set-shape changes it)'] };
}

/** Without the transposes and reshapes that only stand between two layouts, activations inside of their layers. */
export async function tidied(model: Model, context: PassContext): Promise<Model> {
  let tidy = model;
  for (const pass of [layout, simplify, ...(model.dialect === 'tflite' ? [fuse] : [])])
    tidy = (await pass.run(tidy, {}, context)).model;
  return tidy;
}

/** Operators whose result holds what they read, and nothing else but zeros. */
const movement = new Set(
  'RESHAPE TRANSPOSE PAD SLICE STRIDED_SLICE SPLIT SPLIT_V GATHER TILE MAX_POOL_2D DEPTH_TO_SPACE SPACE_TO_DEPTH'.split(
    ' ',
  ),
);
/** And those whose result holds all of it, so that its range is theirs. */
const rearranging = new Set(['RESHAPE', 'TRANSPOSE', 'DEPTH_TO_SPACE', 'SPACE_TO_DEPTH']);

/** Ranges also of the values that only moved data away from one that has a range, or towards one. */
function spread(
  model: Model,
  known: ReadonlyMap<ValueId, ObservedRange>,
): ReadonlyMap<ValueId, ObservedRange> {
  const ranges = new Map(known);
  const { nodes } = model.graphs[0];
  const share = (from: ValueId | null | undefined, to: ValueId | null | undefined) => {
    const range = from == null ? undefined : ranges.get(from);
    if (range !== undefined && to != null && !ranges.has(to)) ranges.set(to, range);
  };
  const dataOf = (node: Node) => node.inputs[node.op === 'SPLIT' ? 1 : 0];
  for (const node of nodes.toReversed()) if (rearranging.has(node.op)) share(node.outputs[0], dataOf(node));
  for (const node of nodes)
    if (movement.has(node.op)) for (const output of node.outputs) share(dataOf(node), output);
  return ranges;
}

async function quantizedAs(
  model: Model,
  ranges: ReadonlyMap<ValueId, ObservedRange>,
  io: 'int8' | 'float',
  context: PassContext,
): Promise<Converted> {
  const options = { ranges: 'minmax', rounding: 'nearest', io, target: 'xnnpack', perChannelDense: true };
  const { model: quantized, notes } = await quantizeStatic.run(model, options, {
    ...context,
    calibrator: statedRanges(ranges),
  });
  return { model: quantized, notes };
}

/** What the file says takes the place of what data would show. */
function statedRanges(ranges: ReadonlyMap<ValueId, ObservedRange>): Calibrator {
  const none = async (): Promise<never> => {
    throw new KerfError('internal', 'a conversion has no data');
  };
  return {
    source: 'the scales of the ONNX model',
    samples: 0,
    ranges: async (_model, values) =>
      new Map(values.flatMap((id) => (ranges.has(id) ? [[id, ranges.get(id) as ObservedRange]] : []))),
    histograms: none,
    moments: none,
    crossMoments: none,
    channels: none,
  };
}
