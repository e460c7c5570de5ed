import type { Analysis } from '../analysis/report.ts';
import type { EstimateReport } from '../devices/estimate.ts';
import { estimateOn } from '../devices/estimate.ts';
import type { DeviceProfile } from '../devices/profile.ts';
import { KerfError } from '../ir/errors.ts';
import type { Model } from '../ir/model.ts';
import type { RecipeStep } from '../passes/pass.ts';
import type { CandidatePlan } from './candidates.ts';
import { candidatesFor } from './candidates.ts';
import { choose, paretoOf } from './choose.ts';
import type { Candidate, OptimizeReport } from './report.ts';

export interface Score {
  /** 0..1; null when nothing could be evaluated. */
  readonly value: number | null;
  readonly kind: Candidate['scoreKind'];
}

/**
 * What the search needs from the world. `S` is whatever its owner calls a model: a value, a handle. Any call may throw:
 * the candidate is then kept with the reason; `KerfError('cancelled')` ends the search.
 */
export interface OptimizePorts<S> {
  modelOf(subject: S): Model;
  analyse(subject: S): Analysis;
  apply(subject: S, step: RecipeStep): Promise<S>;
  /** Bytes of the file this model would be, plain and after brotli. */
  sizes(subject: S): Promise<{ readonly fileBytes: number; readonly compressedBytes: number }>;
  /** Median milliseconds of one inference on this machine; null when it cannot run here. */
  measure(subject: S): Promise<number | null>;
  /** Accuracy on labels, or agreement with the original model; of the original itself as well. */
  score(subject: S): Promise<Score>;
  progress(fraction: number, message: string): Promise<void>;
}

interface SearchOptions {
  /** For the report, and for steps that calibrate: a dataset path. */
  readonly data?: string;
  /** What the report says instead when there is no dataset. */
  readonly dataLabel?: string;
  /** Percentage points of the score that may be lost; 1 by default. */
  readonly maxDrop?: number;
  readonly seed?: number;
  /** Numbers for free dimensions, by name. */
  readonly bind?: Readonly<Record<string, number>>;
  /** Instead of the built-in recipes. */
  readonly plans?: readonly CandidatePlan[];
  /** Beside the built-in recipes. */
  readonly more?: readonly CandidatePlan[];
  /** Which samples the scores come from, in words. */
  readonly scoredOn?: string;
}

interface SearchResult<S> {
  readonly report: OptimizeReport;
  /** The chosen model; absent when none was. */
  readonly chosen?: S;
}

/** Tries every candidate recipe, measures it, and chooses the smallest and fastest that fits and stays accurate. */
export async function searchRecipes<S>(
  original: S,
  device: DeviceProfile,
  ports: OptimizePorts<S>,
  options: SearchOptions = {},
): Promise<SearchResult<S>> {
  const plans = options.plans ?? candidatesFor(ports.modelOf(original), device, options);
  const workshop = new Workshop(original, device, ports);
  await ports.progress(0, 'measuring the original');
  const baseline = await workshop.weighOriginal();
  const tried: { candidate: Candidate; subject?: S }[] = [];
  for (const [index, plan] of plans.entries()) {
    await ports.progress((index + 1) / (plans.length + 1), plan.title);
    tried.push(await workshop.attempt(plan));
  }
  const candidates = tried.map((each) => each.candidate);
  const maxDrop = options.maxDrop ?? 1;
  const { chosen, reason } = choose(baseline, candidates, device, maxDrop);
  const subject = chosen === null ? undefined : tried[chosen]?.subject;
  const report: OptimizeReport = {
    device: device.id,
    data: options.data ?? options.dataLabel ?? 'none',
    maxDrop,
    ...(options.scoredOn !== undefined && { scoredOn: options.scoredOn }),
    baseline,
    candidates,
    pareto: paretoOf(candidates, device),
    chosen,
    reason: [
      reason,
      workshop.remark,
      dataRemark(options.data),
      formatRemark(device, ports.modelOf(original)),
    ].join(''),
    out: null,
  };
  return { report, ...(subject !== undefined && { chosen: subject }) };
}

/** Labels of noise agree easily, and its ranges are not those of real inputs. */
function dataRemark(data: string | undefined): string {
  return data === undefined
    ? ' Calibrated and scored on made-up inputs, which says little about real ones.'
    : '';
}

