import { intsAttribute } from '../../ir/attribute.ts';
import type { Graph, Node, NodeId, ValueId } from '../../ir/model.ts';
import { indexOf } from '../../ir/walk.ts';
import { isBuiltin } from '../support/constants.ts';
import type { Indifferent, Surroundings } from './axisRule.ts';
import { indifferent } from './indifferent.ts';
import { integers } from './axisRule.ts';
import type { Order } from './order.ts';
import { compose, inverse, isIdentity, isOrder, movesNothing, sameOrder } from './order.ts';

/** A transpose with a known order, between two regions. */
interface Turn {
  readonly node: Node;
  readonly from: ValueId;
  readonly to: ValueId;
  readonly order: Order;
}

/** Values whose axes change place together, because operators between them do not care. */
export interface Region {
  readonly rank: number;
  readonly values: ValueId[];
  readonly nodes: { readonly node: Node; readonly rule: Indifferent }[];
  /** How the values are stored, against how the graph has them now. */
  order: Order;
}

export interface Regions {
  readonly all: readonly Region[];
  readonly turns: readonly Turn[];
  regionOf(id: ValueId): Region | undefined;
  /** Whether a node moves this value along with its region, or is a transpose at the border. */
  follows(node: Node, id: ValueId): boolean;
}

function turnOf({ model, facts }: Surroundings, node: Node): Turn | undefined {
  const [from] = node.inputs;
  const [to] = node.outputs;
  if (!isBuiltin(node) || from == null || to == null) return undefined;
  if (model.dialect === 'onnx') {
    if (node.op !== 'Transpose') return undefined;
    const rank = facts.typeOf(from)?.shape?.length;
    const order = intsAttribute(node, 'perm') ?? reversed(rank);
    return order !== undefined && isOrder(order) ? { node, from, to, order } : undefined;
  }
  const order = node.op === 'TRANSPOSE' ? integers({ model, facts }, node, 1) : undefined;
  return order !== undefined && isOrder(order) ? { node, from, to, order } : undefined;
}

function reversed(rank: number | undefined): Order | undefined {
  return rank === undefined ? undefined : Array.from({ length: rank }, (_, i) => rank - 1 - i);
}

/** Puts values that must keep a common order together. Values that bodies of control flow read keep theirs. */
export function regionsOf(around: Surroundings): Regions {
  const graph: Graph = around.model.graphs[0];
  const { uses } = indexOf(graph);
  const parent = new Map<ValueId, ValueId>();
  const find = (id: ValueId): ValueId => {
    let root = id;
    for (let up = parent.get(root); up !== undefined && up !== root; up = parent.get(root)) root = up;
    parent.set(id, root);
    return root;
  };
  const turns: Turn[] = [];
  const nodes: { node: Node; rule: Indifferent }[] = [];
  for (const node of graph.nodes) {
    const turn = turnOf(around, node);
    if (turn !== undefined) {
      turns.push(turn);
      find(turn.from);
      find(turn.to);
      continue;
    }
    const rule = indifferent(around, node);
    const captured = rule?.values.some((id) => (uses.get(id) ?? []).some((use) => use.index === -1));
    if (rule === undefined || captured === true) continue;
    nodes.push({ node, rule });
    const [head] = rule.values;
    for (const id of rule.values) parent.set(find(id), find(head as ValueId));
  }
  const byRoot = new Map<ValueId, Region>();
  for (const id of parent.keys()) {
    const rank = around.facts.typeOf(id)?.shape?.length;
    if (rank === undefined) continue;
    const root = find(id);
    const region = byRoot.get(root) ?? { rank, values: [], nodes: [], order: identity(rank) };
    byRoot.set(root, region);
    region.values.push(id);
  }
  for (const each of nodes) byRoot.get(find(each.rule.values[0] as ValueId))?.nodes.push(each);
  const moving = new Map<Node, ReadonlySet<ValueId>>(
    nodes.map(({ node, rule }) => [node, new Set(rule.values)]),
  );
  for (const { node, from, to } of turns) moving.set(node, new Set([from, to]));
  return {
    all: [...byRoot.values()],
    turns,
    regionOf: (id) => (parent.has(id) ? byRoot.get(find(id)) : undefined),
    follows: (node, id) => moving.get(node)?.has(id) === true,
  };
}

function identity(rank: number): Order {
  return Array.from({ length: rank }, (_, i) => i);
}

