import { KerfError } from '../../ir/errors.ts';
import type { Model, Node, NodeId } from '../../ir/model.ts';
import type { Calibrator, Pass, PassContext, RecipeStep } from '../../passes/pass.ts';
import { nearestOriginal } from '../../optimize/sensitivity/proxy.ts';
import { prepared } from '../../passes/support/prepare.ts';
import { opsetOf } from '../../passes/support/graph.ts';
import { blockedOpset, raisedOpset, raiseOpset } from '../../passes/support/opset.ts';
import { startRunner } from '../../runtime/process/launch.ts';
import { defaultSeed } from '../calibration.ts';
import { createCalibrator } from '../calibrator.ts';
import type { JobContext } from '../context.ts';
import { quietly } from '../context.ts';
import { completeOptions, findPass } from '../steps.ts';
import { memoCalibrator } from './memo.ts';

/** A model and a step that can be applied to any of its layers alone. */
export interface Subject {
  /** The original, under the opset that the step needs. */
  readonly model: Model;
  readonly pass: Pass;
  readonly targets: readonly Node[];
  /** The original a changed layer's weights are to be compared with: as it is, or with its normalizations folded. */
  originalOf(changed: Model, id: NodeId): ReturnType<typeof nearestOriginal>;
  /** The model with these layers changed. Throws `KerfError` where the pass refuses. */
  change(layers: readonly NodeId[]): Promise<Model>;
  /** What the step calibrates with; absent when it needs no data. */
  readonly calibrator?: Calibrator;
  /** Samples that were run for calibration so far. */
  calibrated(): number;
}

export interface SubjectOptions {
  /** Samples of the analysis. */
  readonly samples: number;
  readonly bind?: Readonly<Record<string, number>>;
}

/** As many as a pass by itself takes, so that the ranges are those that it would choose. */
const mostCalibration = 512;
/** With fewer layers the analysis costs little anyhow. */
export const fewLayers = 40;

/** Samples that ranges are observed on; for many layers a tenth of the naive work at most. Made-up ones as by default. */
function calibrationFor(layers: number, samples: number, data: string | undefined): { samples?: number } {
  if (data === undefined) return {};
  if (layers < fewLayers) return { samples: mostCalibration };
  return { samples: Math.min(mostCalibration, Math.max(64, Math.round(0.1 * layers * samples))) };
}

/** Prepares a step for layer after layer: the data is run once for all. Throws `KerfError('unsupported')`. */
export async function subjectOf(
  original: Model,
  step: RecipeStep,
  { samples, bind }: SubjectOptions,
  job: JobContext,
): Promise<Subject> {
  const pass = findPass(step.pass);
  const options = completeOptions(pass, step.options ?? {});
  if (!pass.dialects.includes(original.dialect)) {
    const reason = pass.refusal ?? `${pass.id} does not work on ${original.dialect} models`;
    throw new KerfError('unsupported', reason);
  }
  const chosen = step.layers === undefined ? undefined : new Set(step.layers);
  const targets = original.graphs[0].nodes.filter(
    (node) => pass.appliesTo?.(node, original) === true && chosen?.has(node.id) !== false,
  );
  if (targets.length === 0)
    throw new KerfError('unsupported', `there is no layer that ${pass.id} can change alone`);
  const seed = step.seed ?? defaultSeed;
  let runs = 0;
  const { data } = step;
  const real =
    pass.calibration === 'none' || (pass.calibration === 'optional' && data === undefined)
      ? undefined
      : createCalibrator(startRunner, original, {
          seed,
          ...calibrationFor(targets.length, samples, data),
          signal: job.signal,
          ...(data !== undefined && { data }),
          ...(bind !== undefined && { bind }),
        });
  const memo = real && memoCalibrator(real, () => (runs += 1));
  const calibrator = memo?.calibrator;
  const run = async (model: Model, layers: readonly NodeId[]) => {
    const context: PassContext = {
      seed,
      layers: new Set(layers),
      step: quietly(job).step,
      ...(calibrator && { calibrator }),
    };
    return (await pass.run(model, options, context)).model;
  };
  const all = targets.map(({ id }) => id);
  const first = await run(original, calibrator === undefined ? all.slice(0, 1) : all);
  // What the pass makes of the graph before it changes any layer is done once, and is the same for all.
  const model = memo?.first() ?? underOpsetOf(original, first);
  const plain: PassContext = { seed, layers: new Set(all), step: quietly(job).step };
  const folded = (await prepared(model, plain)).model;
  return {
    model,
    pass,
    targets,
    originalOf: (changed, id) => nearestOriginal(model, folded, changed, id),
    change: (layers) => run(model, layers),
    ...(calibrator && { calibrator }),
    calibrated: () => runs * (real?.samples ?? 0),
  };
}

/** The original under the opset of a changed model, so that the two differ in the change alone. */
function underOpsetOf(original: Model, changed: Model): Model {
  if (original.dialect !== 'onnx' || changed.dialect !== 'onnx') return original;
  const wanted = opsetOf(changed);
  if (opsetOf(original) === wanted) return original;
  const raised = raiseOpset(original, wanted > raisedOpset ? blockedOpset : raisedOpset);
  return 'model' in raised ? raised.model : original;
}
