import { KerfError } from '../../ir/errors.ts';
import type { Model, NodeId } from '../../ir/model.ts';
import { formatShape } from '../../ir/types.ts';
import { indexOf } from '../../ir/walk.ts';
import type { Calibrator, PassContext } from '../pass.ts';
import { multiplyLayerOf } from '../support/denseLayer.ts';
import { factsOf } from '../support/facts.ts';
import type { Options } from '../support/options.ts';
import { statisticsNote, withStatistics } from '../support/statistics.ts';
import { branchesOf, withoutBranches } from './branches.ts';
import type { Channels } from './channels.ts';
import { channelsOf } from './channels.ts';
import type { Kept } from './cut.ts';
import { keptWithout, withoutChannels } from './cut.ts';
import { timeCostOf } from './cost.ts';
import type { Curve } from './eliminate.ts';
import type { Goal, Wish } from './goal.ts';
import { groupsOf, madeBy } from './groups.ts';
import type { Importance, Trials } from './importance.ts';
import { curvesOf } from './importance.ts';
import { uniformPlan } from './plan.ts';
import { keptRows, repaired } from './repair.ts';
import { distanceFrom } from './sensitivity.ts';
import type { Plan, Sharing, Weighed, Weighted } from './share.ts';
import { multipleOf, planned } from './share.ts';

/** A model on its way. */
export interface Pruned {
  readonly model: Model;
  /** Of the axes of the model before the first round. */
  readonly kept: Kept;
  /** Channels that have gone, by the first layer that made them. */
  readonly removed: ReadonlyMap<NodeId, number>;
  readonly notes: readonly string[];
}

interface Tools {
  readonly options: Options;
  readonly wish: Wish;
  readonly calibrator: Calibrator;
  readonly context: PassContext;
}

interface Seen extends Weighed {
  readonly channels: Channels;
}

/** One round: whole branches first, where they cost less than the channels that would have to go instead. */
export async function pruned(reference: Model, state: Pruned, goal: Goal, tools: Tools): Promise<Pruned> {
  const { options, wish } = tools;
  const trials = await trialsOf(state.model, goal, tools);
  const seen = await weighed(state.model, trials, tools);
  if (goal.ratio > 0) {
    const before = seen.groups.map(({ producers }) => state.removed.get(producers[0] as NodeId) ?? 0);
    const removed = uniformPlan(seen.groups, before, goal.ratio, multipleOf(state.model, options, wish));
    return refitted(reference, cut(state, seen, removed), state, tools);
  }
  const branches = await weighedBranches(state.model, trials, tools);
  const sharing = { model: state.model, goal, wish, options };
  const plan = planned({ ...sharing, ...seen }, branches);
  if (plan.branches.length === 0)
    return refitted(reference, cutAsPlanned(state, seen, { ...sharing, ...seen }), state, tools);
  // Channels are chosen anew on what the branches leave.
  const model = withoutBranches(state.model, plan.branches);
  const names = plan.branches.map(({ sum }) => sum).join(', ');
  const notes = [...state.notes, `whole sides of residual sums went: ${names}`];
  const next = await refitted(reference, { ...state, model, notes }, state, tools);
  const again = await weighed(next.model, await trialsOf(next.model, goal, tools), tools);
  const rest = { ...goal, ...(plan.time !== undefined && { time: plan.time }) };
  const left = { ...sharing, ...again, model: next.model, goal: rest };
  return refitted(reference, cutAsPlanned(next, again, left), next, tools);
}

async function trialsOf(
  model: Model,
  goal: Goal,
  { options, calibrator }: Tools,
): Promise<Trials | undefined> {
  const importance = options.choice('importance') as Importance;
  if (!options.boolean('trials') || importance === 'magnitude') return undefined;
  return { distance: await distanceFrom(model, calibrator), compares: goal.ratio === 0 };
}

async function weighed(model: Model, trials: Trials | undefined, tools: Tools): Promise<Seen> {
  const { options, calibrator, context } = tools;
  const channels = channelsOf(model);
  const groups = madeBy(groupsOf(model, channels).groups, context.layers);
  const importance = options.choice('importance') as Importance;
  const curves = await curvesOf(model, channels, groups, importance, calibrator, context, trials);
  return { channels, groups, curves };
}

/** What the loss of each branch means at the outputs, after the layers right behind it are refitted. */
async function weighedBranches(
  model: Model,
  trials: Trials | undefined,
  { options, calibrator, context }: Tools,
): Promise<readonly Weighted[]> {
  if (trials === undefined || !options.boolean('branches') || context.layers !== undefined) return [];
  const found: Weighted[] = [];
  const branches = branchesOf(model);
  for (const [index, branch] of branches.entries()) {
    await context.step(index / branches.length, `trying ${branch.sum} with one side`);
    const without = withoutBranches(model, [branch]);
    const quiet = { step: () => context.step(index / branches.length, `trying ${branch.sum} with one side`) };
    const trial = await repaired(model, without, () => undefined, calibrator, quiet, 3);
    const error = await trials.distance(trial.model);
    if (error !== undefined) found.push({ ...branch, error });
  }
  return found;
}

