import { bodiesOf } from './attribute.ts';
import type { Graph, Model, Node, NodeId, Value, ValueId } from './model.ts';

interface Use {
  readonly node: Node;
  readonly index: number;
}

/** Who makes and who reads each value of one graph. Reads from nested bodies count as uses of the outer node. */
interface GraphIndex {
  readonly producer: ReadonlyMap<ValueId, Node>;
  readonly uses: ReadonlyMap<ValueId, readonly Use[]>;
  readonly node: ReadonlyMap<NodeId, Node>;
  readonly isOutput: ReadonlySet<ValueId>;
}

const indexes = new WeakMap<Graph, GraphIndex>();

/** The index of a graph, made once per graph value. */
export function indexOf(graph: Graph): GraphIndex {
  let index = indexes.get(graph);
  if (index === undefined) {
    index = buildIndex(graph);
    indexes.set(graph, index);
  }
  return index;
}

function buildIndex(graph: Graph): GraphIndex {
  const producer = new Map<ValueId, Node>();
  const uses = new Map<ValueId, Use[]>();
  const node = new Map<NodeId, Node>();
  const use = (id: ValueId, of: Node, index: number) => {
    const list = uses.get(id);
    if (list === undefined) uses.set(id, [{ node: of, index }]);
    else list.push({ node: of, index });
  };
  for (const each of graph.nodes) {
    node.set(each.id, each);
    for (const output of each.outputs) if (output !== null) producer.set(output, each);
    for (let index = 0; index < each.inputs.length; index += 1) {
      const input = each.inputs[index];
      if (input != null) use(input, each, index);
    }
    for (const body of bodiesOf(each)) for (const id of capturesOf(body)) use(id, each, -1);
  }
  return { producer, uses, node, isOutput: new Set(graph.outputs) };
}

const captures = new WeakMap<Graph, ReadonlySet<ValueId>>();

/** Values of enclosing graphs that a body reads by name. */
export function capturesOf(body: Graph): ReadonlySet<ValueId> {
  let found = captures.get(body);
  if (found === undefined) {
    found = findCaptures(body);
    captures.set(body, found);
  }
  return found;
}

function findCaptures(body: Graph): ReadonlySet<ValueId> {
  const own = new Set<ValueId>(body.inputs);
  for (const [id, value] of body.values) if (value.constant !== undefined) own.add(id);
  for (const node of body.nodes) for (const output of node.outputs) if (output !== null) own.add(output);
  const outer = new Set<ValueId>();
  const read = (id: ValueId) => {
    if (!own.has(id)) outer.add(id);
  };
  for (const node of body.nodes) {
    for (const input of node.inputs) if (input !== null) read(input);
    for (const nested of bodiesOf(node)) for (const id of capturesOf(nested)) read(id);
  }
  for (const output of body.outputs) read(output);
  return outer;
}

/** Every graph of a model with its nested bodies and function bodies, outer before inner. */
export function* graphsOf(model: Model): Generator<Graph> {
  for (const graph of model.graphs) yield* withBodies(graph);
  if (model.dialect === 'onnx') for (const def of model.functions) yield* withBodies(def.graph);
}

function* withBodies(graph: Graph): Generator<Graph> {
  yield graph;
  for (const node of graph.nodes) for (const body of bodiesOf(node)) yield* withBodies(body);
}

/** Nodes in an order where producers come first, and the nodes left over because they sit on a cycle. */
export function topologicalOrder(graph: Graph): { order: readonly Node[]; cyclic: readonly Node[] } {
  const { producer, uses } = indexOf(graph);
  const waiting = new Map<Node, number>();
  const ready: Node[] = [];
  for (const node of graph.nodes) {
    const sources = new Set<ValueId>();
    for (const input of node.inputs) if (input !== null && producer.has(input)) sources.add(input);
    for (const body of bodiesOf(node))
      for (const id of capturesOf(body)) if (producer.has(id)) sources.add(id);
    waiting.set(node, sources.size);
    if (sources.size === 0) ready.push(node);
  }
  const order: Node[] = [];
  for (let next = 0; next < ready.length; next += 1) {
    const node = ready[next] as Node;
    order.push(node);
    for (const output of node.outputs) {
      if (output === null || producer.get(output) !== node) continue;
      for (const reader of new Set((uses.get(output) ?? []).map((each) => each.node))) {
        const left = (waiting.get(reader) ?? 0) - 1;
        waiting.set(reader, left);
        if (left === 0) ready.push(reader);
      }
    }
  }
  const done = new Set(order);
  return { order, cyclic: graph.nodes.filter((node) => !done.has(node)) };
}

/** Adds to `ids` the constants that their quantizations refer to. */
export function addScaleTensors(values: ReadonlyMap<ValueId, Value>, ids: Set<ValueId>): void {
  for (const id of ids) for (const each of values.get(id)?.quantization?.tensors ?? []) ids.add(each);
}
