import { analyse } from '../../analysis/analyse.ts';
import { bitsOf } from '../../ir/dtype.ts';
import type { Model, Node } from '../../ir/model.ts';
import { intAttribute } from '../../ir/attribute.ts';
import type { AxisOfValue } from '../../ops/flow/flow.ts';
import { operatorOf } from '../../ops/registry.ts';
import { factsOf } from '../support/facts.ts';
import type { Curve } from './eliminate.ts';
import type { Group } from './groups.ts';

/** What a model costs after so many channels of each group have gone. */
export type Cost = (removed: readonly number[]) => number;

interface Side {
  readonly size: number;
  /** Indices per removed channel, by group. */
  readonly widths: readonly (readonly [group: number, width: number])[];
}

interface Volume {
  readonly amount: number;
  readonly sides: readonly Side[];
}

/** Multiply-accumulates; `undefined` when the model's are unknown. */
export function macsCostOf(model: Model, groups: readonly Group[]): Cost | undefined {
  const { layers, totals } = analyse(model);
  if (totals.macs === undefined) return undefined;
  const sideOf = sidesOf(model, groups);
  const byId = new Map(model.graphs[0].nodes.map((node) => [node.id, node]));
  const volumes = layers.flatMap((layer) => {
    const node = byId.get(layer.id);
    if (node === undefined || !layer.macs) return [];
    const parts = partsOf(model, node).map((axes) => axes.map(sideOf));
    const sizes = parts.map(sizeOf);
    const all = sizes.reduce((sum, size) => sum + size, 0);
    if (all === 0) return [{ amount: layer.macs, sides: [] }];
    return parts.map((sides, i) => ({
      amount: ((layer.macs as number) * (sizes[i] as number)) / all,
      sides,
    }));
  });
  return costOf(volumes);
}

/** Bytes of all constants. */
export function bytesCostOf(model: Model, groups: readonly Group[]): Cost {
  const sideOf = sidesOf(model, groups);
  const volumes = [...model.graphs[0].values.values()].flatMap(({ id, constant }) => {
    if (constant === undefined) return [];
    const sides = constant.dims.map((_, axis) => sideOf({ id, axis }));
    return [{ amount: (sizeOf(sides) * bitsOf(constant.dtype)) / 8, sides }];
  });
  return costOf(volumes);
}

function costOf(volumes: readonly Volume[]): Cost {
  return (removed) => {
    let total = 0;
    for (const { amount, sides } of volumes) {
      let share = 1;
      for (const { size, widths } of sides) {
        let gone = 0;
        for (const [group, width] of widths) gone += width * (removed[group] as number);
        if (gone > 0) share *= 1 - gone / size;
      }
      total += amount * share;
    }
    return total;
  };
}

function sizeOf(sides: readonly Side[]): number {
  return sides.reduce((product, { size }) => product * size, 1);
}

function sidesOf(model: Model, groups: readonly Group[]): (axis: AxisOfValue) => Side {
  const facts = factsOf(model);
  const widths = new Map<string, [number, number][]>();
  groups.forEach((group, index) => {
    for (const { axis, width } of group.axes) {
      const key = `${axis.axis} ${axis.id}`;
      widths.set(key, [...(widths.get(key) ?? []), [index, width]]);
    }
  });
  return (axis) => {
    const dim = facts.typeOf(axis.id)?.shape?.[axis.axis];
    return { size: typeof dim === 'number' ? dim : 1, widths: widths.get(`${axis.axis} ${axis.id}`) ?? [] };
  };
}

/** The axes whose sizes multiply to a layer's arithmetic: of its weights, or of a product of activations. */
function partsOf(model: Model, node: Node): readonly (readonly AxisOfValue[])[] {
  const facts = factsOf(model);
  const axesOf = (id: string) => (facts.typeOf(id)?.shape ?? []).map((_, axis) => ({ id, axis }));
  const roles = operatorOf(model, node)?.weights?.(node, model) ?? [];
  const weights = roles.flatMap((role) => node.inputs[role.input] ?? []);
  if (weights.length > 0) return weights.map(axesOf);
  const [a] = node.inputs;
  const [y] = node.outputs;
  if (a == null || y == null || !(node.op === 'MatMul' || node.op === 'BATCH_MATMUL' || node.op === 'Gemm'))
    return [];
  const turned = intAttribute(node, node.op === 'Gemm' ? 'transA' : 'adj_x', 0) !== 0;
  const inner = axesOf(a).at(turned ? -2 : -1);
  return inner === undefined ? [] : [[...axesOf(y), inner]];
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
  multiple: number,
): number[] {
  return groups.map((group, g) => {
    const gone = before[g] as number;
    const most = ratio * (group.classes.length + gone) - gone + 1e-9;
    return Math.max(0, ...stepsOf(group, multiple).filter((removed) => removed <= most));
  });
}

/**
 * Channels to remove until the cost is at most `target`, with the least sum of errors: always the step with the least
 * error per cost saved, whichever group and however long; the last one no longer than it must be.
 */
export function budgetPlan(
  groups: readonly Group[],
  curves: readonly Curve[],
  cost: Cost,
  target: number,
  multiple: number,
  start: readonly number[] = groups.map(() => 0),
): number[] {
  const steps = groups.map((group, i) =>
    stepsOf(group, multiple).filter((removed) => removed < (curves[i] as Curve).errors.length),
  );
  const removed = [...start];
  for (let now = cost(removed); now > target; now = cost(removed)) {
    let best: { group: number; to: number; slope: number } | undefined;
    for (const [group, choices] of steps.entries()) {
      const from = removed[group] as number;
      const { errors } = curves[group] as Curve;
      for (const to of choices) {
        if (to <= from) continue;
        const saved = now - cost(removed.with(group, to));
        const slope = ((errors[to] as number) - (errors[from] as number)) / saved;
        if (saved > 0 && (best === undefined || slope < best.slope)) best = { group, to, slope };
      }
    }
    if (best === undefined) break;
    const { group, to } = best;
    const enough = (steps[group] as readonly number[]).filter(
      (each) => each > (removed[group] as number) && each < to && cost(removed.with(group, each)) <= target,
    );
    removed[group] = Math.min(to, ...enough);
  }
  return improved(removed, steps, curves, cost, target, start);
}

/** Most groups times steps for which pairs are tried: their number grows with the square. */
const mostMoves = 1500;

/**
 * Gives channels back where the budget allows it, alone or in exchange for others, as long as the sum of errors falls:
 * steps of small layers are coarse, and the last one may have gone much further than it had to.
 */
function improved(
  removed: readonly number[],
  steps: readonly (readonly number[])[],
  curves: readonly Curve[],
  cost: Cost,
  target: number,
  start: readonly number[],
): number[] {
  if (cost(removed) > target) return [...removed];
  const choices = steps.map((list, g) =>
    [start[g] as number, ...list].filter((each) => each >= (start[g] as number)),
  );
  const errorAt = (g: number, m: number) => (curves[g] as Curve).errors[m] as number;
  const moves = choices.reduce((sum, list) => sum + list.length, 0);
  const now = [...removed];
  for (;;) {
    let best: { readonly to: readonly number[]; readonly gain: number } | undefined;
    const consider = (to: readonly number[], gain: number) => {
      if (gain > (best?.gain ?? 1e-12) && cost(to) <= target) best = { to, gain };
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