/** The best recipe is of no use in a file that the device does not load. */
function formatRemark(device: DeviceProfile, model: Model): string {
  if (device.formats.includes(model.dialect)) return '';
  return ` ${device.runtime} loads ${device.formats.join(' and ')}, not ${model.dialect}: convert the result.`;
}

/** Builds and weighs candidates; steps that several recipes begin with are run once. */
class Workshop<S> {
  readonly #device: DeviceProfile;
  readonly #ports: OptimizePorts<S>;
  readonly #built = new Map<string, Promise<S>>();
  readonly #original: S;
  /** Why nothing is run: what no runtime here loads has no latency and no score, but it has a size and an estimate. */
  #refusal: string | undefined;

  constructor(original: S, device: DeviceProfile, ports: OptimizePorts<S>) {
    this.#original = original;
    this.#device = device;
    this.#ports = ports;
    this.#built.set('[]', Promise.resolve(original));
  }

  async attempt(plan: CandidatePlan): Promise<{ candidate: Candidate; subject?: S }> {
    try {
      const subject = await this.#build(plan.steps);
      return { candidate: await this.weigh(plan, subject), subject };
    } catch (error) {
      if (KerfError.is(error, 'cancelled')) throw error;
      return { candidate: failed(plan, error) };
    }
  }

  /** What the report says when the original does not run here. */
  get remark(): string {
    return this.#refusal === undefined
      ? ''
      : ` The original does not run on this machine, so nothing was measured: ${this.#refusal}`;
  }

  async weighOriginal(): Promise<Candidate> {
    const plan = { title: 'Original', steps: [] };
    try {
      return await this.weigh(plan, this.#original);
    } catch (error) {
      if (!KerfError.is(error, 'runtime-refused')) throw error;
      this.#refusal = error.message;
      return this.weigh(plan, this.#original);
    }
  }

  async weigh(plan: CandidatePlan, subject: S): Promise<Candidate> {
    const analysis = this.#ports.analyse(subject);
    const { fileBytes, compressedBytes } = await this.#ports.sizes(subject);
    const estimate = estimateOn(this.#device, this.#ports.modelOf(subject), analysis, { fileBytes });
    const runs = this.#refusal === undefined;
    const measuredMs = runs ? await this.#ports.measure(subject) : null;
    const score: Score = runs ? await this.#ports.score(subject) : { value: null, kind: 'none' };
    return {
      title: plan.title,
      recipe: plan.steps,
      fileBytes,
      compressedBytes,
      macs: analysis.totals.macs ?? null,
      measuredMs,
      ...figuresOf(estimate),
      score: score.value,
      scoreKind: score.kind,
    };
  }

  #build(steps: readonly RecipeStep[]): Promise<S> {
    const key = JSON.stringify(steps);
    let built = this.#built.get(key);
    if (built === undefined) {
      const last = steps.at(-1);
      built =
        last === undefined
          ? Promise.reject(new KerfError('internal', 'the original model is always there'))
          : this.#build(steps.slice(0, -1)).then((before) => this.#ports.apply(before, last));
      this.#built.set(key, built);
    }
    return built;
  }
}

function figuresOf(
  estimate: EstimateReport,
): Pick<Candidate, 'latencyMs' | 'energyMj' | 'ramBytes' | 'fits' | 'refused'> {
  const { latencyMs, energyMj, ramBytes, fits, unsupported } = estimate;
  const reasons = [...new Set(unsupported.filter((each) => each.fatal).map((each) => each.reason))];
  return { latencyMs, energyMj, ramBytes, fits, ...(reasons.length > 0 && { refused: reasons.join('; ') }) };
}

function failed(plan: CandidatePlan, error: unknown): Candidate {
  return {
    title: plan.title,
    recipe: plan.steps,
    fileBytes: null,
    compressedBytes: null,
    macs: null,
    measuredMs: null,
    latencyMs: null,
    energyMj: null,
    ramBytes: null,
    fits: { flash: 'unknown', ram: 'unknown' },
    score: null,
    scoreKind: 'none',
    failure: error instanceof Error ? error.message : String(error),
  };
}
