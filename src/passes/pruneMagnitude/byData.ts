import type { Model, Node, NodeId } from '../../ir/model.ts';
import { sizeOf } from '../../ir/numbers.ts';
import type { Calibrator, PassContext } from '../pass.ts';
import type { Elimination, SparsePattern } from '../support/brainSurgeon.ts';
import { eliminate, surgeonFor } from '../support/brainSurgeon.ts';
import type { DenseLayer } from '../support/denseLayer.ts';
import { multiplyLayerOf } from '../support/denseLayer.ts';
import { fitRows } from '../support/fitRows.ts';
import { changeLayers, groupsOf } from '../support/layerStages.ts';
import { shiftOf, takesShift, targetOf } from '../support/refit.ts';
import { thresholdOf } from '../support/threshold.ts';
import type { PatternName } from './patterns.ts';
import { nOfM, patternOf } from './patterns.ts';

interface PruneByData {
  readonly sparsity: number;
  readonly pattern: PatternName;
  /** Share of a layer that goes; `undefined` spreads the share over all layers by what it costs. */
  shareOf?(layer: DenseLayer): number;
  readonly sequential: boolean;
}

/** In which order the weights of a layer go. */
interface Trace {
  readonly layer: DenseLayer;
  readonly pattern: SparsePattern;
  readonly rows: readonly Elimination[];
  /** Per row and step, the cost over the variance of the layer's outputs; never falls along a row. */
  readonly relative: readonly Float32Array[];
}

interface PrunedByData<M extends Model> {
  readonly model: M;
  /** Layers that were pruned, with the weights they have and how many of them stay. */
  readonly layers: ReadonlyMap<NodeId, { readonly weights: number; readonly kept: number }>;
}

/**
 * Prunes layers by what the weights do to the outputs on the calibration data, and fits the others by least squares to
 * make up for them: Optimal Brain Surgeon per row, then a fit on what stays, layer after layer where asked.
 */
export async function pruneByData<M extends Model>(
  model: M,
  nodes: readonly Node[],
  options: PruneByData,
  calibrator: Calibrator,
  context: PassContext,
): Promise<PrunedByData<M>> {
  const traces = await tracesOf(model, nodes, options, calibrator, context);
  const masks = masksOf(traces, options);
  const layers = new Map<NodeId, { weights: number; kept: number }>();
  const pruned = await changeLayers(
    model,
    [...masks.keys()],
    calibrator,
    options.sequential,
    async (layer, moments, centred) => {
      await context.step(0.5 + (0.5 * layers.size) / masks.size, `fitting ${layer.node.id}`);
      const keep = masks.get(layer.node.id) as Uint8Array;
      const target = targetOf(layer, moments, centred);
      const matrix = fitRows(layer, target, keep);
      layers.set(layer.node.id, { weights: keep.length, kept: keep.reduce((sum, one) => sum + one, 0) });
      return { layer, matrix, ...(centred && { shift: shiftOf(layer, target, matrix) }) };
    },
  );
  return { model: pruned, layers };
}

async function tracesOf(
  model: Model,
  nodes: readonly Node[],
  options: PruneByData,
  calibrator: Calibrator,
  context: PassContext,
): Promise<Trace[]> {
  const traces: Trace[] = [];
  const chosen = nodes.filter((node) => multiplyLayerOf(model, node) !== undefined);
  for (const group of groupsOf(
    model,
    chosen.map((node) => node.id),
  )) {
    const seen = await calibrator.moments(model, group);
    for (const node of chosen.filter(({ id }) => group.includes(id))) {
      const moments = seen.get(node.id);
      const layer = multiplyLayerOf(model, node);
      const pattern = layer && patternOf(layer, options.pattern, model.dialect === 'onnx');
      if (moments === undefined || layer === undefined || pattern === undefined) continue;
      if (!moments.gram.every(Number.isFinite)) continue;
      await context.step((0.5 * traces.length) / chosen.length, `weighing the weights of ${node.id}`);
      const target = targetOf(layer, moments, takesShift(model.graphs[0], layer));
      traces.push(traceOf(layer, pattern, target.costs, target.weights));
    }
  }
  return traces;
}

function traceOf(
  layer: DenseLayer,
  pattern: SparsePattern,
  costs: readonly Float64Array[],
  weights: Float64Array,
): Trace {
  const { inputs: d, outputs, groups } = layer;
  const rows: Elimination[] = [];
  let size = 0;
  for (let g = 0; g < groups; g += 1) {
    const surgeon = surgeonFor(costs[g] as Float64Array, d);
    for (let o = (g * outputs) / groups; o < ((g + 1) * outputs) / groups; o += 1) {
      const row = weights.subarray(o * d, (o + 1) * d);
      rows.push(eliminate(surgeon, row, pattern));
      size += squareOf(surgeon.h, row);
    }
  }
  const relative = rows.map(({ costs: steps }) => {
    let most = 0;
    return Float32Array.from(steps, (cost) => (most = Math.max(most, size > 0 ? cost / size : 0)));
  });
  return { layer, pattern, rows, relative };
}

function squareOf(h: Float64Array, row: Float64Array): number {
  const d = row.length;
  let total = 0;
  for (let i = 0; i < d; i += 1) {
    let sum = 0;
    for (let j = 0; j < d; j += 1) sum += (h[i * d + j] as number) * (row[j] as number);
    total += sum * (row[i] as number);
  }
  return total;
}

/** Per layer, 1 where a weight stays. */
function masksOf(traces: readonly Trace[], options: PruneByData): ReadonlyMap<NodeId, Uint8Array> {
  const masks = new Map<NodeId, Uint8Array>();
  const all = nOfM(options.pattern) !== undefined;
  const shared =
    all || options.shareOf !== undefined
      ? undefined
      : thresholdOf(
          traces.flatMap((trace) => trace.relative.map((steps) => () => steps)),
          options.sparsity,
        );
  for (const trace of traces) {
    const { layer, pattern, rows, relative } = trace;
    const own =
      shared ??
      (all
        ? undefined
        : thresholdOf(
            relative.map((steps) => () => steps),
            options.shareOf?.(layer) ?? options.sparsity,
          ));
    const keep = new Uint8Array(sizeOf(layer.weight)).fill(1);
    for (const [o, { order }] of rows.entries()) {
      const steps = relative[o] as Float32Array;
      let count = order.length;
      if (own !== undefined) {
        count = 0;
        while (count < steps.length && goes(steps[count] as number, own)) count += 1;
      }
      const gone = new Set(order.subarray(0, count));
      for (let i = 0; i < layer.inputs; i += 1)
        if (gone.has(pattern.unitOf[i] as number)) keep[o * layer.inputs + i] = 0;
    }
    masks.set(layer.node.id, keep);
  }
  return masks;
}

function goes(cost: number, threshold: { readonly magnitude: number; ties: number }): boolean {
  if (cost < threshold.magnitude) return true;
  if (cost !== threshold.magnitude || threshold.ties <= 0) return false;
  threshold.ties -= 1;
  return true;
}
