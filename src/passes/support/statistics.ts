import type { Graph, Model, NodeId } from '../../ir/model.ts';
import { readFloats } from '../../ir/numbers.ts';
import { indexOf } from '../../ir/walk.ts';
import type { Calibrator, InputMoments, PassContext } from '../pass.ts';
import { readableConstant } from './constants.ts';
import type { DenseLayer } from './denseLayer.ts';
import { biasOf, matrixOf, multiplyLayerOf } from './denseLayer.ts';
import { soleReader } from './graph.ts';
import { changeLayers, groupsOf } from './layerStages.ts';

/** Mean and standard deviation of each output of a layer, its bias included, before any activation. */
interface OutputStatistics {
  readonly mean: Float64Array;
  readonly deviation: Float64Array;
}

/** A layer's output is scaled by no more than this, and no less than its inverse. */
const mostScale = 2;
/** Below this share of the original deviation an output says too little to be scaled. */
const leastDeviation = 1e-3;

interface Corrected<M extends Model> {
  readonly model: M;
  readonly corrected: number;
}

interface StatisticsChoice {
  /** `means` changes biases alone: factors of rows would spoil a palette. */
  readonly what?: 'means' | 'both';
  readonly rowsLeft?: RowsLeft;
}

/** The outputs of a reference layer that the current one still has, in order; `undefined` for all of them. */
type RowsLeft = (id: NodeId) => readonly number[] | undefined;

/**
 * Gives the outputs of every layer at or behind a change the means and variances that they have in the reference, in the
 * order of the graph: y becomes (y - m) s_ref / s + m_ref, folded into weights and bias (the statistics correction of
 * OBC, arXiv 2208.11580, and of REPAIR, arXiv 2211.08403, without batch normalization). Read off the moments of the
 * layers' inputs, so that fused activations do not matter. Layers that can take no bias stay.
 */
export async function withStatistics<M extends Model>(
  reference: M,
  current: M,
  calibrator: Calibrator,
  context: Pick<PassContext, 'step'>,
  { what = 'both', rowsLeft = () => undefined }: StatisticsChoice = {},
): Promise<Corrected<M>> {
  const ids = layersBehindChanges(reference, current);
  const wanted = new Map<NodeId, OutputStatistics>();
  for (const group of groupsOf(reference, ids)) {
    await context.step(0, `means and variances of ${group[0]} as it was`);
    for (const [id, moments] of await calibrator.moments(reference, group))
      wanted.set(id, picked(statisticsOf(reference, layerIn(reference, id), moments), rowsLeft(id)));
  }
  let corrected = 0;
  const model = await changeLayers(
    current,
    [...wanted.keys()],
    calibrator,
    true,
    async (layer, moments, centred) => {
      const { id } = layer.node;
      await context.step(corrected / wanted.size, `means and variances of ${id}`);
      const target = wanted.get(id) as OutputStatistics;
      if (!centred || target.mean.length !== layer.outputs) return undefined;
      corrected += 1;
      const seen = statisticsOf(current, layer, moments);
      const scales = seen.deviation.map((now, o) =>
        what === 'means' ? 1 : scaleFor(target.deviation[o] as number, now),
      );
      const { inputs } = layer;
      const matrix = matrixOf(layer).map((weight, i) => weight * (scales[Math.floor(i / inputs)] as number));
      const offset = offsetOf(current.graphs[0], layer);
      // What the weights give on average is scaled with them; the bias as it is stays beside them.
      const shift = seen.mean.map((now, o) => {
        const own = offset[o] as number;
        return (target.mean[o] as number) - (scales[o] as number) * (now - own) - own;
      });
      return { layer, matrix, shift };
    },
  );
  return { model, corrected };
}

/** For the report. */
export function statisticsNote(
  corrected: number,
  { samples, source }: Calibrator,
  what: 'means' | 'means and variances',
): string {
  return `${what} of ${corrected} layers put back with ${samples} samples of ${source}`;
}

function scaleFor(wanted: number, now: number): number {
  if (!(now > leastDeviation * wanted) || wanted === 0) return 1;
  return Math.min(mostScale, Math.max(1 / mostScale, wanted / now));
}

function statisticsOf(model: Model, layer: DenseLayer, moments: InputMoments): OutputStatistics {
  const { outputs, inputs: d, groups } = layer;
  const matrix = matrixOf(layer);
  const mean = offsetOf(model.graphs[0], layer);
  const deviation = new Float64Array(outputs);
  for (let o = 0; o < outputs; o += 1) {
    const group = Math.floor((o * groups) / outputs);
    const row = matrix.subarray(o * d, (o + 1) * d);
    const seen = moments.mean.subarray(group * d, (group + 1) * d);
    const gram = moments.gram.subarray(group * d * d, (group + 1) * d * d);
    let average = 0;
    let power = 0;
    for (let i = 0; i < d; i += 1) {
      const weight = row[i] as number;
      if (weight === 0) continue;
      average += weight * (seen[i] as number);
      let along = 0;
      for (let j = 0; j < d; j += 1) along += (gram[i * d + j] as number) * (row[j] as number);
      power += weight * along;
    }
    mean[o] = (mean[o] as number) + average;
    deviation[o] = Math.sqrt(Math.max(0, power - average * average));
  }
  return { mean, deviation };
}

function picked(
  { mean, deviation }: OutputStatistics,
  rows: readonly number[] | undefined,
): OutputStatistics {
  if (rows === undefined) return { mean, deviation };
  const pick = (from: Float64Array) => Float64Array.from(rows, (row) => from[row] as number);
  return { mean: pick(mean), deviation: pick(deviation) };
}

/** What is added to each output, by the layer's bias or by the Add behind a MatMul. */
export function offsetOf(graph: Graph, layer: DenseLayer): Float64Array {
  if (layer.node.op !== 'MatMul') return biasOf(graph, layer) ?? new Float64Array(layer.outputs);
  const reader = soleReader(graph, layer.node.outputs[0]);
  const other = reader?.inputs.find((input) => input !== layer.node.outputs[0]);
  const tensor = readableConstant(graph, other);
  return tensor?.dtype === 'float32' && tensor.dims.length === 1 && tensor.dims[0] === layer.outputs
    ? Float64Array.from(readFloats(tensor))
    : new Float64Array(layer.outputs);
}

/** Layers that multiply, are in both models, and read something that has changed or changed themselves. */
function layersBehindChanges(reference: Model, current: Model): readonly NodeId[] {
  const before = indexOf(reference.graphs[0]).node;
  const changed = new Set<string>();
  const found: NodeId[] = [];
  const constantOf = (model: Model, id: string) => model.graphs[0].values.get(id)?.constant;
  for (const node of current.graphs[0].nodes) {
    const was = before.get(node.id);
    const other =
      was === undefined ||
      node.inputs.some(
        (id, i) =>
          id !== was.inputs[i] ||
          (id !== null && (changed.has(id) || constantOf(current, id) !== constantOf(reference, id))),
      );
    if (!other) continue;
    for (const id of node.outputs) if (id !== null) changed.add(id);
    if (was !== undefined && multiplyLayerOf(current, node) !== undefined && multiplyLayerOf(reference, was))
      found.push(node.id);
  }
  return found;
}

function layerIn(model: Model, id: NodeId): DenseLayer {
  return multiplyLayerOf(model, indexOf(model.graphs[0]).node.get(id) as never) as DenseLayer;
}