/** The order that a transpose has to have when its regions are stored as they are now. */
export function orderBetween({ from, to, order }: Turn, regions: Regions): Order {
  const before = regions.regionOf(from)?.order;
  const after = regions.regionOf(to)?.order;
  const real = before === undefined ? order : compose(inverse(before), order);
  return after === undefined ? real : compose(real, after);
}

/**
 * Chooses an order for each region that leaves the fewest elements to be moved: region by region, until no change
 * pays. `wanted` says which transposes may be moved.
 */
export function chooseOrders(
  around: Surroundings,
  regions: Regions,
  wanted: ReadonlySet<NodeId> | undefined,
): void {
  const touching = new Map<Region, Turn[]>();
  for (const turn of regions.turns) {
    for (const id of [turn.from, turn.to]) {
      const region = regions.regionOf(id);
      if (region === undefined) continue;
      const list = touching.get(region);
      if (list === undefined) touching.set(region, [turn]);
      else if (list.at(-1) !== turn) list.push(turn);
    }
  }
  for (let sweep = 0, changed = true; changed && sweep < 8; sweep += 1) {
    changed = false;
    for (const region of regions.all) {
      const turns = touching.get(region) ?? [];
      if (turns.length === 0 || (wanted !== undefined && !turns.some((turn) => wanted.has(turn.node.id))))
        continue;
      if (improve(around, regions, region, turns)) changed = true;
    }
  }
}

function improve(around: Surroundings, regions: Regions, region: Region, turns: readonly Turn[]): boolean {
  const before = region.order;
  let best = costOf(around, regions, region, turns);
  let chosen = before;
  for (const order of candidates(regions, region, turns)) {
    if (order.length !== region.rank || region.nodes.some(({ rule }) => rule.refuses?.(order) === true))
      continue;
    region.order = order;
    const cost = costOf(around, regions, region, turns);
    if (cost < best) {
      best = cost;
      chosen = order;
    }
  }
  region.order = chosen;
  return !sameOrder(chosen, before);
}

/** Orders under which one of the transposes at the border vanishes. */
function candidates(regions: Regions, region: Region, turns: readonly Turn[]): readonly Order[] {
  const found: Order[] = [];
  for (const { from, to, order } of turns) {
    const [before, after] = [regions.regionOf(from), regions.regionOf(to)];
    if (before === after) continue;
    const next =
      after === region
        ? inverse(before === undefined ? order : compose(inverse(before.order), order))
        : compose(order, after?.order ?? identity(order.length));
    if (!found.some((each) => sameOrder(each, next))) found.push(next);
  }
  return found;
}

/** Elements that transposes at the border of a region move, those included that its order makes necessary. */
function costOf(around: Surroundings, regions: Regions, region: Region, turns: readonly Turn[]): number {
  let cost = 0;
  for (const turn of turns)
    cost += moved(around, turn.from, orderBetween(turn, regions), regions.regionOf(turn.from)?.order);
  if (isIdentity(region.order)) return cost;
  for (const id of region.values) {
    if (needsSource(around, regions, id)) cost += moved(around, id, region.order, undefined);
    if (needsOriginal(around, regions, id)) cost += moved(around, id, inverse(region.order), region.order);
  }
  return cost;
}

/** True when a value is made by what knows only the order that it has now: an input, a convolution. */
export function needsSource({ model }: Surroundings, regions: Regions, id: ValueId): boolean {
  const maker = indexOf(model.graphs[0]).producer.get(id);
  return maker === undefined || !regions.follows(maker, id);
}

/** True when somebody reads a value in the order that it has now. */
export function needsOriginal({ model }: Surroundings, regions: Regions, id: ValueId): boolean {
  const { isOutput } = indexOf(model.graphs[0]);
  return isOutput.has(id) || fixedReaders(model.graphs[0], regions, id).length > 0;
}

/** Readers of a value that do not follow its region. */
export function fixedReaders(graph: Graph, regions: Regions, id: ValueId): readonly Node[] {
  const readers = indexOf(graph).uses.get(id) ?? [];
  return readers.filter(({ node }) => !regions.follows(node, id)).map(({ node }) => node);
}

function moved({ facts }: Surroundings, id: ValueId, order: Order, stored: Order | undefined): number {
  if (isIdentity(order)) return 0;
  const dims = facts.typeOf(id)?.shape ?? [];
  const seen = stored === undefined ? dims : stored.map((axis) => dims[axis] ?? null);
  // Even a reshape is a node more.
  if (movesNothing(seen, order)) return 1;
  return dims.reduce<number>((product, dim) => product * (typeof dim === 'number' ? dim : 1), 1) + 1;
}
