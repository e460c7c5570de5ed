import type { NodeId } from '../ir/model.ts';
import { KerfError } from '../ir/errors.ts';
import type { RecipeStep } from '../passes/pass.ts';
import type { SensitivityReport } from './report.ts';

/** One layer that a scheme can be applied to by itself. */
export interface SensitiveLayer {
  readonly id: NodeId;
  readonly name: string;
}

export interface Agreement {
  /** Signal to noise of the outputs against the original's, dB; null when they are identical. */
  readonly sqnrDb: number | null;
  /** Share of samples whose arg-max agrees. */
  readonly agreement: number;
  /** How often a model ran for it, the original included. */
  readonly inferences: number;
}

export interface SensitivityPorts<S> {
  apply(subject: S, step: RecipeStep): Promise<S>;
  /** Compares the outputs of a changed model with those of the original. */
  compare(changed: S): Promise<Agreement>;
  progress(fraction: number, message: string): Promise<void>;
  /** Milliseconds since some fixed moment. */
  now(): number;
}

export interface SensitivityOptions {
  readonly scheme: string;
  readonly data: string;
  /** What one inference of the original takes, seconds; for the reader to judge the cost of the analysis. */
  readonly baselineInferenceSeconds: number;
}

/** What each scheme means as a step; the layer is added to it. */
export function stepOfScheme(scheme: string, data?: string): RecipeStep {
  const calibration = data === undefined ? {} : { data };
  if (scheme === 'int8') return { pass: 'quantize-static', options: { scheme: 'w8a8' }, ...calibration };
  if (scheme === 'int8-weights') return { pass: 'quantize-dynamic' };
  if (scheme === 'int4') return { pass: 'quantize-weights', options: { bits: '4', conv: true, smallest: 0 } };
  if (scheme === 'fp16') return { pass: 'fp16' };
  const pruned = /^prune(\d{1,2})$/.exec(scheme)?.[1];
  if (pruned !== undefined) return { pass: 'prune-magnitude', options: { sparsity: Number(pruned) / 100 } };
  throw new KerfError(
    'bad-option',
    `there is no scheme '${scheme}'; this version knows int8, int8-weights, int4, fp16 and prune followed by percent`,
  );
}

/**
 * Applies a scheme to one layer at a time and compares the outputs with the original's: the layers that hurt most come
 * first. Costs one evaluation per layer. Layers that the pass refuses are named and left out.
 */
export async function sensitivityOf<S>(
  original: S,
  layers: readonly SensitiveLayer[],
  ports: SensitivityPorts<S>,
  options: SensitivityOptions & { readonly step: RecipeStep },
): Promise<SensitivityReport> {
  const start = ports.now();
  const found: SensitivityReport['layers'][number][] = [];
  const notCovered: string[] = [];
  let inferences = 0;
  for (const [index, layer] of layers.entries()) {
    await ports.progress(index / layers.length, `${layer.name} (${index + 1} of ${layers.length})`);
    try {
      const changed = await ports.apply(original, { ...options.step, layers: [layer.id] });
      const { sqnrDb, agreement, inferences: runs } = await ports.compare(changed);
      inferences += runs;
      found.push({ id: layer.id, name: layer.name, sqnrDb, agreement });
    } catch (error) {
      if (KerfError.is(error, 'cancelled')) throw error;
      notCovered.push(`${layer.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return {
    scheme: options.scheme,
    metric: 'signal to noise of the outputs against the original, dB; lower hurts more',
    data: options.data,
    layers: found.sort((a, b) => noise(a.sqnrDb) - noise(b.sqnrDb)),
    inferences,
    seconds: (ports.now() - start) / 1000,
    baselineInferenceSeconds: options.baselineInferenceSeconds,
    notCovered,
  };
}

/** Identical outputs are the least sensitive of all. */
function noise(sqnrDb: number | null): number {
  return sqnrDb ?? Number.POSITIVE_INFINITY;
}
