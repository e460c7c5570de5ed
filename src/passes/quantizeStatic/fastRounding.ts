import type { Model, Node, NodeId } from '../../ir/model.ts';
import { indexOf } from '../../ir/walk.ts';
import type { Calibrator, InputMoments, PassContext } from '../pass.ts';
import type { DenseLayer } from '../support/denseLayer.ts';
import { matrixOf, multiplyLayerOf } from '../support/denseLayer.ts';
import { lanes } from '../support/lanes.ts';
import type { LayerChange } from '../support/refit.ts';
import { takesShift, withWeights } from '../support/refit.ts';
import { errorFactor } from './errorFactor.ts';
import { roundedRows } from './panelRows.ts';
import { affordable } from './roundingBudget.ts';

/** Weights of layers with longer vectors are rounded to nearest, however many samples there are. */
const longestVector = 1152;
/** Enough samples for the moments of layers with at most that many inputs. */
export const fewSamples = 32;
/** Moments held at once. */
const bytesAtOnce = 256 * 2 ** 20;

interface FastRounding<M extends Model> {
  readonly model: M;
  readonly scales: ReadonlyMap<NodeId, Float32Array>;
}

/**
 * Rounds the weights of layers on the Gram matrix of their inputs with the scales of plain rounding: at 8 bits the
 * search for scales gains next to nothing, and the order in which errors are made up for gains nearly all. Biases take
 * up what is left in the mean. Layers that would cost too much, beside the calibration itself, stay as they are.
 */
export async function roundedFast<M extends Model>(
  model: M,
  nodes: readonly Node[],
  top: number,
  perChannel: (node: Node) => boolean,
  context: Pick<PassContext, 'step'> & { readonly calibrator: Calibrator; readonly biasCorrection: boolean },
): Promise<FastRounding<M>> {
  const layers = fastLayers(model, nodes, context.calibrator.samples);
  const scales = new Map<NodeId, Float32Array>();
  const changes: LayerChange[] = [];
  for (const group of groupsOf(layers)) {
    await context.step(changes.length / layers.length, 'rounding weights');
    const ids = group.map((layer) => layer.node.id);
    const seen = await context.calibrator.moments(model, ids, fewSamples);
    for (const layer of group) {
      const moments = seen.get(layer.node.id);
      if (moments === undefined || !isFinite(moments.gram)) continue;
      await context.step(changes.length / layers.length, `rounding the weights of ${layer.node.id}`);
      const centred = context.biasCorrection && takesShift(model.graphs[0], layer);
      const { change, stored } = roundedLayer(layer, moments, top, perChannel(layer.node), centred);
      scales.set(layer.node.id, stored);
      changes.push(change);
    }
  }
  return { model: withWeights(model, changes), scales };
}

/** The layers whose weights it rounds, after a calibration with so many samples. */
function fastLayers(model: Model, nodes: readonly Node[], samples: number): readonly DenseLayer[] {
  const { uses } = indexOf(model.graphs[0]);
  const layers = nodes.flatMap((node) => multiplyLayerOf(model, node) ?? []);
  const paid = new Set(affordable(model, layers, samples));
  const isAlone = ({ weightId }: DenseLayer) => uses.get(weightId)?.length === 1;
  return layers.filter((layer) => paid.has(layer) && isAlone(layer) && layer.inputs <= longestVector);
}

/** The first of them: as many as have moments that are held at once. */
export function surveyedLayers(model: Model, nodes: readonly Node[], samples: number): readonly NodeId[] {
  return (groupsOf(fastLayers(model, nodes, samples))[0] ?? []).map((layer) => layer.node.id);
}

function groupsOf(layers: readonly DenseLayer[]): readonly (readonly DenseLayer[])[] {
  const groups: DenseLayer[][] = [];
  let room = 0;
  for (const layer of layers) {
    const bytes = 8 * layer.groups * layer.inputs ** 2;
    if (bytes > room || groups.length === 0) {
      groups.push([]);
      room = bytesAtOnce;
    }
    groups.at(-1)?.push(layer);
    room -= bytes;
  }
  return groups;
}

/** Codes of one layer as the floats they stand for, with their scales. */
function roundedLayer(
  layer: DenseLayer,
  moments: InputMoments,
  top: number,
  perChannel: boolean,
  centred: boolean,
): { readonly change: LayerChange; readonly stored: Float32Array } {
  const { outputs, inputs, groups } = layer;
  const weights = matrixOf(layer);
  const stored = scalesOf(weights, perChannel ? outputs : 1, top);
  const scales = perChannel ? stored : new Float32Array(outputs).fill(stored[0] as number);
  const matrix = new Float64Array(outputs * inputs);
  const shift = new Float64Array(outputs);
  const rows = outputs / groups;
  for (let group = 0; group < groups; group += 1) {
    const mean = moments.mean.subarray(group * inputs, (group + 1) * inputs);
    const gram = moments.gram.subarray(group * inputs ** 2, (group + 1) * inputs ** 2);
    const factor = errorFactor({ size: inputs, count: moments.count, gram, ...(centred && { mean }) });
    const end = (group + 1) * rows;
    for (let row = group * rows; row < end; row += lanes) {
      const last = Math.min(row + lanes, end);
      const part = weights.subarray(row * inputs, last * inputs);
      matrix.set(roundedRows(factor, part, scales.subarray(row, last), top), row * inputs);
    }
    for (let row = group * rows; row < end; row += 1) shift[row] = meanError(row, weights, matrix, mean);
  }
  return { change: { layer, matrix, ...(centred && { shift }) }, stored };
}

function isFinite(numbers: Float64Array): boolean {
  for (let i = 0; i < numbers.length; i += 1) if (!Number.isFinite(numbers[i])) return false;
  return true;
}

/** What the output of a row loses in the mean. */
function meanError(row: number, weights: Float64Array, matrix: Float64Array, mean: Float64Array): number {
  let sum = 0;
  for (let i = 0, at = row * mean.length; i < mean.length; i += 1, at += 1)
    sum += ((weights[at] as number) - (matrix[at] as number)) * (mean[i] as number);
  return sum;
}

/** The largest magnitude of each row over the largest code. */
function scalesOf(weights: Float64Array, rows: number, top: number): Float32Array {
  const size = weights.length / rows;
  return Float32Array.from({ length: rows }, (_, row) => {
    let largest = 0;
    for (let i = row * size; i < (row + 1) * size; i += 1)
      largest = Math.max(largest, Math.abs(weights[i] as number));
    const scale = Math.fround(largest / top);
    return scale > 1.2e-38 ? scale : 1;
  });
}
