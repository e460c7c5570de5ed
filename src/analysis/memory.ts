import type { Model } from '../ir/model.ts';
import type { ArenaProblem, ArenaSolution } from './arenaProblem.ts';
import { liveBytes, planArena } from './arena.ts';
import type { Block } from './lifetimes.ts';
import { layOut } from './lifetimes.ts';
import { offlineOffsets, planOffline } from './offline.ts';
import { executionOrder } from './order.ts';
import type { MemoryPlan } from './report.ts';
import type { Scope } from './scope.ts';

/**
 * The arena for the activations of the main graph in its execution order: inputs, outputs, intermediate values and the
 * working memory of nested bodies. Constants and what follows from them alone stay outside. Offsets are in bytes
 * without alignment. A TFLite file that carries its own plan (OfflineMemoryAllocation) is taken at its word.
 * `undefined` when a size is unknown or the graph has a cycle.
 */
export function planMemory(scope: Scope, model: Model): MemoryPlan | undefined {
  const { nodes, cyclic } = executionOrder(scope.graph);
  if (cyclic.length > 0) return undefined;
  const fixed = offlineOffsets(model);
  const blocks = layOut(scope, model, nodes, {
    inner: false,
    sharing: fixed === undefined,
    bodyPeak: (body) => bodyPeak(body, model),
  });
  if (blocks === undefined) return undefined;
  const problem = problemOf(blocks, nodes.length);
  if (fixed !== undefined) return reportOf(blocks, planOffline(problem, blocks, fixed));
  const live = liveBytes(problem);
  return reportOf(blocks, { live, solution: planArena(problem, mostOf(live)) });
}

export function problemOf(blocks: readonly Block[], steps: number): ArenaProblem {
  return {
    bytes: blocks.map((block) => block.bytes),
    first: blocks.map((block) => block.first),
    last: blocks.map((block) => block.last),
    steps: Math.max(1, steps),
  };
}

function mostOf(live: Float64Array): number {
  return live.reduce((most, bytes) => Math.max(most, bytes), 0);
}

function reportOf(
  blocks: readonly Block[],
  { live, solution }: { readonly live: Float64Array; readonly solution: ArenaSolution },
): MemoryPlan {
  return {
    peakBytes: solution.peak,
    lowerBoundBytes: mostOf(live),
    live,
    blocks: blocks.map(({ value, bytes, first, last }, index) => ({
      value,
      offset: solution.offsets[index] as number,
      bytes,
      first,
      last,
    })),
  };
}

const bodyPeaks = new WeakMap<Scope, { readonly peak: number | undefined }>();

/** Peak of one run of a body without its outputs, planned once however many nodes share it. */
function bodyPeak(body: Scope, model: Model): number | undefined {
  let found = bodyPeaks.get(body);
  if (found === undefined) {
    found = { peak: planBody(body, model) };
    bodyPeaks.set(body, found);
  }
  return found.peak;
}

function planBody(body: Scope, model: Model): number | undefined {
  const { nodes, cyclic } = executionOrder(body.graph);
  if (cyclic.length > 0) return undefined;
  const blocks = layOut(body, model, nodes, {
    inner: true,
    sharing: true,
    bodyPeak: (inner) => bodyPeak(inner, model),
  });
  if (blocks === undefined) return undefined;
  const problem = problemOf(blocks, nodes.length);
  return planArena(problem, mostOf(liveBytes(problem))).peak;
}
