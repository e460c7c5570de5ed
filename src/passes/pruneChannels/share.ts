import type { Model, NodeId } from '../../ir/model.ts';
import { indexOf } from '../../ir/walk.ts';
import { operatorOf } from '../../ops/registry.ts';
import type { Options } from '../support/options.ts';
import type { Branch } from './branches.ts';
import { bytesCostOf, macsCostOf, timeCostOf } from './cost.ts';
import type { Curve } from './eliminate.ts';
import type { Goal, Wish } from './goal.ts';
import type { Group } from './groups.ts';
import type { Budget } from './plan.ts';
import { budgetPlan, multipleFor } from './plan.ts';

/** What is known of a model's channels before any goes. */
export interface Weighed {
  readonly groups: readonly Group[];
  readonly curves: readonly Curve[];
}

/** A branch with what its loss means at the outputs, in the unit of the curves. */
export interface Weighted extends Branch {
  readonly error: number;
}

export interface Plan {
  readonly branches: readonly Weighted[];
  readonly removed: readonly number[];
  /** Sum over branches and groups. */
  readonly error: number;
  /** Names of the budgets that are out of reach. */
  readonly missed: readonly string[];
  /** The time that the plan was made for. */
  readonly time: number | undefined;
}

export interface Sharing extends Weighed {
  readonly model: Model;
  readonly goal: Goal;
  readonly wish: Wish;
  readonly options: Options;
}

/**
 * How many channels count as one step in each group: what was asked for, or what the kernels take at once. Recurrent
 * kernels multiply by all gates together and take any number of hidden units.
 */
export function multipleOf(model: Model, options: Options, { pacing }: Wish): (group: Group) => number {
  const multiple = options.number('multiple');
  if (multiple > 0) return () => multiple;
  const { node } = indexOf(model.graphs[0]);
  const recurrent = (id: NodeId) => {
    const maker = node.get(id);
    const roles = maker && operatorOf(model, maker)?.weights?.(maker, model);
    return roles?.some(({ kind }) => kind === 'recurrent') === true;
  };
  return (group) => (group.producers.some(recurrent) ? 1 : multipleFor(group, pacing.blocks.outputs));
}

/** How much longer a time may be, step by step, when it is only preferred; then it does not count. */
const patience = [1, 1.03, 1.06, 1.09, 1.13, 1.17, 1.21, 1.26, 1.31];
/** How much more error a preferred time may cost than the other budgets alone. */
const worth = 1.5;
/** How far below the MACs that were asked for a preferred time may lead: narrow networks pay in whole blocks. */
const furthest = 0.85;
/** Most branches that are weighed against channels. */
const mostSets = 12;

/** The plan with the least error that meets the goal, with whole branches where they cost less than channels. */
export function planned(sharing: Sharing, branches: readonly Weighted[]): Plan {
  const { goal } = sharing;
  const few = branches.toSorted((a, b) => a.error / a.macs - b.error / b.macs).slice(0, mostSets);
  if (goal.time === undefined || goal.mayMiss !== true)
    return finished(sharing, withBest(sharing, few, goal.time));
  const loose = withBest(sharing, few, undefined);
  for (const factor of patience) {
    const plan = withBest(sharing, few, goal.time * factor);
    const near = macsLeft(sharing, plan) >= furthest * (goal.macs ?? 0);
    if (near && plan.missed.length <= loose.missed.length && plan.error <= worth * loose.error)
      return finished(sharing, plan);
  }
  return finished(sharing, loose);
}

function macsLeft({ model, groups }: Sharing, { branches, removed }: Plan): number {
  const without = new Set(branches.flatMap(({ layers }) => [...layers]));
  return macsCostOf(model, groups, { without })?.(removed) ?? Number.POSITIVE_INFINITY;
}

/** Takes one branch after another as long as that lowers the error. */
function withBest(sharing: Sharing, branches: readonly Weighted[], time: number | undefined): Plan {
  let best = planWith(sharing, [], time, false);
  for (;;) {
    const before = best;
    for (const branch of branches) {
      if (clash(before.branches, branch)) continue;
      const plan = planWith(sharing, [...before.branches, branch], time, false);
      const closer = plan.missed.length - best.missed.length;
      if (closer < 0 || (closer === 0 && plan.error < best.error)) best = plan;
    }
    if (best === before) return best;
  }
}

function finished(sharing: Sharing, { branches, time }: Plan): Plan {
  return planWith(sharing, branches, time, true);
}

/** Both sides of a sum cannot go, and what has gone with another branch cannot go again. */
function clash(chosen: readonly Branch[], branch: Branch): boolean {
  return chosen.some(
    ({ sum, layers }) => sum === branch.sum || layers.has(branch.sum) || branch.layers.has(sum),
  );
}

function planWith(
  sharing: Sharing,
  branches: readonly Weighted[],
  time: number | undefined,
  improve: boolean,
): Plan {
  const { model, groups, curves, options, wish } = sharing;
  const without = new Set(branches.flatMap(({ layers }) => [...layers]));
  const left = groups.map(({ producers }) => !producers.every((id) => without.has(id)));
  const fixed = curves.map((curve, g) =>
    left[g] === true ? curve : { order: new Int32Array(), errors: new Float64Array(1) },
  );
  const budgets = budgetsOf(sharing, without, time);
  const removed = budgetPlan(groups, fixed, budgets, multipleOf(model, options, wish), improve);
  const missed = budgets.filter(({ cost, target }) => cost(removed) > target * (1 + 1e-9));
  const errors = removed.map((count, g) => fixed[g]?.errors[count] ?? 0);
  return {
    branches,
    removed,
    error: [...branches, ...errors].reduce<number>(
      (sum, each) => sum + (typeof each === 'number' ? each : each.error),
      0,
    ),
    missed: missed.map(({ name }) => name),
    time,
  };
}

function budgetsOf(
  { model, groups, goal, wish }: Sharing,
  without: ReadonlySet<string>,
  time: number | undefined,
): readonly (Budget & { readonly name: string })[] {
  const macs = goal.macs === undefined ? undefined : macsCostOf(model, groups, { without });
  return [
    ...(macs === undefined ? [] : [{ name: 'MACs', cost: macs, target: goal.macs as number }]),
    ...(goal.bytes === undefined
      ? []
      : [{ name: 'bytes', cost: bytesCostOf(model, groups, { without }), target: goal.bytes }]),
    ...(time === undefined
      ? []
      : [{ name: 'time', cost: timeCostOf(model, groups, wish.pacing, { without }), target: time }]),
  ];
}
