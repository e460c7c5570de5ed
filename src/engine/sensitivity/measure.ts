import { availableParallelism, tmpdir } from 'node:os';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { SharedWeights } from '../../formats/io/models.ts';
import { writeSharedWeights } from '../../formats/io/models.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Model, NodeId } from '../../ir/model.ts';
import type { Effort } from '../../optimize/sensitivity/effort.ts';
import { firstSamples, nextRound, spreadOrder } from '../../optimize/sensitivity/effort.ts';
import { startRunner } from '../../runtime/process/launch.ts';
import type { Scores } from '../../runtime/outputs.ts';
import { splitRows } from '../../runtime/outputs.ts';
import type { Runner, Tensors } from '../../runtime/runner.ts';
import { withRunner } from '../../runtime/process/session.ts';
import type { DataOptions, Whole } from './batches.ts';
import { openWhole } from './batches.ts';
import type { Batch, Change, LayerChanges } from './change.ts';
import type { Collected } from './lane.ts';
import { runLane } from './lane.ts';
import type { Plan, Segment } from './plan.ts';
import { inTwo } from './plan.ts';
import type { Figures, Ranking } from './tally.ts';
import { Tallies } from './tally.ts';

export interface MeasureJob {
  readonly base: Model;
  readonly plan: Plan;
  readonly layers: ReadonlyMap<NodeId, LayerChanges>;
  readonly data: DataOptions;
  /** Every layer on every sample without it. */
  readonly effort?: Effort;
  /** Changes of a layer. */
  readonly kinds: number;
  /** Processes that share the work; by its size when it is not said. */
  readonly processes?: 1 | 2;
  readonly signal: AbortSignal;
  progress(fraction: number, message: string): Promise<void>;
}

export interface Measured {
  /** By the key of the change; what was refused by that, or by the layer. */
  readonly figures: ReadonlyMap<string, Figures>;
  readonly refused: ReadonlyMap<string, string>;
  /** Accuracy of the original on the samples that anything was measured on. */
  readonly top1?: number;
  /** Samples that the figures stand for. */
  readonly samples: number;
  readonly ranking: Ranking;
  /** Work of all runs, in whole inferences of the original for one sample. */
  readonly inferences: number;
}

/** What is kept in the runner processes at once. */
const keptBytes = 384 * 2 ** 20;
/** A second process costs its start, and loads the model once more. */
const worthTwo = { flops: 2e10, weightBytes: 2 ** 29 };

/**
 * Compares changed models with the original, running only what lies behind a change: the values at the cuts of the
 * original are kept, each change runs its segment on them, and the rest of the original runs on its result.
 */
