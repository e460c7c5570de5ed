import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KerfError } from '../../ir/errors.ts';
import type { Model, NodeId } from '../../ir/model.ts';
import { spreadRanks } from '../../optimize/sensitivity/effort.ts';
import { startRunner } from '../../runtime/process/launch.ts';
import type { Scores } from '../../runtime/outputs.ts';
import { splitRows } from '../../runtime/outputs.ts';
import type { Runner, Tensors } from '../../runtime/runner.ts';
import { withRunner } from '../../runtime/process/session.ts';
import type { DataOptions, Whole } from './batches.ts';
import { openWhole } from './batches.ts';
import { chainOf } from './chain.ts';
import type { Opening } from './parts.ts';
import { dropAll, openPart } from './parts.ts';
import type { Plan, Segment } from './plan.ts';
import type { Figures } from './tally.ts';
import { Tallies } from './tally.ts';

/** A changed model to compare with the original: one layer under a scheme, or a part of that change. */
export interface Change {
  readonly key: string;
  /** What of the layer changes: all, its weights or its activations. */
  readonly kind: string;
  readonly model: Model;
}

export interface LayerChanges {
  readonly id: NodeId;
  /** Share of the samples it is measured on. */
  readonly share: number;
  /** Made when its turn comes. Throws `KerfError` when the layer cannot be changed so. */
  make(): Promise<readonly Change[]>;
}

export interface MeasureJob {
  readonly base: Model;
  readonly plan: Plan;
  readonly layers: ReadonlyMap<NodeId, LayerChanges>;
  readonly data: DataOptions;
  readonly signal: AbortSignal;
  progress(fraction: number, message: string): Promise<void>;
}

export interface Measured {
  /** By the key of the change; what was refused by that, or by the layer. */
  readonly figures: ReadonlyMap<string, Figures>;
  readonly refused: ReadonlyMap<string, string>;
  /** Accuracy of the original on the same samples. */
  readonly top1?: number;
  readonly samples: number;
  /** Work of all runs, in whole inferences of the original for one sample. */
  readonly inferences: number;
}

/** What is kept in the runner process at once. */
const keptBytes = 384 * 2 ** 20;

/**
 * Compares changed models with the original, running only what lies behind a change: the values at the cuts of the
 * original are kept, each change runs its segment on them, and the rest of the original runs on its result.
 */
