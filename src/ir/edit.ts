import type { Attribute, Graph, Model, Node, NodeId, Quantization, Value, ValueId } from './model.ts';
import { bodiesOf } from './attribute.ts';
import type { Tensor } from './tensor.ts';
import { tensorType } from './types.ts';
import { addScaleTensors, capturesOf, graphsOf, indexOf } from './walk.ts';

/**
 * Builds an edited copy of one graph. Everything not touched is shared with the original; `finish()` returns the
 * original itself when nothing changed. Uses replaced with `replaceUses` take effect at `finish()`, in nested bodies too.
 */
export class GraphEditor {
  readonly #graph: Graph;
  readonly #taken: () => Set<NodeId>;
  /** The graph's own until the first change: most editors change nothing. */
  #values: ReadonlyMap<ValueId, Value>;
  readonly #replacement = new Map<NodeId, readonly Node[]>();
  readonly #after = new Map<NodeId, Node[]>();
  readonly #start: Node[] = [];
  readonly #alias = new Map<ValueId, ValueId>();
  #inputs: readonly ValueId[];
  #outputs: readonly ValueId[];
  #dirty = false;
  /** Nodes that were added, replaced or changed. */
  readonly changed = new Set<NodeId>();

  constructor(graph: Graph, model: Model) {
    this.#graph = graph;
    this.#values = graph.values;
    this.#inputs = graph.inputs;
    this.#outputs = graph.outputs;
    let taken: Set<NodeId> | undefined;
    this.#taken = () => {
      if (taken === undefined) {
        taken = new Set();
        for (const each of graphsOf(model)) for (const node of each.nodes) taken.add(node.id);
      }
      return taken;
    };
  }

  value(id: ValueId): Value | undefined {
    return this.#values.get(id);
  }

  /** Follows `replaceUses`: what a reader of `id` will read in the finished graph. */
  resolve(id: ValueId): ValueId {
    let current = id;
    for (let next = this.#alias.get(current); next !== undefined; next = this.#alias.get(current))
      current = next;
    return current;
  }

  /** Puts `nodes` where the node was; the empty list removes it. */
  replaceNode(id: NodeId, nodes: readonly Node[]): void {
    this.#dirty = true;
    this.#replacement.set(id, nodes);
    this.changed.add(id);
    for (const node of nodes) this.#register(node);
  }

  removeNode(id: NodeId): void {
    this.replaceNode(id, []);
  }

  insertAfter(id: NodeId, nodes: readonly Node[]): void {
    this.#dirty = true;
    this.#after.set(id, [...(this.#after.get(id) ?? []), ...nodes]);
    for (const node of nodes) this.#register(node);
  }

  /** Inserts nodes before all others. */
  insertFirst(nodes: readonly Node[]): void {
    this.#dirty = true;
    this.#start.push(...nodes);
    for (const node of nodes) this.#register(node);
  }

  setValue(value: Value): void {
    this.#dirty = true;
    this.#put(value);
  }

  /** A new value with an unused id based on `base`. */
  addValue(base: string, value: Omit<Value, 'id' | 'name'> = {}): ValueId {
    const id = this.freshValue(base);
    this.setValue({ ...value, id, name: id });
    return id;
  }

  addConstant(base: string, tensor: Tensor, quantization?: Quantization): ValueId {
    const type = tensorType(tensor.dtype, tensor.dims);
    return this.addValue(base, { type, constant: tensor, ...(quantization && { quantization }) });
  }

  /** Every reader of `from`, graph outputs included, will read `to`. */
  replaceUses(from: ValueId, to: ValueId): void {
    const target = this.resolve(to);
    if (this.resolve(from) === target) return;
    this.#dirty = true;
    this.#alias.set(this.resolve(from), target);
  }

  setInputs(inputs: readonly ValueId[]): void {
    this.#dirty = true;
    this.#inputs = inputs;
  }

  setOutputs(outputs: readonly ValueId[]): void {
    this.#dirty = true;
    this.#outputs = outputs;
  }

  freshValue(base: string): ValueId {
    // Files need not list what layers make.
    const { producer } = indexOf(this.#graph);
    return fresh(base, (id) => this.#values.has(id) || producer.has(id));
  }

  freshNode(base: string): NodeId {
    return fresh(base, (id) => this.#taken().has(id));
  }

  /** The edited graph, without the values that no node, input or output mentions any more. */
  finish(): Graph {
    if (!this.#dirty) return this.#graph;
    const nodes: Node[] = [];
    const push = (node: Node) => {
      nodes.push(this.#renamed(node));
      for (const follower of this.#after.get(node.id) ?? []) push(follower);
    };
    this.#start.forEach(push);
    for (const node of this.#graph.nodes) {
      const replaced = this.#replacement.get(node.id);
      if (replaced === undefined) {
        if (this.#after.size > 0) push(node);
        else nodes.push(this.#renamed(node));
      } else {
        replaced.forEach(push);
        if (!replaced.some((each) => each.id === node.id)) this.#after.get(node.id)?.forEach(push);
      }
    }
    const outputs = this.#outputs.map((id) => this.resolve(id));
    const values = this.#liveValues(nodes, outputs);
    return { ...this.#graph, nodes, outputs, inputs: this.#inputs, values };
  }

  #register(node: Node): void {
    this.changed.add(node.id);
    this.#taken().add(node.id);
    for (const output of node.outputs) {
      if (output !== null && !this.#values.has(output)) this.#put({ id: output, name: output });
    }
  }

  #put(value: Value): void {
    const own = this.#values === this.#graph.values ? new Map(this.#graph.values) : this.#values;
    (own as Map<ValueId, Value>).set(value.id, value);
    this.#values = own;
  }

  #renamed(node: Node): Node {
    if (this.#alias.size === 0) return node;
    const renames = node.inputs.some((id) => id !== null && this.#alias.has(id));
    const inputs = renames ? node.inputs.map((id) => (id === null ? null : this.resolve(id))) : node.inputs;
    const touched = bodiesOf(node).some((body) =>
      [...capturesOf(body)].some((id) => this.resolve(id) !== id),
    );
    if (inputs === node.inputs && !touched) return node;
    return {
      ...node,
      inputs,
      attributes: touched ? renameBodies(node.attributes, (id) => this.resolve(id)) : node.attributes,
    };
  }

  #liveValues(nodes: readonly Node[], outputs: readonly ValueId[]): ReadonlyMap<ValueId, Value> {
    const live = mentionedBy(nodes, this.#inputs, outputs);
    addScaleTensors(this.#values, live);
    const values = new Map<ValueId, Value>();
    for (const [id, value] of this.#values) {
      // What was dead before stays: it is in the file.
      const keep = live.has(id) || (this.#graph.values.get(id) === value && !mentions(this.#graph, id));
      if (keep) values.set(id, value);
    }
    return values;
  }
}

const scratch = new WeakMap<Graph, ReadonlySet<ValueId>>();

/** Whether some node, input or output of the graph mentions a value. */
function mentions(graph: Graph, id: ValueId): boolean {
  const { producer, uses, isOutput } = indexOf(graph);
  if (producer.has(id) || uses.has(id) || isOutput.has(id) || graph.inputs.includes(id)) return true;
  let found = scratch.get(graph);
  if (found === undefined) {
    found = new Set(graph.nodes.flatMap((node) => node.intermediates ?? []));
    scratch.set(graph, found);
  }
  return found.has(id);
}

function mentionedBy(
  nodes: readonly Node[],
  inputs: readonly ValueId[],
  outputs: readonly ValueId[],
): Set<ValueId> {
  const all = new Set<ValueId>();
  for (const id of inputs) all.add(id);
  for (const id of outputs) all.add(id);
  for (const node of nodes) {
    for (const id of node.inputs) if (id !== null) all.add(id);
    for (const id of node.outputs) if (id !== null) all.add(id);
    for (const id of node.intermediates ?? []) all.add(id);
    for (const body of bodiesOf(node)) for (const id of capturesOf(body)) all.add(id);
  }
  return all;
}

function fresh(base: string, taken: (id: string) => boolean): string {
  if (!taken(base)) return base;
  let suffix = 2;
  while (taken(`${base}_${suffix}`)) suffix += 1;
  return `${base}_${suffix}`;
}

function renameBodies(
  attributes: ReadonlyMap<string, Attribute>,
  rename: (id: ValueId) => ValueId,
): ReadonlyMap<string, Attribute> {
  const renamed = new Map<string, Attribute>();
  for (const [name, attribute] of attributes) {
    if (attribute.kind === 'graph') {
      renamed.set(name, { kind: 'graph', value: renameCaptures(attribute.value, rename) });
    } else if (attribute.kind === 'graphs') {
      renamed.set(name, {
        kind: 'graphs',
        value: attribute.value.map((body) => renameCaptures(body, rename)),
      });
    } else renamed.set(name, attribute);
  }
  return renamed;
}

function renameCaptures(body: Graph, rename: (id: ValueId) => ValueId): Graph {
  const outer = capturesOf(body);
  const inside = (id: ValueId) => (outer.has(id) ? rename(id) : id);
  const nodes = body.nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map((id) => (id === null ? null : inside(id))),
    attributes: bodiesOf(node).length > 0 ? renameBodies(node.attributes, inside) : node.attributes,
  }));
  return { ...body, nodes, outputs: body.outputs.map(inside) };
}