export async function measureChanges(job: MeasureJob): Promise<Measured> {
  const folder = await mkdtemp(join(tmpdir(), 'kerf-sensitivity-'));
  const start = <T>(work: (runner: Runner) => Promise<T>) => withRunner(startRunner, job.signal, work);
  const run = (runners: readonly Runner[]) => new Measurement(job, runners, folder).run();
  try {
    return await start((first) => (inParallel(job) ? start((second) => run([first, second])) : run([first])));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Sessions have one thread, so two processes halve the time where there are two processors. */
function inParallel({ plan, layers, data, effort, kinds, processes }: MeasureJob): boolean {
  if (processes !== undefined) return processes === 2;
  if (availableParallelism() < 2 || plan.weightBytes > worthTwo.weightBytes) return false;
  const costs = [...layers.keys()].map((id) => plan.costOfLayer(id) * kinds);
  const samples = firstSamples(costs, data.samples, effort);
  return plan.flops * samples * costs.reduce((sum, cost) => sum + cost, 0) > worthTwo.flops;
}

class Measurement implements Collected {
  readonly refused = new Map<string, string>();
  readonly #job: MeasureJob;
  readonly #runners: readonly Runner[];
  readonly #folder: string;
  readonly #reference = new Map<string, Tensors>();
  readonly #wanted = new Map<string, ReadonlyMap<number, readonly (Scores | undefined)[]>>();
  #weights: SharedWeights | undefined;
  #whole: Whole | undefined;
  #tallies = new Tallies(0, undefined);
  #inferences = 0;
  #steps = { done: 0, expected: 1 };
  #failed = false;

  constructor(job: MeasureJob, runners: readonly Runner[], folder: string) {
    this.#job = job;
    this.#runners = runners;
    this.#folder = folder;
  }

  async run(): Promise<Measured> {
    const { base, data: options, effort, layers } = this.#job;
    // Processes start while the weights are written.
    const [weights] = await Promise.all([
      base.dialect === 'onnx' ? writeSharedWeights(base, join(this.#folder, 'weights.data')) : undefined,
      ...this.#runners.map((runner) => runner.forget()),
    ]);
    this.#weights = weights;
    const opening = { runner: this.#first, folder: this.#folder, weights: this.#weights };
    const whole = await openWhole(base, opening, options);
    const { rows, data, samples } = whole;
    this.#whole = whole;
    this.#tallies = new Tallies(samples, data.labels);
    const order = spreadOrder(Math.ceil(samples / rows));
    const costs = [...layers.keys()].map((id) => this.#costOf(id));
    let next: { samples: number; ids: ReadonlySet<NodeId> } | undefined = {
      samples: firstSamples(costs, samples, effort),
      ids: new Set(layers.keys()),
    };
    let taken = 0;
    while (next !== undefined) {
      // Models that keep a state see the samples in their order.
      const count = next.samples >= samples ? order.length : Math.max(1, Math.floor(next.samples / rows));
      const batches = order.slice(taken, taken + count).sort((a, b) => a - b);
      taken += batches.length;
      await this.#measureOn(batches.map(batchOf(rows)), next.ids);
      next = this.#next(taken * rows);
    }
    return this.#result(whole);
  }

  get #first(): Runner {
    return this.#runners[0] as Runner;
  }

  #costOf(id: NodeId): number {
    return this.#job.plan.costOfLayer(id) * this.#job.kinds;
  }

  /** The layers to be measured on further samples. */
  #next(taken: number): { samples: number; ids: ReadonlySet<NodeId> } | undefined {
    const { effort, layers } = this.#job;
    const { samples, rows } = this.#whole as Whole;
    if (effort === undefined || taken >= samples) return undefined;
    const found = [...this.#tallies.estimates()].filter(([id]) => layers.has(id));
    const measurements = found.map(([id, estimate]) => ({ ...estimate, cost: this.#costOf(id) }));
    const state = { taken, samples, rows, left: effort.most - this.#inferences };
    const round = nextRound(measurements, state, effort);
    return round && { samples: round.samples, ids: new Set(round.chosen.map((at) => found[at]?.[0] ?? '')) };
  }

  async #measureOn(batches: readonly Batch[], ids: ReadonlySet<NodeId>): Promise<void> {
    const { plan } = this.#job;
    const { rows } = this.#whole as Whole;
    const lanes = this.#lanesFor(ids);
    const size = Math.max(1, Math.floor(keptBytes / (lanes.length * plan.bytesPerSample * rows)));
    this.#steps = { done: 0, expected: ids.size * Math.ceil(batches.length / size) };
    for (let from = 0; from < batches.length; from += size)
      await this.#measureChunk(batches.slice(from, from + size), lanes);
  }

  /** Neighbouring segments with about the same work for each process. */
  #lanesFor(ids: ReadonlySet<NodeId>): readonly (readonly Segment[])[] {
    const segments = this.#job.plan.segments.flatMap((segment) => {
      const targets = segment.targets.filter((id) => ids.has(id) && !this.refused.has(id));
      return targets.length === 0 ? [] : [{ ...segment, targets }];
    });
    if (this.#runners.length === 1) return [segments];
    return inTwo(segments, ({ targets }) => targets.reduce((sum, id) => sum + this.#costOf(id), 0));
  }

  async #measureChunk(chunk: readonly Batch[], lanes: readonly (readonly Segment[])[]): Promise<void> {
    const { data, rows, anyBatch } = this.#whole as Whole;
    const runners = this.#runners.slice(0, lanes.length);
    for (const { tag, first } of chunk) {
      const feeds = data.feeds(first, rows);
      await Promise.all(runners.map((runner) => runner.keep(tag, feeds)));
    }
    const reference = this.#runReference(chunk);
    const runs = runners.map(async (runner, at) => {
      const opening = { runner, folder: this.#folder, anyBatch, weights: this.#weights };
      try {
        await runLane(this.#job, { segments: lanes[at] ?? [], chunk, opening, reference }, this);
      } catch (error) {
        this.#failed = true;
        throw error;
      }
    });
    // A process must not be started again by what still runs, so all have to end before an error is passed on.
    const ended = await Promise.allSettled([reference, ...runs]);
    for (const end of ended) if (end.status === 'rejected') throw end.reason;
    await Promise.all(runners.map((runner) => runner.forget()));
    this.#reference.clear();
    this.#wanted.clear();
  }

  async #runReference(chunk: readonly Batch[]): Promise<void> {
    const { part, info } = this.#whole as Whole;
    const feed = Object.fromEntries(info.inputs.map(({ name }) => [name, name]));
    const stage = { session: part.session, feed, keep: {} };
    const tags = chunk.map(({ tag }) => tag);
    const results = await this.#first.replay([stage], tags);
    for (const [index, batch] of chunk.entries()) {
      const tensors = results[index] ?? {};
      const rows = this.#rowsOf(batch, tensors);
      this.#reference.set(batch.tag, tensors);
      this.#wanted.set(batch.tag, new Map(rows));
      for (const [sample, outputs] of rows) this.#tallies.addOriginal(sample, outputs);
      this.worked(batch.rows);
    }
  }

  addOutputs({ key, kind }: Change, batch: Batch, own: Tensors | undefined): void {
    const wanted = this.#wanted.get(batch.tag);
    const reference = this.#reference.get(batch.tag) ?? {};
    const rows = own === undefined ? wanted : this.#rowsOf(batch, { ...reference, ...own });
    for (const [sample, outputs] of rows ?? [])
      this.#tallies.add({ key, kind }, sample, outputs, wanted?.get(sample) ?? []);
  }

  worked(inferences: number): void {
    this.#inferences += inferences;
  }

  /** What one change cannot do does not keep the others from being measured. */
  async refusing(key: string, work: () => Promise<void>): Promise<void> {
    if (this.#failed) throw new KerfError('cancelled', 'the inference was cancelled');
    try {
      await work();
    } catch (error) {
      const ends = !KerfError.is(error) || error.reason === 'cancelled' || error.reason === 'runtime-crashed';
      if (ends) throw error;
      this.refused.set(key, error.message);
    }
  }

  async begins(id: NodeId): Promise<void> {
    const { done, expected } = this.#steps;
    this.#steps = { done: done + 1, expected };
    await this.#job.progress(Math.min(1, done / expected), id);
  }

  /** Outputs of each sample of a batch; the last batch may hold some samples twice. */
  #rowsOf(
    { first, rows }: Batch,
    tensors: Tensors,
  ): readonly (readonly [number, readonly (Scores | undefined)[]])[] {
    const { info, samples } = this.#whole as Whole;
    const split = splitRows(info, tensors, rows).map((outputs, row) => [first + row, outputs] as const);
    return split.filter(([sample]) => sample < samples);
  }

  #result({ samples }: Whole): Measured {
    const { top1 } = this.#tallies;
    return {
      figures: this.#tallies.figures(),
      refused: this.refused,
      ...(top1 !== undefined && { top1 }),
      samples,
      ranking: this.#tallies.ranking(),
      inferences: this.#inferences,
    };
  }
}

function batchOf(rows: number): (index: number) => Batch {
  return (index) => ({ tag: `batch ${index}`, first: index * rows, rows });
}
