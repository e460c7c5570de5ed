import { bodiesOf } from '../../ir/attribute.ts';
import type { Graph, Model, Node, NodeId, ValueId } from '../../ir/model.ts';
import { elementCount } from '../../ir/types.ts';
import { capturesOf, indexOf } from '../../ir/walk.ts';
import { factsOf } from '../../passes/support/facts.ts';

/** A place between two nodes of the main graph in stored order. */
export interface Cut {
  /** Nodes before it. */
  readonly index: number;
  /** Values that are no constants, made before it (or fed) and read behind it. */
  readonly crossing: readonly ValueId[];
}

/** What a node reads, values captured by its bodies included. */
export function readsOf(node: Node): readonly ValueId[] {
  const own = node.inputs.filter((id) => id !== null);
  const bodies = bodiesOf(node);
  return bodies.length === 0 ? own : [...own, ...bodies.flatMap((body) => [...capturesOf(body)])];
}

/** A segment measures between this many layers, so that few large models are loaded and little is run twice. */
const fewestTargets = 2;
const mostTargets = 3;

/**
 * Cuts the main graph into segments of a few target layers each, where the fewest bytes cross; the first cut lies before
 * all nodes, the last one behind them. A graph whose stored order is not an execution order stays whole.
 */
export function cutsOf(model: Model, targets: ReadonlySet<NodeId>): readonly Cut[] {
  const [graph] = model.graphs;
  const { nodes } = graph;
  const crossings = crossingsOf(graph);
  const start: Cut = { index: 0, crossing: crossings?.[0] ?? [] };
  const end: Cut = { index: nodes.length, crossing: [] };
  if (crossings === undefined) return [start, end];
  const bytes = crossings.map(bytesOf(model));
  const cuts: Cut[] = [start];
  let best: number | undefined;
  let seen = 0;
  let seenAtBest = 0;
  for (let index = 1; index < nodes.length; index += 1) {
    if (targets.has((nodes[index - 1] as Node).id)) seen += 1;
    if (seen > mostTargets && best !== undefined) {
      cuts.push({ index: best, crossing: crossings[best] as ValueId[] });
      seen -= seenAtBest;
      best = undefined;
    }
    const allowed = seen >= fewestTargets && bytes[index] !== undefined;
    if (allowed && (best === undefined || (bytes[index] ?? 0) <= (bytes[best] ?? 0))) {
      best = index;
      seenAtBest = seen;
    }
  }
  return [...cuts, end];
}

/** Per place, what crosses it; places where a graph output crosses are left to be passed over. */
function crossingsOf(graph: Graph): readonly (readonly ValueId[])[] | undefined {
  const { producer } = indexOf(graph);
  const place = new Map(graph.nodes.map((node, index) => [node, index]));
  const fed = new Set(graph.inputs);
  const fixed = fixedValues(graph);
  const last = new Map<ValueId, number>();
  const first = new Map<ValueId, number>();
  for (const [index, node] of graph.nodes.entries()) {
    for (const id of readsOf(node)) {
      const maker = producer.get(id);
      const made = maker === undefined ? -1 : (place.get(maker) as number);
      if (made >= index) return undefined;
      // Constants, and what a layer keeps between runs, go with their layers.
      if (maker === undefined && (graph.values.get(id)?.constant !== undefined || !fed.has(id))) continue;
      if (fixed.has(id)) continue;
      first.set(id, made);
      last.set(id, index);
    }
  }
  const crossings: ValueId[][] = Array.from({ length: graph.nodes.length + 1 }, () => []);
  for (const [id, made] of first)
    for (let index = made + 1; index <= (last.get(id) as number); index += 1) crossings[index]?.push(id);
  return crossings;
}

/** Bytes of a crossing for one sample; undefined where nothing may be cut. */
function bytesOf(model: Model): (crossing: readonly ValueId[]) => number | undefined {
  const facts = factsOf(model);
  const { isOutput } = indexOf(model.graphs[0]);
  return (crossing) => {
    if (crossing.length === 0 || crossing.some((id) => isOutput.has(id))) return undefined;
    let sum = 0;
    for (const id of crossing) {
      const type = facts.typeOf(id);
      // What is no tensor of known type cannot be fed.
      if (type === undefined) return undefined;
      const shape = type.shape?.map((dim) => (typeof dim === 'number' ? dim : 1));
      sum += 4 * (elementCount(shape) ?? 1);
    }
    return sum;
  };
}

/**
 * What the nodes behind a cut read of a changed model in place of each crossing value, when they are otherwise the
 * same nodes; undefined when the change reaches behind the cut.
 */
