import type { Cost } from './cost.ts';
import type { Curve } from './eliminate.ts';
import type { Group } from './groups.ts';

/** Narrower multiples serve no kernel. */
const leastMultiple = 4;

/**
 * The multiple for a group on a target whose kernels compute `block` channels at once: whole blocks where the group has
 * four of them, parts where it is narrower, so that every group has something to choose.
 */
export function multipleFor({ classes, width }: Group, block: number): number {
  let multiple = block;
  while (multiple > leastMultiple && classes.length * width < 4 * multiple) multiple /= 2;
  return Math.max(leastMultiple, multiple);
}

/** How many channels of each group may be left: multiples on every axis where a channel is not wide already. */
export function stepsOf(group: Group, multiple: number): readonly number[] {
  const count = group.classes.length;
  const steps: number[] = [];
  for (let left = count - 1; left >= 1; left -= 1)
    if ((left * group.width) % multiple === 0) steps.push(count - left);
  return steps;
}

/** The same share of every group, counted with the channels that went before; rounded so that no more than it goes. */
export function uniformPlan(
  groups: readonly Group[],
  before: readonly number[],
  ratio: number,
  multipleOf: (group: Group) => number,
): number[] {
  return groups.map((group, g) => {
    const gone = before[g] as number;
    const most = ratio * (group.classes.length + gone) - gone + 1e-9;
    return Math.max(0, ...stepsOf(group, multipleOf(group)).filter((removed) => removed <= most));
  });
}

/** A cost and what it may be at most. */
export interface Budget {
  readonly cost: Cost;
  readonly target: number;
}

/**
 * Channels to remove until every budget is met, with the least sum of errors: always the step with the least error per
 * share of what is still too much, whichever group and however long; the last one no longer than it must be. Budgets
 * that cannot be met are met as far as they go.
 */
export function budgetPlan(
  groups: readonly Group[],
  curves: readonly Curve[],
  budgets: readonly Budget[],
  multipleOf: (group: Group) => number,
  improve = true,
): number[] {
  const steps = groups.map((group, i) =>
    stepsOf(group, multipleOf(group)).filter((removed) => removed < (curves[i] as Curve).errors.length),
  );
  const removed = groups.map(() => 0);
  const excess = budgets.map(({ cost, target }) => Math.max(0, cost(removed) - target));
  const met = (plan: readonly number[]) => budgets.every(({ cost, target }) => cost(plan) <= target);
  while (!met(removed)) {
    const now = budgets.map(({ cost }) => cost(removed));
    let best: { group: number; to: number; slope: number } | undefined;
    for (const [group, choices] of steps.entries()) {
      const from = removed[group] as number;
      const { errors } = curves[group] as Curve;
      for (const to of choices) {
        if (to <= from) continue;
        const plan = removed.with(group, to);
        let saved = 0;
        budgets.forEach(({ cost, target }, b) => {
          const [before, all] = [now[b] as number, excess[b] as number];
          if (before > target) saved += (before - cost(plan)) / all;
        });
        const slope = ((errors[to] as number) - (errors[from] as number)) / saved;
        if (saved > 0 && (best === undefined || slope < best.slope)) best = { group, to, slope };
      }
    }
    if (best === undefined) break;
    const { group, to } = best;
    const enough = (steps[group] as readonly number[]).filter(
      (each) => each > (removed[group] as number) && each < to && met(removed.with(group, each)),
    );
    removed[group] = Math.min(to, ...enough);
  }
  return improve ? improved(removed, steps, curves, budgets) : removed;
}

/** Most groups times steps for which pairs are tried: their number grows with the square. */
const mostMoves = 1500;

/**
 * Gives channels back where the budgets allow it, alone or in exchange for others, as long as the sum of errors falls:
 * steps of small layers are coarse, and the last one may have gone much further than it had to.
 */
function improved(
  removed: readonly number[],
  steps: readonly (readonly number[])[],
  curves: readonly Curve[],
  budgets: readonly Budget[],
): number[] {
  // What is out of reach is not given away again.
  const limits = budgets.map(({ cost, target }) => Math.max(target, cost(removed)));
  const allowed = (plan: readonly number[]) =>
    budgets.every(({ cost }, b) => cost(plan) <= (limits[b] as number));
  const choices = steps.map((list) => [0, ...list]);
  const errorAt = (g: number, m: number) => (curves[g] as Curve).errors[m] as number;
  const moves = choices.reduce((sum, list) => sum + list.length, 0);
  const now = [...removed];
  for (;;) {
    let best: { readonly to: readonly number[]; readonly gain: number } | undefined;
    const consider = (to: readonly number[], gain: number) => {
      if (gain > (best?.gain ?? 1e-12) && allowed(to)) best = { to, gain };
    };
    for (const [g, list] of choices.entries()) {
      for (const less of list) {
        if (less >= (now[g] as number)) continue;
        const gain = errorAt(g, now[g] as number) - errorAt(g, less);
        consider(now.with(g, less), gain);
        if (moves > mostMoves) continue;
        for (const [h, others] of choices.entries()) {
          if (h === g) continue;
          for (const more of others)
            if (more > (now[h] as number))
              consider(
                now.with(g, less).with(h, more),
                gain - errorAt(h, more) + errorAt(h, now[h] as number),
              );
        }
      }
    }
    if (best === undefined) return now;
    now.splice(0, now.length, ...best.to);
  }
}
