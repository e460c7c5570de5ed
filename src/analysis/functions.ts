import type { Attribute, FunctionDef, Graph, Model, Node } from '../ir/model.ts';
import { bodiesOf } from '../ir/attribute.ts';
import { sameDomain } from '../ops/registry.ts';

const tables = new WeakMap<Model, ReadonlyMap<string, FunctionDef>>();

/** The model-local function a node calls, if it calls one; those take precedence over operators of the same name. */
export function functionOf(model: Model, node: Node): FunctionDef | undefined {
  if (model.dialect !== 'onnx' || model.functions.length === 0) return undefined;
  let table = tables.get(model);
  if (table === undefined) {
    table = new Map(model.functions.map((def) => [keyOf(def.domain, def.name, def.overload), def]));
    tables.set(model, table);
  }
  return table.get(keyOf(node.domain, node.op, node.overload ?? ''));
}

function keyOf(domain: string, name: string, overload: string): string {
  return `${sameDomain(domain)}\n${name}\n${overload}`;
}

const instances = new WeakMap<FunctionDef, Map<string, Graph>>();

const storedBodies = new WeakMap<Graph, Graph>();

/** The body in the model that an instance was made from; other graphs are their own. */
export function storedBody(graph: Graph): Graph {
  return storedBodies.get(graph) ?? graph;
}

/**
 * The function's body with references to its attributes replaced by the caller's values or their defaults. Calls with
 * equal attributes share the body.
 */
export function instantiate(def: FunctionDef, call: Node): Graph {
  const valueOf = (name: string) => call.attributes.get(name) ?? def.defaults.get(name);
  const key = attributeKey(call);
  if (key === undefined) return resolveGraph(def.graph, valueOf);
  const bodies = instances.get(def) ?? new Map<string, Graph>();
  instances.set(def, bodies);
  const body = bodies.get(key) ?? resolveGraph(def.graph, valueOf);
  bodies.set(key, body);
  return body;
}

const simpleKinds: ReadonlySet<Attribute['kind']> = new Set([
  'int',
  'float',
  'ints',
  'floats',
  'string',
  'strings',
]);

/** Attribute values as text, or `undefined` when some are tensors or graphs. */
function attributeKey(call: Node): string | undefined {
  const parts: string[] = [];
  for (const [name, attribute] of call.attributes) {
    if (!simpleKinds.has(attribute.kind)) return undefined;
    parts.push(JSON.stringify([name, attribute.kind, String(attribute.value)]));
  }
  return parts.join();
}

type Lookup = (name: string) => Attribute | undefined;

function resolveGraph(graph: Graph, valueOf: Lookup): Graph {
  let changed = false;
  const nodes = graph.nodes.map((node) => {
    const resolved = resolveNode(node, valueOf);
    changed ||= resolved !== node;
    return resolved;
  });
  if (!changed) return graph;
  const resolved = { ...graph, nodes };
  storedBodies.set(resolved, graph);
  return resolved;
}

function resolveNode(node: Node, valueOf: Lookup): Node {
  const refers = [...node.attributes.values()].some((attribute) => attribute.kind === 'ref');
  if (!refers && bodiesOf(node).length === 0) return node;
  const attributes = new Map<string, Attribute>();
  let changed = refers;
  for (const [name, attribute] of node.attributes) {
    if (attribute.kind === 'ref') {
      const value = valueOf(attribute.value);
      if (value !== undefined) attributes.set(name, value);
    } else if (attribute.kind === 'graph') {
      const value = resolveGraph(attribute.value, valueOf);
      changed ||= value !== attribute.value;
      attributes.set(name, { kind: 'graph', value });
    } else attributes.set(name, attribute);
  }
  return changed ? { ...node, attributes } : node;
}