export function crossingIn(base: Model, changed: Model, cut: Cut): ReadonlyMap<ValueId, ValueId> | undefined {
  const [graph] = base.graphs;
  const [other] = changed.graphs;
  const index = indexOf(other);
  const { producer } = indexOf(graph);
  const crossing = new Set(cut.crossing);
  const names = new Map<ValueId, ValueId>();
  const fixed = fixedValues(graph);
  const sameMade = (id: ValueId): boolean => {
    const [was, now] = [producer.get(id), index.producer.get(id)];
    if (was === undefined || now === undefined) return was === now && sameConstant(graph, other, id);
    if (!sameOperator(was, now) || was.inputs.some((input, at) => now.inputs[at] !== input)) return false;
    return was.inputs.every((input) => input === null || sameMade(input));
  };
  const matches = (a: ValueId, b: ValueId): boolean => {
    if (!crossing.has(a)) return a === b && (fixed.has(a) ? sameMade(a) : sameConstant(graph, other, a));
    const known = names.get(a);
    if (known === undefined) names.set(a, b);
    return (known ?? b) === b;
  };
  for (const node of graph.nodes.slice(cut.index)) {
    const now = index.node.get(node.id);
    if (now === undefined || !sameOperator(node, now)) return undefined;
    const same = node.inputs.every((id, at) => {
      const own = now.inputs[at] ?? null;
      return id === null || own === null ? id === own : matches(id, own);
    });
    const captured = bodiesOf(node).every((body) => [...capturesOf(body)].every((id) => matches(id, id)));
    if (!same || !captured) return undefined;
  }
  const ends = graph.outputs.every((id, at) => {
    const maker = producer.get(id);
    const behind = maker !== undefined && graph.nodes.indexOf(maker) >= cut.index;
    return !behind || other.outputs[at] === id;
  });
  return ends && [...names].every(([a, b]) => sameType(base, changed, a, b)) ? names : undefined;
}

/** Operators that exporters put between a stored constant and its reader. */
const makers = new Set(['Constant', 'Identity', 'Transpose', 'Reshape', 'Squeeze', 'Unsqueeze', 'Cast']);

/** What is made of constants alone; every part makes it anew. */
function fixedValues(graph: Graph): ReadonlySet<ValueId> {
  const { producer } = indexOf(graph);
  const fixed = new Set<ValueId>();
  const isFixed = (id: ValueId | null) =>
    id === null || fixed.has(id) || (!producer.has(id) && graph.values.get(id)?.constant !== undefined);
  for (const { op, domain, inputs, outputs } of graph.nodes)
    if (domain === '' && makers.has(op) && inputs.every(isFixed))
      for (const id of outputs) if (id !== null) fixed.add(id);
  return fixed;
}

function sameOperator(a: Node, b: Node): boolean {
  if (a === b) return true;
  if (a.op !== b.op || a.domain !== b.domain || a.version !== b.version) return false;
  if (a.inputs.length !== b.inputs.length || a.outputs.length !== b.outputs.length) return false;
  if (a.outputs.some((id, at) => b.outputs[at] !== id)) return false;
  return sameAttributes(a, b);
}

/** Rewriting often makes equal attributes anew; tensors and bodies are compared by identity. */
function sameAttributes(a: Node, b: Node): boolean {
  if (a.attributes === b.attributes) return true;
  if (a.attributes.size !== b.attributes.size) return false;
  return [...a.attributes].every(([name, attribute]) => {
    const other = b.attributes.get(name);
    if (other === attribute) return true;
    if (other === undefined || other.kind !== attribute.kind) return false;
    if (attribute.kind === 'int') return other.value === attribute.value;
    const plain = ['float', 'bool', 'enum', 'floats', 'ints', 'string', 'ref'].includes(attribute.kind);
    return plain && textOf(attribute) === textOf(other);
  });
}

function textOf(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => (typeof each === 'bigint' ? `${each}n` : each));
}

function sameConstant(a: Graph, b: Graph, id: ValueId): boolean {
  return a.values.get(id)?.constant === b.values.get(id)?.constant;
}

function sameType(base: Model, changed: Model, a: ValueId, b: ValueId): boolean {
  const [x, y] = [factsOf(base).typeOf(a), factsOf(changed).typeOf(b)];
  return x === undefined || y === undefined || x.dtype === y.dtype;
}

/** Values of `changed` that hold what they hold in `base`, because all that leads to them is the same. */
export function unchangedValues(base: Model, changed: Model): ReadonlySet<ValueId> {
  const [graph] = base.graphs;
  const [other] = changed.graphs;
  const { node: nodes, producer } = indexOf(graph);
  const { producer: makers } = indexOf(other);
  const same = new Set<ValueId>(other.inputs.filter((id) => graph.inputs.includes(id)));
  const holds = (id: ValueId): boolean =>
    same.has(id) || (!producer.has(id) && !makers.has(id) && sameConstant(graph, other, id));
  for (const node of other.nodes) {
    const was = nodes.get(node.id);
    if (was === undefined || !sameOperator(was, node)) continue;
    if (was !== node && was.inputs.some((id, at) => (node.inputs[at] ?? null) !== id)) continue;
    if (!readsOf(node).every(holds)) continue;
    for (const id of node.outputs) if (id !== null && sameType(base, changed, id, id)) same.add(id);
  }
  return same;
}
