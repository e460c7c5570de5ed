import { bodiesOf } from '../ir/attribute.ts';
import type { Graph, Node, ValueId } from '../ir/model.ts';
import { capturesOf, indexOf, topologicalOrder } from '../ir/walk.ts';

interface ExecutionOrder {
  readonly nodes: readonly Node[];
  /** Nodes on a cycle, and what depends on them; they are not in `nodes`. */
  readonly cyclic: readonly Node[];
}

const orders = new WeakMap<Graph, ExecutionOrder>();

/** The stored order when producers come first in it, as they must; else a topological one. */
export function executionOrder(graph: Graph): ExecutionOrder {
  let found = orders.get(graph);
  if (found === undefined) {
    found = findOrder(graph);
    orders.set(graph, found);
  }
  return found;
}

function findOrder(graph: Graph): ExecutionOrder {
  const { producer } = indexOf(graph);
  const done = new Set<ValueId>();
  const early = (id: ValueId | null) => id !== null && producer.has(id) && !done.has(id);
  for (const node of graph.nodes) {
    if (node.inputs.some(early) || bodiesOf(node).some((body) => [...capturesOf(body)].some(early))) {
      const sorted = topologicalOrder(graph);
      return { nodes: sorted.order, cyclic: sorted.cyclic };
    }
    for (const output of node.outputs) if (output !== null) done.add(output);
  }
  return { nodes: graph.nodes, cyclic: [] };
}

const noReads: readonly ValueId[] = [];

/** Everything a node reads, captures of its bodies included. */
export function readsOf(node: Node): readonly ValueId[] {
  const bodies = bodiesOf(node);
  if (node.inputs.length === 0 && bodies.length === 0) return noReads;
  const reads: ValueId[] = [];
  for (const input of node.inputs) if (input !== null) reads.push(input);
  for (const body of bodies) reads.push(...capturesOf(body));
  return reads;
}
