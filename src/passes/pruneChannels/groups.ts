import type { Model, Node, NodeId, ValueId } from '../../ir/model.ts';
import { indexOf } from '../../ir/walk.ts';
import type { AxisOfValue } from '../../ops/flow/flow.ts';
import { operatorOf } from '../../ops/registry.ts';
import { readableConstant } from '../support/constants.ts';
import type { Channels } from './channels.ts';

/** Channels that lie on the same axes: any of them may go, as long as one stays. */
export interface Group {
  /** Classes in the order of the first producer's outputs. */
  readonly classes: readonly number[];
  /** Every axis with indices of the group, and how many of them one channel has on average. */
  readonly axes: readonly { readonly axis: AxisOfValue; readonly width: number }[];
  /** Layers whose weights make these channels. */
  readonly producers: readonly NodeId[];
  /** Rows or columns of a weight that one channel has, in the weight where it has least: 1, or a head's width. */
  readonly width: number;
}

export interface Grouping {
  readonly groups: readonly Group[];
  /** Layers whose outputs all have to stay, by the reason. */
  readonly whole: ReadonlyMap<string, readonly NodeId[]>;
}

/** The axes of a node's stored weights along which its outputs lie; of a recurrent layer, its hidden units. */
export function outputAxesOf(model: Model, node: Node): readonly AxisOfValue[] {
  const [graph] = model.graphs;
  return (operatorOf(model, node)?.weights?.(node, model) ?? []).flatMap((role) => {
    const id = node.inputs[role.input];
    const readable = id != null && role.kind !== 'embedding' && graph.values.get(id)?.constant !== undefined;
    return readable && readableConstant(graph, id) !== undefined ? [{ id, axis: role.outputAxis }] : [];
  });
}

/** All groups of channels that may be removed, in the order of the layers that make them. */
export function groupsOf(model: Model, channels: Channels): Grouping {
  const places = placesOf(channels);
  const groups = new Map<string, { classes: number[]; producers: Set<NodeId> }>();
  const whole = new Map<string, NodeId[]>();
  for (const node of model.graphs[0].nodes) {
    const axes = outputAxesOf(model, node);
    const classes = axes.flatMap((axis) => [...new Set(channels.classesOf(axis))]);
    const free = classes.filter((of) => channels.heldBy(of) === undefined);
    if (axes.length > 0 && free.length === 0) {
      const reason = channels.heldBy(classes[0] ?? -1) ?? 'unknown sizes';
      whole.set(reason, [...(whole.get(reason) ?? []), node.id]);
    }
    for (const of of free) {
      const key = [...(places.get(of)?.keys() ?? [])].join();
      const group = groups.get(key) ?? { classes: [], producers: new Set() };
      groups.set(key, group);
      group.producers.add(node.id);
      if (!group.classes.includes(of)) group.classes.push(of);
    }
  }
  const weights = weightsOf(model);
  const found = [...groups.values()].flatMap(({ classes, producers }) => {
    if (classes.length < 2) return [];
    const axes = axesOf(channels, places, classes);
    const widths = axes.flatMap(({ axis, width }) => (weights.has(axis.id) ? [width] : []));
    return [{ classes, axes, producers: [...producers], width: Math.min(...widths) }];
  });
  return { groups: found, whole };
}

function weightsOf(model: Model): ReadonlySet<ValueId> {
  const found = new Set<ValueId>();
  for (const node of model.graphs[0].nodes)
    for (const role of operatorOf(model, node)?.weights?.(node, model) ?? []) {
      const id = node.inputs[role.input];
      if (id != null && readableConstant(model.graphs[0], id) !== undefined) found.add(id);
    }
  return found;
}

type Places = ReadonlyMap<number, ReadonlyMap<number, number>>;

/** Per class: on which axes it lies, by their number, and with how many indices. */
function placesOf(channels: Channels): Places {
  const places = new Map<number, Map<number, number>>();
  channels.axes.forEach((axis, number) => {
    for (const of of channels.classesOf(axis) ?? []) {
      if (channels.heldBy(of) !== undefined) continue;
      const known = places.get(of) ?? new Map<number, number>();
      places.set(of, known);
      known.set(number, (known.get(number) ?? 0) + 1);
    }
  });
  return places;
}

function axesOf(channels: Channels, places: Places, classes: readonly number[]): Group['axes'] {
  const counts = new Map<number, number>();
  for (const of of classes)
    for (const [axis, count] of places.get(of) ?? []) counts.set(axis, (counts.get(axis) ?? 0) + count);
  return [...counts].map(([number, count]) => ({
    axis: channels.axes[number] as AxisOfValue,
    width: count / classes.length,
  }));
}

/** The groups that some of these layers make. */
export function madeBy(groups: readonly Group[], layers: ReadonlySet<NodeId> | undefined): readonly Group[] {
  return layers === undefined
    ? groups
    : groups.filter((group) => group.producers.some((id) => layers.has(id)));
}

/** Name of the first layer that makes the group, for reports. */
export function nameOf(model: Model, group: Group): string {
  const node = indexOf(model.graphs[0]).node.get(group.producers[0] ?? '');
  return node?.name || node?.id || 'a layer';
}
