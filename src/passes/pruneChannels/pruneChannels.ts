import { analyse } from '../../analysis/analyse.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Model, NodeId } from '../../ir/model.ts';
import { formatShape } from '../../ir/types.ts';
import type { Calibrator, OptionValues, Pass, PassContext, PassResult } from '../pass.ts';
import { factsOf } from '../support/facts.ts';
import { changedNodes, resultOf } from '../support/graph.ts';
import type { Options } from '../support/options.ts';
import { readOptions } from '../support/options.ts';
import { prepared } from '../support/prepare.ts';
import { channelsOf } from './channels.ts';
import type { Kept } from './cut.ts';
import { keptWithout, withoutChannels } from './cut.ts';
import type { Curve } from './eliminate.ts';
import type { Group, Grouping } from './groups.ts';
import { groupsOf, madeBy } from './groups.ts';
import type { Importance } from './importance.ts';
import { curvesOf, importances } from './importance.ts';
import { budgetPlan, bytesCostOf, macsCostOf, uniformPlan } from './plan.ts';
import { repaired } from './repair.ts';
import { distanceFrom } from './sensitivity.ts';
import { unshared } from './unshare.ts';

/** Removes channels, filters, neurons, heads and hidden units, and refits what reads the others. */
export const pruneChannels: Pass = {
  id: 'prune-channels',
  title: 'Prune channels',
  summary:
    'Removes the channels, neurons, heads and hidden units that the rest can make up for, and refits the layers behind them to calibration data.',
  dialects: ['onnx', 'tflite'],
  exact: false,
  calibration: 'required',
  options: [
    {
      name: 'macs',
      title: "Share of the model's MACs that is kept; 1 for no such budget",
      type: 'number',
      default: 0.7,
      min: 0,
      max: 1,
    },
    {
      name: 'size',
      title: 'Share of the bytes of all weights that is kept; 1 for no such budget',
      type: 'number',
      default: 1,
      min: 0,
      max: 1,
    },
    {
      name: 'ratio',
      title: 'Share of the channels that goes, the same in every group; 0 to go by a budget',
      type: 'number',
      default: 0,
      min: 0,
      max: 0.95,
    },
    {
      name: 'multiple',
      title: 'Channels that are left are multiples of this',
      type: 'integer',
      default: 4,
      min: 1,
      max: 64,
    },
    {
      name: 'importance',
      title: 'Which channels go first',
      type: 'choice',
      default: 'reconstruction',
      choices: importances,
    },
    { name: 'repair', title: 'Refit the layers behind to calibration data', type: 'boolean', default: true },
    {
      name: 'trials',
      title: "Measure at the model's outputs what cutting each group means, before a budget is shared out",
      type: 'boolean',
      default: true,
    },
    {
      name: 'steps',
      title: 'Rounds of removing and refitting',
      type: 'integer',
      default: 1,
      min: 1,
      max: 16,
    },
  ],
  appliesTo: (node, model) => prunableLayers(model).has(node.id),
  run: runPruneChannels,
};

const prunable = new WeakMap<Model, ReadonlySet<NodeId>>();

/** Layers that make channels of which some may go. */
function prunableLayers(model: Model): ReadonlySet<NodeId> {
  let layers = prunable.get(model);
  if (layers === undefined) {
    const { groups } = groupsOf(model, channelsOf(model));
    layers = new Set(groups.flatMap((group) => group.producers));
    prunable.set(model, layers);
  }
  return layers;
}

async function runPruneChannels(
  model: Model,
  values: OptionValues,
  context: PassContext,
): Promise<PassResult> {
  const options = readOptions(pruneChannels.options, values);
  const { calibrator } = context;
  if (calibrator === undefined) throw new KerfError('bad-dataset', 'prune-channels needs calibration data');
  if (goalOf(model, options, 1, 1) === undefined)
    return resultOf(model, model, [], ['everything is to be kept: nothing to prune']);
  const simple = await prepared(model, context);
  const start = { ...simple, model: unshared(simple.model) };
  const rounds = options.number('steps');
  let state: Pruned = { model: start.model, kept: () => undefined, removed: new Map(), notes: [] };
  for (let round = 1; round <= rounds; round += 1) {
    const goal = goalOf(model, options, round, rounds) as Goal;
    state = await prune(start.model, state, goal, { options, calibrator, context });
  }
  const grouping = groupsOf(start.model, channelsOf(start.model));
  const notes = [...state.notes, ...wholeNotes(grouping)];
  if (state.removed.size === 0) return resultOf(model, model, [], [...notes, 'no channel was removed']);
  const changed = changedNodes(model.graphs[0], state.model.graphs[0]);
  const share = reportOf(model, state.model);
  return resultOf(model, state.model, changed, [...start.notes, ...share, ...notes]);
}

/** What one round has to reach. */
interface Goal {
  readonly ratio: number;
  readonly macs?: number;
  readonly bytes?: number;
}

