import { analyse } from '../../analysis/analyse.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Model, NodeId } from '../../ir/model.ts';
import type {
  CumulativePoint,
  LayerSensitivity,
  SensitivityMethod,
  SensitivityReport,
} from '../../optimize/report.ts';
import { randomSamplesFor } from '../../optimize/samples.ts';
import { bySensitivity, cumulativeCurve } from '../../optimize/sensitivity/curve.ts';
import { stepOfScheme } from '../../optimize/sensitivity/schemes.ts';
import type { RecipeStep } from '../../passes/pass.ts';
import { quickLatency } from '../../runtime/measure/latency.ts';
import { startRunner } from '../../runtime/process/launch.ts';
import { defaultSeed } from '../calibration.ts';
import { createCalibrator } from '../calibrator.ts';
import type { JobContext } from '../context.ts';
import { partOf } from '../context.ts';
import type { Held, ModelStore } from '../store.ts';
import type { Measured } from './measure.ts';
import type { Proxies, Proxy } from './proxies.ts';
import { proxiesOf } from './proxies.ts';
import type { Subject } from './subject.ts';
import { subjectOf } from './subject.ts';
import { measureOneByOne, measureTogether } from './variants.ts';

export interface SensitivityRequest {
  readonly scheme: string;
  /** Instead of what the scheme stands for. */
  readonly step?: RecipeStep;
  readonly data?: string;
  readonly bind?: Readonly<Record<string, number>>;
  readonly samples?: number;
  /** How far up the ladder: statistics of the weights, errors of the layers' own outputs, or errors of the model's. */
  readonly method?: SensitivityMethod;
  /** Every layer on every sample, whatever it costs. */
  readonly exact?: boolean;
  /** Weights and activations of a static scheme by themselves as well. */
  readonly apart?: boolean;
  /** Measures this many points of the cumulative curve. */
  readonly cumulative?: number;
  /** Only these layers. */
  readonly layers?: readonly NodeId[];
}

/** More samples say little that is new about moments. */
const momentSamples = 128;

const metrics: Readonly<Record<SensitivityMethod, string>> = {
  measured: 'signal to noise of the outputs against the original, dB; lower hurts more',
  gram: "signal to noise of the layer's own outputs, from the moments of its inputs, dB; lower hurts more",
  weights: 'signal to noise of the weights, without data, dB; lower hurts more',
};

/** How much each layer hurts under a scheme; see `docs/sensitivity.md`. */
export async function sensitivityReport(
  store: ModelStore,
  held: Held,
  request: SensitivityRequest,
  job: JobContext,
): Promise<SensitivityReport> {
  const start = performance.now();
  const { data, bind, method = 'measured' } = request;
  const plain = request.step ?? stepOfScheme(request.scheme, held.model.dialect, data);
  const step = request.layers === undefined ? plain : { ...plain, layers: request.layers };
  const wanted = request.samples ?? randomSamplesFor(analyse(held.model, bind && { bind }).totals.macs);
  await job.step(0, 'calibrating');
  const settings = { samples: wanted, ...(bind && { bind }) };
  const subject = await subjectOf(held.model, step, settings, job);
  const options = { ...request, samples: wanted };
  const moments =
    method === 'gram' ? momentsOf(held, request, Math.min(wanted, momentSamples), job) : undefined;
  const measured =
    method === 'measured' ? await measureWithWeights(subject, options, partOf(job, 0.1, 0.9)) : undefined;
  const proxies = measured ?? (await proxiesOf(subject, moments, partOf(job, 0.05, 1)));
  const layers = bySensitivity(layersOf(subject, proxies, measured, method));
  if (layers.length === 0) throw nothingMeasured(proxies.refused, held.path);
  const curve = await curveOf(subject, options, layers, partOf(job, 0.9, 1));
  const seconds = (performance.now() - start) / 1000;
  const latency = await quickLatency(startRunner, await store.fileOf(held), {
    ...(data !== undefined && { data }),
    ...(bind && { bind }),
    signal: job.signal,
  });
  const variants = measured === undefined ? layers.length : measured.figures.size;
  const gram = moments === undefined ? 0 : moments.samples;
  return {
    scheme: request.scheme,
    step,
    method,
    metric: metrics[method],
    data: data ?? 'seeded random inputs',
    layers,
    cumulative: curve.points,
    samples: measured?.samples ?? gram,
    ...(measured && { ranking: measured.ranking }),
    ...(measured?.top1 !== undefined && { top1: measured.top1 }),
    inferences: (measured?.inferences ?? 0) + curve.inferences + subject.calibrated() + gram,
    naiveInferences: variants * (measured?.samples ?? gram),
    seconds,
    baselineInferenceSeconds: latency.medianMs / 1000,
    notCovered: [...proxies.refused].map(([id, reason]) => `${id}: ${reason}`),
  };
}