export async function measureChanges(job: MeasureJob): Promise<Measured> {
  const folder = await mkdtemp(join(tmpdir(), 'kerf-sensitivity-'));
  try {
    return await withRunner(startRunner, job.signal, (runner) => new Measurement(job, runner, folder).run());
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Batch {
  readonly tag: string;
  readonly first: number;
  readonly rows: number;
  /** Place in the order in which batches are left out. */
  readonly rank: number;
}

class Measurement {
  readonly #job: MeasureJob;
  readonly #runner: Runner;
  readonly #folder: string;
  readonly #refused = new Map<string, string>();
  readonly #reference = new Map<string, Tensors>();
  #whole: Whole | undefined;
  #tallies = new Tallies(0, undefined);
  #inferences = 0;
  #done = 0;

  constructor(job: MeasureJob, runner: Runner, folder: string) {
    this.#job = job;
    this.#runner = runner;
    this.#folder = folder;
  }

  async run(): Promise<Measured> {
    const { base, plan } = this.#job;
    const whole = await openWhole(base, { runner: this.#runner, folder: this.#folder }, this.#job.data);
    const { rows, data, samples } = whole;
    this.#whole = whole;
    this.#tallies = new Tallies(samples, data.labels);
    const batches = batchesOf(samples, rows);
    const size = Math.max(1, Math.floor(keptBytes / (plan.bytesPerSample * rows)));
    for (let from = 0; from < batches.length; from += size) {
      const chunk = batches.slice(from, from + size);
      for (const batch of chunk) await this.#runner.keep(batch.tag, data.feeds(batch.first, rows));
      await this.#runReference(whole, chunk);
      for (const segment of plan.segments)
        await this.#runSegment(segment, whole, { chunk, total: batches.length });
      await this.#runner.forget();
      this.#reference.clear();
    }
    return this.#result(whole);
  }

  async #runReference({ part, info }: Whole, chunk: readonly Batch[]): Promise<void> {
    const feed = Object.fromEntries(info.inputs.map(({ name }) => [name, name]));
    const stage = { session: part.session, feed, keep: {} };
    const results = await this.#runner.replay(
      [stage],
      chunk.map(({ tag }) => tag),
    );
    for (const [index, batch] of chunk.entries()) {
      const tensors = results[index] ?? {};
      this.#reference.set(batch.tag, tensors);
      for (const [sample, outputs] of this.#rowsOf(batch, tensors))
        this.#tallies.addOriginal(sample, outputs);
      this.#inferences += batch.rows;
    }
  }

  async #runSegment(
    segment: Segment,
    { anyBatch }: Whole,
    { chunk, total }: { readonly chunk: readonly Batch[]; readonly total: number },
  ): Promise<void> {
    const { layers, plan, base, progress } = this.#job;
    const opening = { runner: this.#runner, folder: this.#folder, anyBatch };
    await this.#advance(segment, chunk, opening);
    const chain = chainOf(base, plan, segment, opening);
    const samplesOf = ({ share }: LayerChanges) =>
      chunk.filter(({ rank }) => rank < Math.ceil(share * total));
    const wanted = segment.targets.flatMap((id) => {
      const layer = this.#refused.has(id) ? undefined : layers.get(id);
      return layer === undefined ? [] : [layer];
    });
    const turns = wanted.filter((layer) => samplesOf(layer).length > 0).map(inAdvance);
    for (const [index, { layer, make }] of turns.entries()) {
      await progress(this.#done / layers.size, layer.id);
      const next = turns[index + 1];
      await this.#runLayer({ ...layer, make }, samplesOf(layer), chain, () => next?.start());
      this.#done += chunk.length / total;
    }
    this.#done += ((wanted.length - turns.length) * chunk.length) / total;
    await chain.close();
    await dropAll(this.#runner, segment, plan);
  }

  async #runLayer(
    layer: LayerChanges,
    batches: readonly Batch[],
    chain: ReturnType<typeof chainOf>,
    meanwhile: () => void,
  ): Promise<void> {
    await this.#refusing(layer.id, async () => {
      for (const change of await layer.make())
        await this.#refusing(change.key, () => this.#runChange(change, batches, chain, meanwhile));
    });
  }

  async #runChange(
    { key, kind, model }: Change,
    batches: readonly Batch[],
    chain: ReturnType<typeof chainOf>,
    meanwhile: () => void,
  ) {
    const run = await chain.open(model);
    try {
      const replaying = this.#runner.replay(
        run.stages,
        batches.map(({ tag }) => tag),
      );
      meanwhile();
      const results = await replaying;
      for (const [index, batch] of batches.entries()) {
        const reference = this.#reference.get(batch.tag) ?? {};
        const tensors = results[index];
        const outputs = tensors == null ? reference : { ...reference, ...run.named(tensors) };
        const wanted = new Map(this.#rowsOf(batch, reference));
        for (const [sample, own] of this.#rowsOf(batch, outputs))
          this.#tallies.add({ key, kind }, sample, own, wanted.get(sample) ?? []);
        this.#inferences += batch.rows * (tensors === null ? run.cost.changed : run.cost.all);
      }
    } finally {
      await run.close();
    }
  }

  /** What one change cannot do does not keep the others from being measured. */
  async #refusing(key: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const ends = !KerfError.is(error) || error.reason === 'cancelled' || error.reason === 'runtime-crashed';
      if (ends) throw error;
      this.#refused.set(key, error.message);
    }
  }

  /** Runs the segment as it was, for the segments behind it. */
  async #advance(segment: Segment, chunk: readonly Batch[], opening: Opening): Promise<void> {
    const { base, plan } = this.#job;
    if (segment.end.crossing.length === 0) return;
    const part = await openPart(
      base,
      { inputs: segment.start.crossing, outputs: segment.end.crossing },
      opening,
    );
    if (part === undefined) return;
    const feed = Object.fromEntries(part.feeds.map((id) => [id, id]));
    const keep = Object.fromEntries(part.outputs.map((id) => [id, id]));
    await this.#runner.replay(
      [{ session: part.session, feed, keep }],
      chunk.map(({ tag }) => tag),
    );
    this.#inferences += chunk.reduce((sum, { rows }) => sum + rows, 0) * plan.costOf(part.nodes);
    await part.close();
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
      refused: this.#refused,
      ...(top1 !== undefined && { top1 }),
      samples,
      inferences: this.#inferences,
    };
  }
}

/** Changes of a layer that can be made while another process is busy; an error is thrown when their turn comes. */
function inAdvance(layer: LayerChanges) {
  let making: Promise<readonly Change[]> | undefined;
  const start = () => {
    if (making !== undefined) return;
    making = layer.make();
    making.catch(() => undefined);
  };
  return {
    layer,
    start,
    make() {
      start();
      return making as Promise<readonly Change[]>;
    },
  };
}

function batchesOf(samples: number, rows: number): readonly Batch[] {
  const count = Math.ceil(samples / rows);
  const ranks = spreadRanks(count);
  return Array.from({ length: count }, (_, index) => ({
    tag: `batch ${index}`,
    first: index * rows,
    rows,
    rank: ranks[index] ?? index,
  }));
}
