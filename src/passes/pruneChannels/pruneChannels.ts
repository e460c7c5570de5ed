import { analyse } from '../../analysis/analyse.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Model, NodeId } from '../../ir/model.ts';
import type { OptionValues, Pass, PassContext, PassResult } from '../pass.ts';
import { simplify } from '../simplify/simplify.ts';
import { changedNodes, resultOf } from '../support/graph.ts';
import { readOptions } from '../support/options.ts';
import { prepared } from '../support/prepare.ts';
import { channelsOf } from './channels.ts';
import { timeCostOf } from './cost.ts';
import type { Goal, Wish } from './goal.ts';
import { goalOf, places, predicted, wishOf } from './goal.ts';
import type { Grouping } from './groups.ts';
import { groupsOf } from './groups.ts';
import { importances } from './importance.ts';
import type { Pruned } from './round.ts';
import { pruned } from './round.ts';
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
      name: 'latency',
      title:
        'Share of the predicted latency that is kept, or milliseconds on a device; auto to follow the MACs',
      type: 'text',
      default: 'auto',
      example: '0.6 or 2.5 ms',
    },
    {
      name: 'device',
      title: 'Where it will run: the channels its kernels take at once, and the latency of each layer',
      type: 'choice',
      default: 'auto',
      choices: places,
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
      title: 'Channels that are left are multiples of this; 0 for what the kernels there take at once',
      type: 'integer',
      default: 0,
      min: 0,
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
      name: 'statistics',
      title:
        'After the refit, put the variances of the layers back where that brings the outputs closer to the original',
      type: 'boolean',
      default: false,
    },
    {
      name: 'trials',
      title: "Measure at the model's outputs what cutting each group means, before a budget is shared out",
      type: 'boolean',
      default: true,
    },
    {
      name: 'branches',
      title: 'Let whole sides of residual sums go where that costs less',
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
  const wish = wishOf(model, values, options);
  if (goalOf(model, wish, 1, 1) === undefined)
    return resultOf(model, model, [], ['everything is to be kept: nothing to prune']);
  const simple = await prepared(model, context);
  const start = { ...simple, model: unshared(simple.model) };
  const rounds = options.number('steps');
  let state: Pruned = { model: start.model, kept: () => undefined, removed: new Map(), notes: [] };
  for (let round = 1; round <= rounds; round += 1) {
    const goal = goalOf(model, wish, round, rounds) as Goal;
    state = await pruned(start.model, state, goal, { options, wish, calibrator, context });
  }
  const grouping = groupsOf(start.model, channelsOf(start.model));
  const notes = [...state.notes, ...wholeNotes(grouping)];
  if (state.model === start.model) return resultOf(model, model, [], [...notes, 'no channel was removed']);
  // Where a branch has gone, an activation may be left that changes nothing.
  const clean = await simplify.run(state.model, {}, context);
  const changed = changedNodes(model.graphs[0], clean.model.graphs[0]);
  const share = reportOf(model, clean.model, wish);
  return resultOf(model, clean.model, changed, [...start.notes, ...share, ...notes]);
}

function reportOf(before: Model, after: Model, { latency, pacing }: Wish): string[] {
  const [old, now] = [analyse(before).totals, analyse(after).totals];
  const percent = (a: number, b: number) => `${((100 * a) / b).toFixed(1)} %`;
  const macs =
    old.macs === undefined || now.macs === undefined ? 'an unknown share' : percent(now.macs, old.macs);
  const lines = [`${macs} of the MACs and ${percent(now.params, old.params)} of the weights are left`];
  if (latency === undefined) return lines;
  const [was, is] = [before, after].map((model) => predicted(model, pacing));
  if (was !== undefined && is !== undefined)
    lines.push(
      `estimated latency on ${pacing.device.name}: ${was.toPrecision(3)} ms before, ${is.toPrecision(3)} ms now`,
    );
  else {
    const [all, left] = [before, after].map((model) => timeCostOf(model, [], pacing)([]));
    lines.push(`${percent(left as number, all as number)} of the latency is left, by estimate`);
  }
  return lines;
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
