import type { Model, NodeId } from '../../ir/model.ts';
import type { Cut } from '../../optimize/sensitivity/cuts.ts';
import type { Tensors } from '../../runtime/runner.ts';
import type { Chain } from './chain.ts';
import { chainOf } from './chain.ts';
import type { Batch, Change, LayerChanges } from './change.ts';

import type { Opening } from './parts.ts';
import { openPart } from './parts.ts';
import type { Plan, Segment } from './plan.ts';

/** Where lanes put what they find. */
export interface Collected {
  readonly refused: ReadonlyMap<string, string>;
  /** Outputs of a changed model by the original's names; undefined when they are the original's. */
  addOutputs(change: Change, batch: Batch, outputs: Tensors | undefined): void;
  /** So many whole inferences of the original for one sample. */
  worked(inferences: number): void;
  begins(id: NodeId): Promise<void>;
  refusing(key: string, work: () => Promise<void>): Promise<void>;
}

interface LaneJob {
  readonly base: Model;
  readonly plan: Plan;
  readonly layers: ReadonlyMap<NodeId, LayerChanges>;
}

interface LaneRun {
  /** From front to back, with the layers to be measured. */
  readonly segments: readonly Segment[];
  /** Batches whose inputs are kept in the process. */
  readonly chunk: readonly Batch[];
  readonly opening: Opening;
  /** When the outputs of the original are known. */
  readonly reference: Promise<void>;
}

/** Measures the layers of some segments in one process, from front to back. */
export async function runLane(job: LaneJob, run: LaneRun, collected: Collected): Promise<void> {
  const { plan } = job;
  let at = plan.cuts[0] as Cut;
  const moveTo = async (cut: Cut) => {
    if (cut.index === at.index) return;
    await advance(job, run, { from: at, to: cut }, collected);
    await forget(run, plan, { passed: at, now: cut });
    at = cut;
  };
  for (const segment of run.segments) {
    await moveTo(segment.start);
    // A change that makes what the segment made is not run further: the values behind it have to be known.
    await advance(job, run, { from: segment.start, to: segment.end }, collected);
    await runSegment(job, run, segment, collected);
    await forget(run, plan, { passed: segment.start, now: segment.end });
    at = segment.end;
  }
}

async function runSegment(
  { base, plan, layers }: LaneJob,
  run: LaneRun,
  segment: Segment,
  collected: Collected,
): Promise<void> {
  const chain = chainOf(base, plan, segment, run.opening);
  const wanted = segment.targets.flatMap((id) => layers.get(id) ?? []);
  const turns = wanted.filter(({ id }) => !collected.refused.has(id)).map(inAdvance);
  for (const [index, { id, make, start }] of turns.entries()) {
    start();
    await collected.begins(id);
    const next = turns[index + 1];
    await collected.refusing(id, async () => {
      for (const change of await make())
        await collected.refusing(change.key, () =>
          runChange(change, run, chain, { collected, meanwhile: () => next?.start() }),
        );
    });
  }
  await chain.close();
}

async function runChange(
  change: Change,
  { chunk, opening, reference }: LaneRun,
  chain: Chain,
  { collected, meanwhile }: { readonly collected: Collected; readonly meanwhile: () => void },
): Promise<void> {
  const changed = await chain.open(change.model);
  try {
    const tags = chunk.map(({ tag }) => tag);
    const replaying = opening.runner.replay(changed.stages, tags);
    meanwhile();
    const results = await replaying;
    await reference;
    for (const [index, batch] of chunk.entries()) {
      const tensors = results[index];
      collected.addOutputs(change, batch, tensors == null ? undefined : changed.named(tensors));
      collected.worked(batch.rows * (tensors === null ? changed.cost.changed : changed.cost.all));
    }
  } finally {
    await changed.close();
  }
}

interface Way {
  readonly from: Cut;
  readonly to: Cut;
}

/** Runs the original from one cut to another, and keeps the values there. */
async function advance(
  { base, plan }: LaneJob,
  { chunk, opening }: LaneRun,
  { from, to }: Way,
  collected: Collected,
): Promise<void> {
  if (to.crossing.length === 0) return;
  const part = await openPart(base, { inputs: from.crossing, outputs: to.crossing }, opening);
  if (part === undefined) return;
  const feed = Object.fromEntries(part.feeds.map((id) => [id, id]));
  const keep = Object.fromEntries(part.outputs.map((id) => [id, id]));
  const tags = chunk.map(({ tag }) => tag);
  await opening.runner.replay([{ session: part.session, feed, keep }], tags);
  collected.worked(chunk.reduce((sum, { rows }) => sum + rows, 0) * plan.costOf(part.nodes));
  await part.close();
}

/** Forgets the values that nothing behind a cut reads; the model's inputs stay for changes that reach far ahead. */
async function forget(
  { opening }: LaneRun,
  plan: Plan,
  { passed, now }: { readonly passed: Cut; readonly now: Cut },
): Promise<void> {
  const needed = new Set([...now.crossing, ...(plan.cuts[0]?.crossing ?? [])]);
  const names = passed.crossing.filter((id) => !needed.has(id));
  if (names.length > 0) await opening.runner.forget(names);
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
    id: layer.id,
    start,
    make() {
      start();
      return making as Promise<readonly Change[]>;
    },
  };
}
