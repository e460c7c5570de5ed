import type { Model, NodeId } from '../../ir/model.ts';
import { activationsAlone, weightsAlone } from '../../optimize/sensitivity/apart.ts';
import type { Effort } from '../../optimize/sensitivity/effort.ts';
import { defaultSeed } from '../calibration.ts';
import type { JobContext } from '../context.ts';
import type { Change, LayerChanges } from './change.ts';
import type { Measured } from './measure.ts';
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
  /** See `MeasureJob`. */
  readonly processes?: 1 | 2;
  /** Sees every changed model once. */
  onChange?(id: NodeId, changed: Model): void;
}

/** Work of the whole analysis, calibration included, as a share of one whole inference per layer and sample. */
const mostShare = 0.34;
/** What is spent on all layers alike, before it is known which of them are close to each other. */
const firstShare = 0.12;
/** Between the order found and that on all samples: neighbours may be swapped, no more. */
const wantedCorrelation = 0.99;

/** Undefined with few layers, where the analysis costs little and one swap of neighbours shows. */
function effortFor(layers: number, changes: number, samples: number, calibrated: number): Effort | undefined {
  if (layers < fewLayers) return undefined;
  const naive = changes * samples;
  return { first: firstShare * naive, most: mostShare * naive - calibrated, wanted: wantedCorrelation };
}

/** Every target by itself. */
export function measureOneByOne(
  subject: Subject,
  options: VariantOptions,
  job: JobContext,
): Promise<Measured> {
  const { model, targets } = subject;
  const plan = planOf(model, new Set(targets.map(({ id }) => id)));
  const kinds = options.apart === true && subject.calibrator !== undefined ? 3 : 1;
  const changes = targets.length * kinds;
  const effort =
    options.exact === true
      ? undefined
      : effortFor(targets.length, changes, options.samples, subject.calibrated());
  const seen = new Set<NodeId>();
  const layers = new Map<NodeId, LayerChanges>(
    targets.map(({ id }) => {
      const onChange = (_: NodeId, changed: Model) => {
        if (!seen.has(id)) options.onChange?.(id, changed);
        seen.add(id);
      };
      const make = () => changesOf(subject, id, { ...options, onChange });
      return [id, { id, make }];
    }),
  );
  const settings = settingsOf(options, job);
  return measureChanges({ base: model, plan, layers, kinds, ...(effort && { effort }), ...settings });
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
  const layers = new Map([[id, { id, make }]]);
  return measureChanges({ base: subject.model, plan, layers, kinds: sets.size, ...settingsOf(options, job) });
}

function settingsOf({ data, bind, samples, processes }: VariantOptions, job: JobContext) {
  return {
    ...(processes !== undefined && { processes }),
    data: { seed: defaultSeed, samples, ...(data !== undefined && { data }), ...(bind && { bind }) },
    signal: job.signal,
    progress: (fraction: number, id: string) => job.step(fraction, `measuring ${id}`),
  };
}
