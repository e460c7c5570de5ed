import type { Graph, Model, Node, ValueId } from '../ir/model.ts';
import { indexOf } from '../ir/walk.ts';
import { operatorOf } from '../ops/registry.ts';
import { executionOrder } from './order.ts';

/** Which layer of one graph is which of another. */
export interface Matching {
  /** Node of `a` to node of `b`. */
  readonly forward: ReadonlyMap<Node, Node>;
  readonly backward: ReadonlyMap<Node, Node>;
}

/** Where an operand comes from, behind conversions that pass values through. */
interface Origin {
  /** The producing node, or `undefined` for inputs and constants. */
  readonly node: Node | undefined;
  readonly value: ValueId;
  /** Number of quantizing and dequantizing nodes that were skipped on the way. */
  readonly conversions: number;
}

/** Follows an operand back through QuantizeLinear, DequantizeLinear and Identity to what it really is. */
export function originOf(id: ValueId, graph: Graph, model: Model): Origin {
  let value = id;
  let conversions = 0;
  const visited = new Set<ValueId>();
  for (;;) {
    const node = graph.values.get(value)?.constant ? undefined : indexOf(graph).producer.get(value);
    const quantizing = node !== undefined && operatorOf(model, node)?.family === 'quantization';
    const first = node?.inputs[0];
    if (node === undefined || !(quantizing || node.op === 'Identity') || !first || visited.has(value)) {
      return { node, value, conversions };
    }
    visited.add(value);
    if (quantizing) conversions += 1;
    value = first;
  }
}

/**
 * Matches the main graphs' layers: the same operator under the same name, or with the same first output; then the same
 * operator fed by matched layers and inputs, in execution order; then layers with the same weights; then what has kept its
 * name but not its operator.
 */
export function matchGraphs(a: Model, b: Model): Matching {
  const forward = new Map<Node, Node>();
  const backward = new Map<Node, Node>();
  const [left, right] = [a.graphs[0], b.graphs[0]];
  const pair = (from: Node, to: Node) => {
    forward.set(from, to);
    backward.set(to, from);
  };
  const matchBy = (keyOf: (node: Node) => string | undefined) => {
    const candidates = uniqueBy(
      left.nodes.filter((node) => !forward.has(node)),
      keyOf,
    );
    for (const [key, node] of uniqueBy(
      right.nodes.filter((each) => !backward.has(each)),
      keyOf,
    )) {
      const other = candidates.get(key);
      if (other !== undefined) pair(other, node);
    }
  };
  const named = (node: Node) => (node.name === '' ? undefined : node.name);
  const withOp = (node: Node, key: string | null | undefined) => key && `${node.op}\n${key}`;
  matchBy((node) => withOp(node, named(node)) || undefined);
  matchBy((node) => withOp(node, node.outputs[0]) || undefined);
  matchStructure(a, b, { forward, backward }, pair);
  const [inLeft, inRight] = [contentKeys(left), contentKeys(right)];
  matchBy((node) => inLeft(node) ?? inRight(node));
  // What is left under an old name is another operator now.
  matchBy(named);
  matchBy((node) => node.outputs[0] ?? undefined);
  return { forward, backward };
}

/** Bytes from both ends of a weight that stand for its content here; the comparison looks at all of them. */
const sampleBytes = 256;

/** Type, dimensions and a sample of the bytes of the weights a node reads, as a key; none without weights. */
function contentKeys(graph: Graph): (node: Node) => string | undefined {
  return (node) => {
    if (indexOf(graph).node.get(node.id) !== node) return undefined;
    const parts = node.inputs.flatMap((id) => {
      const constant = id === null ? undefined : graph.values.get(id)?.constant;
      if (constant === undefined || constant.data.length < sampleBytes || constant.data.missing !== undefined)
        return [];
      const ends = [0, constant.data.length - sampleBytes].map((at) =>
        constant.data.read(at, sampleBytes).join(),
      );
      return [`${constant.dtype}[${constant.dims}] ${ends.join()}`];
    });
    return parts.length === 0 ? undefined : `content ${node.op} ${parts.join(';')}`;
  };
}

/** Nodes whose key no other node has. */
function uniqueBy(
  nodes: readonly Node[],
  keyOf: (node: Node) => string | undefined,
): ReadonlyMap<string, Node> {
  const found = new Map<string, Node>();
  const repeated = new Set<string>();
  for (const node of nodes) {
    const key = keyOf(node);
    if (key === undefined) continue;
    if (found.has(key)) repeated.add(key);
    found.set(key, node);
  }
  for (const key of repeated) found.delete(key);
  return found;
}

function matchStructure(a: Model, b: Model, so: Matching, pair: (from: Node, to: Node) => void): void {
  const waiting = new Map<string, Node[]>();
  for (const node of executionOrder(a.graphs[0]).nodes) {
    if (so.forward.has(node)) continue;
    const key = structureOf(node, a, (each) => each);
    const list = waiting.get(key);
    if (list === undefined) waiting.set(key, [node]);
    else list.push(node);
  }
  // Nodes of `a` are keyed by their own feeders, those of `b` by the counterparts of theirs: in execution order every
  // feeder has met its counterpart before its readers are looked at.
  for (const node of executionOrder(b.graphs[0]).nodes) {
    if (so.backward.has(node)) continue;
    const other = waiting.get(structureOf(node, b, (each) => so.backward.get(each)))?.shift();
    if (other !== undefined) pair(other, node);
  }
}

/** Operator and feeding layer, named after the layer of the first model. */
function structureOf(node: Node, model: Model, inFirst: (node: Node) => Node | undefined): string {
  const graph = model.graphs[0];
  const feeds = node.inputs
    .filter((id): id is ValueId => id !== null && id !== '')
    .map((id) => originOf(id, graph, model))
    .filter((origin) => graph.values.get(origin.value)?.constant === undefined)
    .map(({ node: source, value }) => {
      if (source !== undefined) return `node ${inFirst(source)?.id}`;
      return `input ${graph.inputs.indexOf(value)}`;
    });
  return `${node.domain}.${node.op} of ${feeds.join(', ')}`;
}
