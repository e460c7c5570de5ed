import { KerfError } from '../../ir/errors.ts';
import type { Model, NodeId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { indexOf } from '../../ir/walk.ts';
import type { Calibrator, CrossMoments, InputMoments, PassContext } from '../pass.ts';
import type { DenseLayer } from './denseLayer.ts';
import { multiplyLayerOf } from './denseLayer.ts';
import type { LayerChange, Target } from './refit.ts';
import { shiftOf, takesShift, targetOf, withWeights } from './refit.ts';
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

export interface RoundedModel<M extends Model> {
  /** In float, with the weights that the codes stand for and the biases that make up for their mean error. */
  readonly model: M;
  /** Layers that could not be observed are absent. */
  readonly rounded: ReadonlyMap<NodeId, RoundedLayer>;
}

/** Moments held at once; more mean another run over the data. */
const bytesAtOnce = 256 * 2 ** 20;

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
  let current = model;
  let done = 0;
  for (const wave of sequential ? wavesOf(model, plans) : [plans]) {
    for (const group of groupsOf(model, wave)) {
      const seen = await observe(model, current, group, calibrator, sequential);
      const changes: LayerChange[] = [];
      for (const plan of group) {
        await context.step(done / plans.length, `rounding the weights of ${plan.id}`);
        done += 1;
        const moments = seen.get(plan.id);
        const layer = layerIn(current, plan.id);
        if (moments === undefined || layer === undefined || !isFinite(moments)) continue;
        const result = roundLayer(layer, moments, plan, takesShift(current.graphs[0], layer));
        rounded.set(plan.id, result.rounded);
        changes.push(result.change);
      }
      current = withWeights(current, changes);
    }
  }
  return { model: current, rounded };
}

function layerIn(model: Model, id: NodeId): DenseLayer | undefined {
  const node = indexOf(model.graphs[0]).node.get(id);
  return node && multiplyLayerOf(model, node);
}

function isFinite({ gram }: InputMoments): boolean {
  return gram.every(Number.isFinite);
}

function observe(
  model: Model,
  current: Model,
  plans: readonly LayerPlan[],
  calibrator: Calibrator,
  sequential: boolean,
): Promise<ReadonlyMap<NodeId, InputMoments | CrossMoments>> {
  const ids = plans.map((plan) => plan.id);
  if (!sequential || current === model) return calibrator.moments(upTo(model, ids), ids);
  return calibrator.crossMoments(
    upTo(model, ids),
    upTo(current, ids),
    ids.map((id) => ({ reference: id, current: id })),
  );
}

/** The model without what comes after these layers: nobody has to compute it. */
function upTo<M extends Model>(model: M, ids: readonly NodeId[]): M {
  const graph = model.graphs[0];
  const wanted = new Set(ids);
  const last = graph.nodes.findLastIndex((node) => wanted.has(node.id));
  return withMainGraph(model, { ...graph, nodes: graph.nodes.slice(0, last + 1) });
}

/** Layers in as many steps as the longest chain of them has. */
function wavesOf(model: Model, plans: readonly LayerPlan[]): readonly (readonly LayerPlan[])[] {
  const graph = model.graphs[0];
  const planned = new Map(plans.map((plan) => [plan.id, plan]));
  const depths = new Map<string, number>();
  const waves: LayerPlan[][] = [];
  for (const node of graph.nodes) {
    let depth = 0;
    for (const input of node.inputs) depth = Math.max(depth, depths.get(input ?? '') ?? 0);
    const plan = planned.get(node.id);
    if (plan !== undefined) {
      (waves[depth] ??= []).push(plan);
      depth += 1;
    }
    for (const output of node.outputs) if (output !== null) depths.set(output, depth);
  }
  return waves.map((wave) => wave ?? []);
}

function groupsOf(model: Model, plans: readonly LayerPlan[]): readonly (readonly LayerPlan[])[] {
  const groups: LayerPlan[][] = [];
  let room = 0;
  for (const plan of plans) {
    const layer = layerIn(model, plan.id);
    const bytes = layer === undefined ? 0 : 8 * layer.groups * layer.inputs ** 2;
    if (bytes > room || groups.length === 0) {
      groups.push([]);
      room = bytesAtOnce;
    }
    groups.at(-1)?.push(plan);
    room -= bytes;
  }
  return groups;
}

/** Rounds one layer; `centred` when its bias can take up a shift. */
export function roundLayer(
  layer: DenseLayer,
  moments: InputMoments | CrossMoments,
  plan: Omit<LayerPlan, 'id'>,
  centred: boolean,
): { rounded: RoundedLayer; change: LayerChange } {
  const target = targetOf(layer, moments, centred);
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
      levels: plan.levels,
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