/** Targets counted from the model as it was given, part of the way; `undefined` when nothing is to go. */
function goalOf(model: Model, options: Options, round: number, rounds: number): Goal | undefined {
  const [ratio, macs, size] = [options.number('ratio'), options.number('macs'), options.number('size')];
  // A ratio, where one is given, stands in the place of the default budget.
  if (ratio > 0) return { ratio: 1 - (1 - ratio) ** (round / rounds) };
  if (macs === 1 && size === 1) return undefined;
  const { totals } = analyse(model);
  const share = (left: number) => left ** (round / rounds);
  return {
    ratio: 0,
    ...(macs < 1 && totals.macs !== undefined && { macs: totals.macs * share(macs) }),
    ...(size < 1 && { bytes: totals.weightBytes * share(size) }),
  };
}

interface Pruned {
  readonly model: Model;
  /** Of the axes of the model before the first round. */
  readonly kept: Kept;
  /** Channels that have gone, by the first layer that made them. */
  readonly removed: ReadonlyMap<NodeId, number>;
  readonly notes: readonly string[];
}

interface Tools {
  readonly options: Options;
  readonly calibrator: Calibrator;
  readonly context: PassContext;
}

async function prune(reference: Model, state: Pruned, goal: Goal, tools: Tools): Promise<Pruned> {
  const { options, calibrator, context } = tools;
  const { model } = state;
  const channels = channelsOf(model);
  const groups = madeBy(groupsOf(model, channels).groups, context.layers);
  if (groups.length === 0) return state;
  const importance = options.choice('importance') as Importance;
  const trials =
    options.boolean('trials') && importance !== 'magnitude'
      ? { distance: await distanceFrom(model, calibrator), compares: goal.ratio === 0 }
      : undefined;
  const curves = await curvesOf(model, channels, groups, importance, calibrator, context, trials);
  const before = groups.map(({ producers }) => state.removed.get(producers[0] as NodeId) ?? 0);
  const plan = planOf(model, groups, before, curves, goal, options.number('multiple'));
  const gone = new Set(
    groups.flatMap((group, g) =>
      [...(curves[g] as Curve).order.subarray(0, plan.removed[g])].map((i) => group.classes[i] as number),
    ),
  );
  if (gone.size === 0) return { ...state, notes: plan.notes };
  const now = keptWithout(channels, gone);
  const cut = withoutChannels(model, now);
  requireSame(model, cut);
  const kept = composed(state.kept, now);
  const removed = new Map(state.removed);
  groups.forEach(({ producers: [first] }, g) => {
    const count = (before[g] as number) + (plan.removed[g] as number);
    if (count > 0) removed.set(first as NodeId, count);
  });
  if (!options.boolean('repair')) return { model: cut, kept, removed, notes: plan.notes };
  const fixed = await repaired(reference, cut, kept, calibrator, context);
  const notes = [
    `${fixed.refitted} layers refitted on ${calibrator.samples} samples of ${calibrator.source}`,
  ];
  if (fixed.unseen > 0)
    notes.push(`${fixed.unseen} layers behind a cut could not be observed and were not refitted`);
  return { model: fixed.model, kept, removed, notes: [...plan.notes, ...notes] };
}

function planOf(
  model: Model,
  groups: readonly Group[],
  before: readonly number[],
  curves: readonly Curve[],
  goal: Goal,
  multiple: number,
): { removed: readonly number[]; notes: readonly string[] } {
  if (goal.ratio > 0) return { removed: uniformPlan(groups, before, goal.ratio, multiple), notes: [] };
  const notes: string[] = [];
  let removed = groups.map(() => 0);
  const macs = macsCostOf(model, groups);
  if (goal.macs !== undefined && macs !== undefined)
    removed = budgetPlan(groups, curves, macs, goal.macs, multiple);
  else if (goal.bytes === undefined)
    notes.push("the model's MACs are unknown: use ratio or size instead of macs");
  if (goal.bytes !== undefined) {
    const bytes = bytesCostOf(model, groups);
    removed = budgetPlan(groups, curves, bytes, goal.bytes, multiple, removed);
    if (bytes(removed) > goal.bytes) notes.push('the budget of bytes is out of reach');
  }
  if (goal.macs !== undefined && macs !== undefined && macs(removed) > goal.macs)
    notes.push('the budget of MACs is out of reach with the groups that may be cut');
  return { removed, notes };
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

function reportOf(before: Model, after: Model): string[] {
  const [old, now] = [analyse(before).totals, analyse(after).totals];
  const percent = (a: number, b: number) => `${((100 * a) / b).toFixed(1)} %`;
  const macs =
    old.macs === undefined || now.macs === undefined ? 'an unknown share' : percent(now.macs, old.macs);
  return [`${macs} of the MACs and ${percent(now.params, old.params)} of the weights are left`];
}

/** At most this many reasons are told. */
const mostReasons = 6;

function wholeNotes({ whole }: Grouping): string[] {
  const reasons = [...whole].sort(([, a], [, b]) => b.length - a.length);
  const notes = reasons.slice(0, mostReasons).map(([reason, layers]) => {
    const [first] = layers;
    return `${layers.length === 1 ? `${first} keeps` : `${layers.length} layers (${first} and others) keep`} all outputs because of ${reason}`;
  });
  const more = reasons.length - notes.length;
  return more > 0 ? [...notes, `${more} more reasons keep other layers whole`] : notes;
}
