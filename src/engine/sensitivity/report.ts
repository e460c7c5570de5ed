import { KerfError } from '../../ir/errors.ts';
import type { NodeId } from '../../ir/model.ts';
import { analyse } from '../../analysis/analyse.ts';
import type { LayerSensitivity, SensitivityReport } from '../../optimize/report.ts';
import { randomSamplesFor } from '../../optimize/samples.ts';
import { bySensitivity, cumulativeCurve } from '../../optimize/sensitivity/curve.ts';
import { sampleShares } from '../../optimize/sensitivity/effort.ts';
import { stepOfScheme } from '../../optimize/sensitivity/schemes.ts';
import type { RecipeStep } from '../../passes/pass.ts';
import { quickLatency } from '../../runtime/latency.ts';
import { startRunner } from '../../runtime/launch.ts';
import { defaultSeed } from '../calibration.ts';
import type { JobContext } from '../context.ts';
import { partOf } from '../context.ts';
import type { Held, ModelStore } from '../store.ts';
import type { LayerChanges, Measured } from './measure.ts';
import { measureChanges } from './measure.ts';
import { planOf } from './plan.ts';
import type { Subject } from './subject.ts';
import { subjectOf } from './subject.ts';

export interface SensitivityRequest {
  readonly scheme: string;
  /** Instead of what the scheme stands for. */
  readonly step?: RecipeStep;
  readonly data?: string;
  readonly bind?: Readonly<Record<string, number>>;
  readonly samples?: number;
  /** Every layer on every sample, whatever it costs. */
  readonly exact?: boolean;
}

/** Work of the measurement by default, as a share of one whole inference per layer and sample. */
const defaultShare = 0.3;
/** More samples say little that is new about ranges. */
const calibrationSamples = 128;

/** Measures every layer under a scheme; see `docs/sensitivity.md`. */
export async function sensitivityReport(
  store: ModelStore,
  held: Held,
  request: SensitivityRequest,
  job: JobContext,
): Promise<SensitivityReport> {
  const start = performance.now();
  const { data, bind } = request;
  const step = request.step ?? stepOfScheme(request.scheme, held.model.dialect, data);
  const wanted = request.samples ?? randomSamplesFor(analyse(held.model, bind && { bind }).totals.macs);
  await job.step(0, 'calibrating');
  const settings = { samples: Math.min(wanted, calibrationSamples), ...(bind && { bind }) };
  const subject = await subjectOf(held.model, step, settings, job);
  const measured = await measureSubject(subject, { ...request, samples: wanted }, partOf(job, 0.1, 0.95));
  const seconds = (performance.now() - start) / 1000;
  const layers = layersOf(subject, measured);
  if (layers.length === 0) throw nothingMeasured(measured, held.path);
  const latency = await quickLatency(startRunner, await store.fileOf(held), {
    ...(data !== undefined && { data }),
    signal: job.signal,
  });
  return {
    scheme: request.scheme,
    step,
    method: 'measured',
    metric: 'signal to noise of the outputs against the original, dB; lower hurts more',
    data: data ?? 'seeded random inputs',
    layers,
    cumulative: cumulativeCurve(layers),
    samples: measured.samples,
    ...(measured.top1 !== undefined && { top1: measured.top1 }),
    inferences: measured.inferences + subject.calibrated(),
    naiveInferences: layers.length * measured.samples,
    seconds,
    baselineInferenceSeconds: latency.medianMs / 1000,
    notCovered: [...measured.refused].map(([id, reason]) => `${id}: ${reason}`),
  };
}

export async function measureSubject(
  subject: Subject,
  request: SensitivityRequest & { readonly samples: number },
  job: JobContext,
): Promise<Measured> {
  const { model, targets } = subject;
  const plan = planOf(model, new Set(targets.map(({ id }) => id)));
  const efforts = targets.map(({ id }) => ({ cost: plan.costOfLayer(id) }));
  const shares = sampleShares(efforts, request.exact === true ? Number.POSITIVE_INFINITY : defaultShare);
  const layers = new Map<NodeId, LayerChanges>(
    targets.map(({ id }, at) => {
      const make = async () => [{ key: id, model: await subject.change([id]) }];
      return [id, { id, share: shares[at] ?? 1, make }];
    }),
  );
  const { data, bind, samples } = request;
  return measureChanges({
    base: model,
    plan,
    layers,
    data: { seed: defaultSeed, samples, ...(data !== undefined && { data }), ...(bind && { bind }) },
    signal: job.signal,
    progress: (fraction, id) => job.step(fraction, `measuring ${id}`),
  });
}

function layersOf({ targets }: Subject, { figures }: Measured): readonly LayerSensitivity[] {
  return bySensitivity(
    targets.flatMap((node) => {
      const found = figures.get(node.id);
      return found === undefined
        ? []
        : [{ id: node.id, name: node.name === '' ? node.id : node.name, op: node.op, ...found }];
    }),
  );
}

function nothingMeasured({ refused }: Measured, file: string): KerfError {
  const [reason] = refused.values();
  return new KerfError('unsupported', reason ?? 'no layer could be measured', { file });
}