/** The model without the first so many channels of each group; the same value when there are none. */
function cut(state: Pruned, { channels, groups, curves }: Seen, counts: readonly number[]): Pruned {
  const gone = new Set(
    groups.flatMap((group, g) =>
      [...(curves[g] as Curve).order.subarray(0, counts[g])].map((i) => group.classes[i] as number),
    ),
  );
  if (gone.size === 0) return state;
  const now = keptWithout(channels, gone);
  const model = withoutChannels(state.model, now);
  requireSame(state.model, model);
  const removed = new Map(state.removed);
  groups.forEach(({ producers: [first] }, g) => {
    const count = (state.removed.get(first as NodeId) ?? 0) + (counts[g] as number);
    if (count > 0) removed.set(first as NodeId, count);
  });
  return { ...state, model, kept: composed(state.kept, now), removed };
}

/** Most plans that are made until the estimate of what is left meets the goal. */
const mostPlans = 5;

/** Narrower layers may fall into a slower class of the estimate: the goal is drawn tighter until they meet it. */
function cutAsPlanned(state: Pruned, seen: Seen, sharing: Sharing): Pruned {
  const { goal, wish } = sharing;
  let { time } = goal;
  for (let tries = 1; ; tries += 1) {
    const plan = planned({ ...sharing, goal: { ...goal, ...(time !== undefined && { time }) } }, []);
    const next = noted(cut(state, seen, plan.removed), plan);
    if (time === undefined || goal.time === undefined || goal.mayMiss === true) return next;
    const over = timeCostOf(next.model, [], wish.pacing)([]) - goal.time;
    if (over <= 0 || plan.missed.includes('time') || tries === mostPlans) return next;
    time -= 1.05 * over;
  }
}

function noted(state: Pruned, { missed }: Plan): Pruned {
  const notes = missed.map((name) => `the budget of ${name} is out of reach with the groups that may be cut`);
  return { ...state, notes: [...state.notes, ...notes] };
}

/** Refits what reads something that has changed since `before`. */
async function refitted(reference: Model, state: Pruned, before: Pruned, tools: Tools): Promise<Pruned> {
  const { options, calibrator, context } = tools;
  if (state.model === before.model) return state;
  const statistics = options.boolean('statistics');
  if (!options.boolean('repair')) return statistics ? corrected(reference, state, tools) : state;
  const fixed = await repaired(reference, state.model, state.kept, calibrator, context);
  const notes = [
    `${fixed.refitted} layers refitted on ${calibrator.samples} samples of ${calibrator.source}`,
  ];
  if (fixed.unseen > 0)
    notes.push(`${fixed.unseen} layers behind a cut could not be observed and were not refitted`);
  const next = { ...state, model: fixed.model, notes: [...state.notes, ...notes] };
  return statistics ? corrected(reference, next, tools) : next;
}

/** A fit leaves outputs smaller than they were: their variances are put back where that brings the model's outputs closer. */
async function corrected(reference: Model, state: Pruned, { calibrator, context }: Tools): Promise<Pruned> {
  const rowsLeft = (id: NodeId) => {
    const node = indexOf(reference.graphs[0]).node.get(id);
    const layer = node && multiplyLayerOf(reference, node);
    return layer && keptRows(reference, layer, state.kept);
  };
  const other = await withStatistics(reference, state.model, calibrator, context, { rowsLeft });
  const distance = await distanceFrom(reference, calibrator);
  const [before, after] = [await distance(state.model), await distance(other.model)];
  if (before === undefined || after === undefined || after >= before) {
    const note = 'variances stay as they are: putting them back brought the outputs no closer';
    return { ...state, notes: [...state.notes, note] };
  }
  const note = statisticsNote(other.corrected, calibrator, 'means and variances');
  return { ...state, model: other.model, notes: [...state.notes, note] };
}

/** What is left of the first model's axes after two cuts. */
function composed(first: Kept, then: Kept): Kept {
  return (axis) => {
    const before = first(axis);
    return then(axis)?.map((i) => before?.[i] ?? i) ?? before;
  };
}

/** A cut that changed what goes in or comes out would be a mistake of a flow rule. Throws `KerfError('internal')`. */
function requireSame(before: Model, after: Model): void {
  const [old, now] = [factsOf(before), factsOf(after)];
  for (const id of before.graphs[0].outputs) {
    const [was, is] = [formatShape(old.typeOf(id)?.shape), formatShape(now.typeOf(id)?.shape)];
    if (was !== is)
      throw new KerfError('internal', `pruning would turn the output ${id} from ${was} to ${is}`);
  }
}