/** The measurement, with the statistics of the weights that come for free on the way. */
async function measureWithWeights(
  subject: Subject,
  options: SensitivityRequest & { readonly samples: number },
  job: JobContext,
): Promise<Measured & Proxies> {
  const layers = new Map<NodeId, Proxy>();
  const onChange = (id: NodeId, changed: Model) =>
    layers.set(id, subject.originalOf(changed, id).figures ?? {});
  return { ...(await measureOneByOne(subject, { ...options, onChange }, job)), layers };
}

function momentsOf(held: Held, { data, bind }: SensitivityRequest, samples: number, job: JobContext) {
  return createCalibrator(startRunner, held.model, {
    seed: defaultSeed,
    samples,
    signal: job.signal,
    ...(data !== undefined && { data }),
    ...(bind && { bind }),
  });
}

function layersOf(
  { targets }: Subject,
  proxies: Proxies,
  measured: Measured | undefined,
  method: SensitivityMethod,
): readonly LayerSensitivity[] {
  return targets.flatMap((node) => {
    const { id, op } = node;
    const proxy = proxies.layers.get(id);
    const figures = measured?.figures.get(id);
    const sqnrDb =
      method === 'measured' ? figures?.sqnrDb : method === 'gram' ? proxy?.localSqnrDb : proxy?.weightSqnrDb;
    if (sqnrDb === undefined) return [];
    const weights = measured?.figures.get(`${id} weights`);
    const activations = measured?.figures.get(`${id} activations`);
    const name = node.name === '' ? id : node.name;
    return [
      {
        id,
        name,
        op,
        ...proxy,
        ...figures,
        sqnrDb,
        ...(weights && { weights }),
        ...(activations && { activations }),
      },
    ];
  });
}

/** The predicted curve, measured where that was asked for. */
async function curveOf(
  subject: Subject,
  request: SensitivityRequest & { readonly samples: number },
  layers: readonly LayerSensitivity[],
  job: JobContext,
): Promise<{ readonly points: readonly CumulativePoint[]; readonly inferences: number }> {
  const points = cumulativeCurve(layers);
  const { cumulative = 0 } = request;
  if (cumulative <= 0) return { points, inferences: 0 };
  const ids = [...layers].reverse().map(({ id }) => id);
  const counts = new Set(
    Array.from({ length: cumulative }, (_, at) => Math.round(((at + 1) * ids.length) / cumulative)),
  );
  const sets = new Map<string, readonly NodeId[]>();
  for (const count of counts) if (count > 0) sets.set(String(count), ids.slice(0, count));
  const { figures, inferences } = await measureTogether(subject, request, sets, job);
  const filled = points.map((point) => {
    const measured = figures.get(String(point.layers));
    return measured === undefined ? point : { ...point, measured };
  });
  return { points: filled, inferences };
}

function nothingMeasured(refused: ReadonlyMap<NodeId, string>, file: string): KerfError {
  const [reason] = refused.values();
  return new KerfError('unsupported', reason ?? 'no layer could be measured', { file });
}
