import { analyse } from '../../analysis/analyse.ts';
import { estimateOn } from '../../devices/estimate.ts';
import type { DeviceProfile } from '../../devices/profile.ts';
import { KerfError } from '../../ir/errors.ts';
import type { NodeId } from '../../ir/model.ts';
import { keepOutsOf } from '../../optimize/mixed/keepOut.ts';
import type { Frontier, FrontierPoint } from '../../optimize/mixed/knapsack.ts';
import { kept, mixedFrontier, mixedRecipe, pointOf, sampled } from '../../optimize/mixed/plan.ts';
import type { MixedBudget, MixedCheck, MixedLayer, MixedReport } from '../../optimize/mixed/report.ts';
import { randomSamplesFor } from '../../optimize/samples.ts';
import { recipeStepOf } from '../../optimize/sensitivity/schemes.ts';
import type { RecipeStep } from '../../passes/pass.ts';
import { evaluate } from '../../runtime/measure/evaluate.ts';
import { startRunner } from '../../runtime/process/launch.ts';
import type { JobContext } from '../context.ts';
import { partOf, quietly } from '../context.ts';
import { heldOutOf } from '../heldOut.ts';
import type { HeldOut } from '../heldOut.ts';
import { applyStep } from '../steps.ts';
import type { Held, ModelStore } from '../store.ts';
import { layerOptions } from './options.ts';

interface MixedRequest {
  readonly schemes: readonly string[];
  readonly budget: MixedBudget;
  readonly data?: string;
  readonly bind?: Readonly<Record<string, number>>;
  readonly samples?: number;
  readonly device?: DeviceProfile;
  /** Layers that stay as they are. */
  readonly keep?: readonly NodeId[];
  /** Leaves out no layer that was not named. */
  readonly keepNone?: boolean;
}

const shownPoints = 48;
/** Plans that are built and measured before the best of them is taken. */
const mostTrials = 7;

interface Trial {
  readonly held: Held;
  readonly check: MixedCheck;
}

/** A scheme for every layer under a budget; the model that follows from it is returned beside the report. */
export async function mixedPrecision(
  store: ModelStore,
  held: Held,
  request: MixedRequest,
  job: JobContext,
): Promise<{ readonly report: MixedReport; readonly made?: Held }> {
  const start = performance.now();
  const { data, budget, device } = request;
  const { totals } = analyse(held.model);
  const samples = request.samples ?? Math.min(256, randomSamplesFor(totals.macs));
  const options = await layerOptions(held.model, { ...request, samples }, partOf(job, 0, 0.7));
  const keepOut = keepOutsOf(held.model, options.targets);
  const layers = restricted(
    options.layers,
    request,
    new Set(keepOut.filter(({ applied }) => applied).map(({ id }) => id)),
  );
  const frontier = mixedFrontier(layers, budget);
  const original = originalOf(store, held, device);
  const heldOut = heldOutOf(held.model, data, request.bind);
  const workshop = new Trials(store, held, { ...request, heldOut, samples }, layers, partOf(job, 0.7, 1));
  const best = await chooseWithin(frontier, budget, original, workshop);
  const chosen = best && pointOf(layers, best.point, original);
  const report: MixedReport = {
    budget,
    schemes: request.schemes,
    data: data ?? 'seeded random inputs',
    heldOut: heldOut.skip > 0,
    original: { ...original, ...(workshop.top1 !== undefined && { top1: workshop.top1 }) },
    layers: layers.map((layer, at) => ({
      ...layer,
      chosen: layer.options[best?.point.picks[at] ?? 0]?.scheme ?? kept,
    })),
    frontier: sampled(frontier.points, shownPoints).map((point) => pointOf(layers, point, original)),
    exact: frontier.exact,
    chosen: chosen ?? null,
    measured: best?.trial.check ?? null,
    keepOut,
    recipe: best === undefined ? [] : workshop.recipeOf(best.point),
    inferences: options.inferences,
    seconds: (performance.now() - start) / 1000,
    notes: [...options.notes, ...workshop.notes],
    out: null,
  };
  return { report, ...(best && { made: best.trial.held }) };
}

/** Layers that are kept out have no choice. */
function restricted(
  layers: readonly Omit<MixedLayer, 'chosen'>[],
  { keep = [], keepNone }: MixedRequest,
  proposed: ReadonlySet<NodeId>,
): readonly MixedLayer[] {
  const out = new Set([...keep, ...(keepNone === true ? [] : proposed)]);
  return layers.map((layer) => ({
    ...layer,
    chosen: kept,
    options: out.has(layer.id) ? layer.options.slice(0, 1) : layer.options,
  }));
}

function originalOf(store: ModelStore, held: Held, device: DeviceProfile | undefined) {
  const fileBytes = store.fileBytes(held);
  if (device === undefined) return { fileBytes, latencyMs: null };
  return {
    fileBytes,
    latencyMs: estimateOn(device, held.model, analyse(held.model), { fileBytes }).latencyMs,
  };
}

