import { analyse } from '../../analysis/analyse.ts';
import { paceOf } from '../../devices/estimate.ts';
import type { DeviceProfile } from '../../devices/profile.ts';
import type { ChannelBlocks } from '../../devices/targets/target.ts';
import { workOf } from '../../devices/work.ts';
import { intAttribute } from '../../ir/attribute.ts';
import { bitsOf } from '../../ir/dtype.ts';
import type { Model, Node, NodeId } from '../../ir/model.ts';
import type { AxisOfValue } from '../../ops/flow/flow.ts';
import { operatorOf } from '../../ops/registry.ts';
import { constantOf } from '../support/constants.ts';
import { factsOf } from '../support/facts.ts';
import type { Group } from './groups.ts';

/** What a model costs after so many channels of each group have gone. */
export type Cost = (removed: readonly number[]) => number;

/** What will have gone beside the channels. */
interface CostOptions {
  /** Layers that cost nothing any more. */
  readonly without?: ReadonlySet<NodeId>;
}

interface Side {
  readonly size: number;
  /** Indices per removed channel, by group. */
  readonly widths: readonly (readonly [group: number, width: number])[];
  /** Indices that are computed at once; part of a block costs as much as all of it. */
  readonly block?: number;
  /** See `ChannelBlocks`. */
  readonly start?: number;
  readonly narrow?: number;
}

interface Volume {
  readonly amount: number;
  readonly sides: readonly Side[];
}

/** Multiply-accumulates; `undefined` when the model's are unknown. */
export function macsCostOf(
  model: Model,
  groups: readonly Group[],
  { without }: CostOptions = {},
): Cost | undefined {
  const { layers, totals } = analyse(model);
  if (totals.macs === undefined) return undefined;
  const sideOf = sidesOf(model, groups);
  const byId = new Map(model.graphs[0].nodes.map((node) => [node.id, node]));
  return costOf(
    layers.flatMap(({ id, macs }) => {
      const node = byId.get(id);
      if (node === undefined || !macs || without?.has(id) === true) return [];
      return shared(
        macs,
        partsOf(model, node).map((axes) => axes.map((axis) => sideOf(axis))),
      );
    }),
  );
}

/** Bytes of all constants. */
export function bytesCostOf(model: Model, groups: readonly Group[], { without }: CostOptions = {}): Cost {
  const sideOf = sidesOf(model, groups);
  const [graph] = model.graphs;
  const gone = new Set<string>();
  for (const node of without === undefined ? [] : graph.nodes)
    if (without?.has(node.id) === true) for (const id of node.inputs) if (id !== null) gone.add(id);
  for (const node of gone.size === 0 ? [] : graph.nodes)
    if (without?.has(node.id) !== true) for (const id of node.inputs) if (id !== null) gone.delete(id);
  return costOf(
    [...graph.values.values()].flatMap(({ id, constant }) => {
      if (constant === undefined || gone.has(id)) return [];
      const sides = constant.dims.map((_, axis) => sideOf({ id, axis }));
      return [{ amount: (sizeOf(sides) * bitsOf(constant.dtype)) / 8, sides }];
    }),
  );
}

/** Where a model is to be fast. */
export interface Pacing {
  readonly device: DeviceProfile;
  readonly blocks: ChannelBlocks;
  /** Whether only arithmetic counts: where the device is not known, neither is what else takes time. */
  readonly onlyArithmetic: boolean;
}

/**
 * Milliseconds on a device: the estimator's time of each layer, its arithmetic counted in whole blocks of channels.
 * Layers whose time is unknown count nothing.
 */
export function timeCostOf(
  model: Model,
  groups: readonly Group[],
  { device, blocks, onlyArithmetic }: Pacing,
  { without }: CostOptions = {},
): Cost {
  const sideOf = sidesOf(model, groups);
  const facts = factsOf(model);
  const byId = new Map(model.graphs[0].nodes.map((node) => [node.id, node]));
  const volumes = workOf(model, analyse(model)).flatMap((work): Volume[] => {
    const node = byId.get(work.id);
    const pace = paceOf(device, work);
    if (node === undefined || pace === undefined || without?.has(work.id) === true) return [];
    const parts = partsOf(model, node).map((axes) =>
      axes.map((axis) => ({ ...sideOf(axis), ...blocksAlong(model, node, axis, blocks) })),
    );
    const values = [...node.inputs, ...node.outputs].flatMap((id) => {
      if (id === null) return [];
      const block = constantOf(model.graphs[0], id) === undefined ? blocks.inputs : 1;
      const shape = facts.typeOf(id)?.shape;
      return shape === undefined ? [] : [shape.map((_, axis) => ({ ...sideOf({ id, axis }), block }))];
    });
    if (onlyArithmetic) return pace.compute > 0 ? shared(pace.compute, parts) : [];
    return [
      ...shared(pace.compute, parts),
      ...shared(pace.memory, values),
      { amount: pace.overhead, sides: [] },
    ];
  });
  return costOf(volumes);
}

/** An amount shared out over parts by their sizes; all of it stays when there are none. */
function shared(amount: number, parts: readonly (readonly Side[])[]): Volume[] {
  const sizes = parts.map(sizeOf);
  const all = sizes.reduce((sum, size) => sum + size, 0);
  if (all === 0) return [{ amount, sides: [] }];
  return parts.map((sides, i) => ({ amount: (amount * (sizes[i] as number)) / all, sides }));
}

function costOf(volumes: readonly Volume[]): Cost {
  return (removed) => {
    let total = 0;
    for (const { amount, sides } of volumes) {
      let share = 1;
      for (const side of sides) {
        let gone = 0;
        for (const [group, width] of side.widths) gone += width * (removed[group] as number);
        if (gone > 0) share *= shareLeft(side, gone);
      }
      total += amount * share;
    }
    return total;
  };
}

function shareLeft({ size, block = 1, start = 0, narrow }: Side, gone: number): number {
  if (block === 1 && start === 0) return 1 - gone / size;
  const blocks = (count: number) => {
    const whole = Math.ceil(count / block - 1e-9);
    return start + (narrow !== undefined && whole === 1 ? Math.min(1, (narrow * count) / block) : whole);
  };
  return blocks(size - gone) / blocks(size);
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

/** How a layer's kernel goes along an axis of its weights; products of matrices read any number of inputs. */
function blocksAlong(
  model: Model,
  node: Node,
  { id, axis }: AxisOfValue,
  { outputs, inputs, start, narrow }: ChannelBlocks,
): Pick<Side, 'block' | 'start' | 'narrow'> {
  const operator = operatorOf(model, node);
  const convolution = operator?.family === 'convolution';
  for (const role of operator?.weights?.(node, model) ?? []) {
    if (node.inputs[role.input] !== id) continue;
    if (axis === role.outputAxis)
      return { block: outputs, ...(convolution && start !== undefined && { start }) };
    if (axis === role.inputAxis && convolution)
      return { block: inputs, ...(narrow !== undefined && { narrow }) };
  }
  return {};
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
