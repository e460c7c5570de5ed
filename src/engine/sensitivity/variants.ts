import type { Model, NodeId } from '../../ir/model.ts';
import { activationsAlone, weightsAlone } from '../../optimize/sensitivity/apart.ts';
import { sampleShares } from '../../optimize/sensitivity/effort.ts';
import { defaultSeed } from '../calibration.ts';
import type { JobContext } from '../context.ts';
import type { Change, LayerChanges, Measured } from './measure.ts';
import { measureChanges } from './measure.ts';
import { planOf } from './plan.ts';
import type { Subject } from './subject.ts';
import { fewLayers } from './subject.ts';

export interface VariantOptions {
  readonly data?: string;
  readonly bind?: Readonly<Record<string, number>>;
  readonly samples: number;
  readonly exact?: boolean;
  readonly apart?: boolean;
  /** Sees every changed model once. */
  onChange?(id: NodeId, changed: Model): void;
}

/** Work of the whole analysis by default, as a share of one whole inference per layer and sample. */
const allowedShare = 0.34;

/** What is left for single layers beside the runs of the original: one for reference, one for the values at cuts. */
function shareFor(layers: number, samples: number, calibrated: number): number {
  if (layers < fewLayers) return Number.POSITIVE_INFINITY;
  return Math.max(0.1, allowedShare - (2 + calibrated / samples) / layers);
}

/** Every target by itself. */
export function measureOneByOne(
  subject: Subject,
  options: VariantOptions,
  job: JobContext,
): Promise<Measured> {
  const { model, targets } = subject;
  const plan = planOf(model, new Set(targets.map(({ id }) => id)));
  const efforts = targets.map(({ id }) => ({ cost: plan.costOfLayer(id) }));
  const share = shareFor(targets.length, options.samples, subject.calibrated());
  const shares = sampleShares(efforts, options.exact === true ? Number.POSITIVE_INFINITY : share);
  const layers = new Map<NodeId, LayerChanges>(
    targets.map(({ id }, at) => {
      const make = () => changesOf(subject, id, options);
      return [id, { id, share: shares[at] ?? 1, make }];
    }),
  );
  return measureChanges({ base: model, plan, layers, ...settingsOf(options, job) });
}

async function changesOf(
  subject: Subject,
  id: NodeId,
  { apart, onChange }: VariantOptions,
): Promise<readonly Change[]> {
  const model = await subject.change([id]);
  const whole = { key: id, kind: 'all', model };
  onChange?.(id, model);
  if (apart !== true || subject.calibrator === undefined) return [whole];
  const { original: base } = subject.originalOf(model, id);
  const weights = weightsAlone(base, model, id);
  const activations = activationsAlone(base, model, id);
  return [
    whole,
    ...(weights === undefined ? [] : [{ key: `${id} weights`, kind: 'weights', model: weights }]),
    ...(activations === undefined
      ? []
      : [{ key: `${id} activations`, kind: 'activations', model: activations }]),
  ];
}

/** Sets of targets, each changed at once; figures by the key of the set. */
export function measureTogether(
  subject: Subject,
  options: VariantOptions,
  sets: ReadonlyMap<string, readonly NodeId[]>,
  job: JobContext,
): Promise<Measured> {
  const [first] = subject.targets;
  const id = first?.id ?? '';
  const make = async () => {
    const changes: Change[] = [];
    for (const [key, layers] of sets) changes.push({ key, kind: key, model: await subject.change(layers) });
    return changes;
  };
  // A change of many layers is found to reach as far as it does, whichever segment it is started in.
  const plan = planOf(subject.model, new Set([id]));
  const layers = new Map([[id, { id, share: 1, make }]]);
  return measureChanges({ base: subject.model, plan, layers, ...settingsOf(options, job) });
}

function settingsOf({ data, bind, samples }: VariantOptions, job: JobContext) {
  return {
    data: { seed: defaultSeed, samples, ...(data !== undefined && { data }), ...(bind && { bind }) },
    signal: job.signal,
    progress: (fraction: number, id: string) => job.step(fraction, `measuring ${id}`),
  };
}
