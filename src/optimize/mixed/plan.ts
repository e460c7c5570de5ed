import type { NodeId } from '../../ir/model.ts';
import type { RecipeStep } from '../../passes/pass.ts';
import { noiseOf } from '../sensitivity/curve.ts';
import type { Frontier, FrontierPoint, Option } from './knapsack.ts';
import { frontierOf } from './knapsack.ts';
import type { MixedBudget, MixedLayer, MixedPoint } from './report.ts';

/** The scheme of a layer that stays as it is. */
export const kept = 'float';

/** What the budget counts; an accuracy budget spends bytes. */
function costIn(budget: MixedBudget): (option: MixedLayer['options'][number]) => number | null {
  return budget.kind === 'latency' ? ({ latencyMs }) => latencyMs : ({ bytes }) => bytes;
}

/** All choices worth having. Options of unknown cost are not taken. */
export function mixedFrontier(layers: readonly MixedLayer[], budget: MixedBudget): Frontier {
  const cost = costIn(budget);
  const table = layers.map(({ options }) =>
    options.map((option): Option => {
      const own = cost(option);
      return own === null
        ? { cost: Number.POSITIVE_INFINITY, loss: Number.POSITIVE_INFINITY }
        : { cost: own, loss: noiseOf(option.sqnrDb) };
    }),
  );
  return frontierOf(table);
}

interface Start {
  readonly fileBytes: number;
  readonly latencyMs: number | null;
}

/** A point of the frontier in words that people use. */
export function pointOf(layers: readonly MixedLayer[], point: FrontierPoint, start: Start): MixedPoint {
  const picked = layers.flatMap(({ options }, at) => options[point.picks[at] ?? 0] ?? []);
  const counts: Record<string, number> = {};
  for (const { scheme } of picked) counts[scheme] = (counts[scheme] ?? 0) + 1;
  const latencies = picked.map(({ latencyMs }) => latencyMs);
  const latencyMs = latencies.reduce(
    (sum, each) => (sum === null || each === null ? null : sum + each),
    start.latencyMs,
  );
  return {
    fileBytes: start.fileBytes + picked.reduce((sum, { bytes }) => sum + bytes, 0),
    latencyMs,
    predictedSqnrDb: point.loss === 0 ? null : -10 * Math.log10(point.loss),
    counts,
  };
}

/** Steps that put the picked schemes on their layers; `stepOf` says what a scheme means. */
export function mixedRecipe(
  layers: readonly MixedLayer[],
  picks: readonly number[],
  stepOf: (scheme: string) => RecipeStep,
): readonly RecipeStep[] {
  const byScheme = new Map<string, NodeId[]>();
  for (const [at, { id, options }] of layers.entries()) {
    const scheme = options[picks[at] ?? 0]?.scheme ?? kept;
    if (scheme !== kept) byScheme.set(scheme, [...(byScheme.get(scheme) ?? []), id]);
  }
  // Calibrated steps come last: they refuse models whose activations are quantized already.
  return [...byScheme]
    .map(([scheme, ids]): RecipeStep => ({ ...stepOf(scheme), layers: ids }))
    .sort((a, b) => Number(a.pass === 'quantize-static') - Number(b.pass === 'quantize-static'));
}

/** Some of many points, spread evenly over the frontier, both ends among them. */
export function sampled<T>(points: readonly T[], most: number): readonly T[] {
  if (points.length <= most) return points;
  return Array.from(
    { length: most },
    (_, at) => points[Math.round((at * (points.length - 1)) / (most - 1))] as T,
  );
}
