import { KerfError } from '../../ir/errors.ts';
import type { Model, NodeId } from '../../ir/model.ts';
import type { Calibrator, CrossMoments, InputMoments, PassContext } from '../pass.ts';
import type { DenseLayer } from './denseLayer.ts';
import { matrixOf } from './denseLayer.ts';
import { fitRows } from './fitRows.ts';
import type { Change } from './layerStages.ts';
import { changeLayers } from './layerStages.ts';
import type { LayerChange, Target } from './refit.ts';
import { shiftOf, targetOf } from './refit.ts';
import type { RoundedRows } from './rounding.ts';
import { roundRows } from './rounding.ts';
import type { Levels } from './roundingRow.ts';
import { costOf } from './roundingRow.ts';

/** How the weights of one layer may be stored. */
export interface LayerPlan {
  readonly id: NodeId;
  readonly levels: readonly Levels[];
  /** Inputs that share a scale; 0 for one scale per output. */
  readonly block: number;
  readonly oneScale?: boolean;
  /** Lower bounds of the scales, one per output. */
  readonly leastScales?: ArrayLike<number>;
  /** Whether a bias makes up for the mean error, where it can. */
  readonly biasCorrection: boolean;
}

/** Codes and scales of a layer, rows in the order of its outputs. */
export interface RoundedLayer {
  readonly layer: DenseLayer;
  /** `outputs` x `inputs`. */
  readonly codes: Int8Array;
  /** `outputs` x blocks, or one. */
  readonly scales: Float32Array;
  /** Share of the variance of the layer's outputs that the rounding costs, on the calibration data. */
  readonly loss: number;
}

interface RoundedModel<M extends Model> {
  /** In float, with the weights that the codes stand for and the biases that make up for their mean error. */
  readonly model: M;
  /** Layers that could not be observed are absent. */
  readonly rounded: ReadonlyMap<NodeId, RoundedLayer>;
}

/**
 * Rounds the weights of layers by what the calibration data say of their inputs. Sequentially, each layer is first
 * fitted to what the layers before it have become, and rounded for those inputs: one run over the data per depth.
 */
export async function roundLayers<M extends Model>(
  model: M,
  plans: readonly LayerPlan[],
  calibrator: Calibrator,
  sequential: boolean,
  context: Pick<PassContext, 'step'>,
): Promise<RoundedModel<M>> {
  const rounded = new Map<NodeId, RoundedLayer>();
  const planned = new Map(plans.map((plan) => [plan.id, plan]));
  const change: Change = async (layer, moments, centred) => {
    const { id } = layer.node;
    await context.step(rounded.size / plans.length, `rounding the weights of ${id}`);
    const plan = planned.get(id) as LayerPlan;
    const result = roundLayer(layer, moments, plan, centred && plan.biasCorrection);
    rounded.set(id, result.rounded);
    return result.change;
  };
  return { model: await changeLayers(model, [...planned.keys()], calibrator, sequential, change), rounded };
}

/** Rounds one layer; `centred` when its bias can take up a shift. */
export function roundLayer(
  layer: DenseLayer,
  moments: InputMoments | CrossMoments,
  plan: Omit<LayerPlan, 'id' | 'biasCorrection'>,
  centred: boolean,
): { rounded: RoundedLayer; change: LayerChange } {
  const whole = targetOf(layer, moments, centred);
  const keep = keptOf(layer);
  const target = keep === undefined ? whole : { ...whole, weights: fitRows(layer, whole, keep) };
  const { outputs, inputs, groups } = layer;
  if (plan.oneScale === true && groups > 1)
    throw new KerfError('unsupported', 'one scale for all groups of a convolution');
  const rows = outputs / groups;
  const codes = new Int8Array(outputs * inputs);
  const scales: Float32Array[] = [];
  for (let g = 0; g < groups; g += 1) {
    const from = g * rows * inputs;
    const part = roundRows(costOf(target.costs[g] as Float64Array, inputs), {
      rows,
      weights: target.weights.subarray(from, from + rows * inputs),
      keep: keep?.subarray(from, from + rows * inputs),
      levels: keep === undefined ? plan.levels : withZero(plan.levels),
      block: plan.block,
      oneScale: plan.oneScale === true,
      leastScales: plan.leastScales && Array.from(plan.leastScales).slice(g * rows, (g + 1) * rows),
    });
    codes.set(part.codes, from);
    scales.push(part.scales);
  }
  const all = Float32Array.from(scales.flatMap((part) => [...part]));
  const matrix = decoded(codes, all, outputs, plan.block);
  const loss = lossOf(layer, target, matrix);
  const shift = centred ? shiftOf(layer, target, matrix) : undefined;
  return {
    rounded: { layer, codes, scales: plan.oneScale === true ? all.slice(0, 1) : all, loss },
    change: { layer, matrix, ...(shift && { shift }) },
  };
}

/** Share of zeros from which a weight counts as pruned. */
const prunedShare = 0.2;

/** 0 where a pruned layer has its zeros, which are to stay; `undefined` for other layers. */
function keptOf(layer: DenseLayer): Uint8Array | undefined {
  const keep = Uint8Array.from(matrixOf(layer), (weight) => (weight === 0 ? 0 : 1));
  const kept = keep.reduce((sum, one) => sum + one, 0);
  return kept <= (1 - prunedShare) * keep.length ? keep : undefined;
}

function withZero(sets: readonly Levels[]): readonly Levels[] {
  const found = sets.filter(({ low, step }) => low % step === 0);
  return found.length === 0 ? sets : found;
}

/** The numbers that codes stand for. */
export function decoded(
  codes: Int8Array,
  scales: RoundedRows['scales'],
  rows: number,
  block: number,
): Float64Array {
  const size = codes.length / rows;
  const blocks = scales.length / rows;
  return Float64Array.from(codes, (code, i) => {
    const at = block === 0 ? 0 : Math.floor((i % size) / block);
    return code * (scales[Math.floor(i / size) * blocks + at] as number);
  });
}

/** Squared error over squared size of the outputs, both about their means when the costs are covariances. */
function lossOf({ outputs, inputs, groups }: DenseLayer, target: Target, matrix: Float64Array): number {
  const rows = outputs / groups;
  let lost = 0;
  let all = 0;
  for (let o = 0; o < outputs; o += 1) {
    const h = target.costs[Math.floor(o / rows)] as Float64Array;
    const wanted = target.weights.subarray(o * inputs, (o + 1) * inputs);
    lost += quadratic(
      h,
      wanted.map((value, i) => value - (matrix[o * inputs + i] as number)),
    );
    all += quadratic(h, wanted);
  }
  return all > 0 ? lost / all : 0;
}

function quadratic(h: Float64Array, v: Float64Array): number {
  let total = 0;
  for (let i = 0; i < v.length; i += 1) {
    const value = v[i] as number;
    if (value === 0) continue;
    let sum = 0;
    for (let j = 0; j < v.length; j += 1) sum += (h[i * v.length + j] as number) * (v[j] as number);
    total += value * sum;
  }
  return total;
}