interface Best {
  readonly point: FrontierPoint;
  readonly trial: Trial;
}

/** Points are tried as real models: additive predictions choose them, measurements accept them. */
async function chooseWithin(
  { points }: Frontier,
  budget: MixedBudget,
  original: { readonly fileBytes: number; readonly latencyMs: number | null },
  trials: Trials,
): Promise<Best | undefined> {
  if (budget.kind === 'accuracy')
    return cheapestWithin(sampled(points, 2 ** mostTrials), budget.drop, trials);
  if (budget.kind === 'latency' && original.latencyMs === null)
    throw new KerfError('bad-option', 'a latency budget needs a device whose estimate is known: --device');
  const allowed =
    budget.kind === 'size' ? budget.bytes - original.fileBytes : budget.ms - (original.latencyMs ?? 0);
  let limit = allowed;
  for (let round = 0; round < mostTrials; round += 1) {
    const point = points.filter(({ cost }) => cost <= limit).at(-1);
    if (point === undefined) return undefined;
    const trial = await trials.attempt(point);
    const over = trial === undefined ? 0 : budget.kind === 'size' ? trial.check.fileBytes - budget.bytes : 0;
    if (trial !== undefined && over <= 0) return { point, trial };
    // What layers share, or need beside each other, makes sums a little wrong.
    limit = Math.min(limit - over, point.cost - 1e-9);
  }
  return undefined;
}

/** The cheapest point that loses no more than allowed, by bisection: loss falls along the frontier. */
async function cheapestWithin(
  points: readonly FrontierPoint[],
  drop: number,
  trials: Trials,
): Promise<Best | undefined> {
  let [low, high] = [0, points.length - 1];
  let best: Best | undefined;
  while (low <= high) {
    const middle = Math.floor((low + high) / 2);
    const point = points[middle] as FrontierPoint;
    const trial = await trials.attempt(point);
    if (trial !== undefined && trial.check.drop <= drop + 1e-9) {
      best = { point, trial };
      high = middle - 1;
    } else low = middle + 1;
  }
  return best;
}

/** Builds plans and runs them. */
class Trials {
  readonly notes: string[] = [];
  top1: number | undefined;
  readonly #store: ModelStore;
  readonly #held: Held;
  readonly #request: MixedRequest & { readonly heldOut: HeldOut; readonly samples: number };
  readonly #layers: readonly MixedLayer[];
  readonly #job: JobContext;
  #count = 0;

  constructor(
    store: ModelStore,
    held: Held,
    request: MixedRequest & { readonly heldOut: HeldOut; readonly samples: number },
    layers: readonly MixedLayer[],
    job: JobContext,
  ) {
    this.#store = store;
    this.#held = held;
    this.#request = request;
    this.#layers = layers;
    this.#job = job;
  }

  recipeOf(point: FrontierPoint): readonly RecipeStep[] {
    const { dialect } = this.#held.model;
    const { data, bind } = this.#request;
    const bound = bind === undefined ? {} : { bind };
    const stepOf = (scheme: string) => ({ ...recipeStepOf(scheme, dialect, data), ...bound });
    return mixedRecipe(this.#layers, point.picks, stepOf);
  }

  /** Undefined where a step refuses; the reason is noted. */
  async attempt(point: FrontierPoint): Promise<Trial | undefined> {
    this.#count += 1;
    await this.#job.step(Math.min(1, this.#count / mostTrials), `measuring candidate ${this.#count}`);
    try {
      let held = this.#held;
      for (const step of this.recipeOf(point))
        held = (await applyStep(this.#store, held, step, quietly(this.#job))).held;
      return { held, check: await this.#check(held) };
    } catch (error) {
      if (!KerfError.is(error) || error.reason === 'cancelled') throw error;
      this.notes.push(`a candidate could not be built: ${error.message}`);
      return undefined;
    }
  }

  async #check(held: Held): Promise<MixedCheck> {
    const { data, bind, heldOut, samples } = this.#request;
    const run = async (model: Held, reference: Held) =>
      evaluate(startRunner, {
        model: await this.#store.fileOf(model),
        reference: await this.#store.fileOf(reference),
        samples: Math.max(samples, heldOut.samples),
        signal: this.#job.signal,
        ...(data !== undefined && { data, skip: heldOut.skip }),
        ...(bind && { bind }),
      });
    const own = await run(held, this.#held);
    if (own.top1 !== undefined) this.top1 ??= (await run(this.#held, this.#held)).top1;
    const { reference } = own;
    if (reference === undefined) throw new KerfError('internal', 'an evaluation gave no agreement');
    const before = own.top1 === undefined ? 1 : (this.top1 ?? 1);
    return {
      ...reference,
      ...(own.top1 !== undefined && { top1: own.top1 }),
      samples: own.samples,
      fileBytes: this.#store.fileBytes(held),
      drop: (before - (own.top1 ?? reference.agreement)) * 100,
    };
  }
}
