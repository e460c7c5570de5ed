import { bodiesOf } from '../ir/attribute.ts';
import type { Graph, Model, Node, ValueId } from '../ir/model.ts';
import type { ValueType } from '../ir/types.ts';
import { operatorOf } from '../ops/registry.ts';
import { bytesOf } from './cost.ts';
import { readsOf } from './order.ts';

/**
 * Nodes to be ordered and the memory they need, by number. Activations that are views of one another form one group,
 * which lives from its making to its last reading.
 */
export interface ScheduleProblem {
  /** Groups each node reads, each once. */
  readonly reads: readonly (readonly number[])[];
  /** Groups each node makes; a view makes none. */
  readonly makes: readonly (readonly number[])[];
  readonly successors: readonly (readonly number[])[];
  /** The node may write its first output over an operand of the same size that dies there. */
  readonly inPlace: readonly boolean[];
  readonly bytes: readonly number[];
  /** Nodes that read each group. */
  readonly readers: readonly number[];
  /** Groups that outlive every reader: outputs of the graph and variables. */
  readonly held: readonly boolean[];
  /** Groups that exist before the first node. */
  readonly initial: readonly number[];
}

/** What one graph's problem is put together from. */
interface Draft {
  readonly groupOf: Map<ValueId, number>;
  readonly bytes: number[];
  readonly held: boolean[];
  readonly initial: number[];
}

/**
 * The problem of ordering `nodes`, which are a graph's nodes in an order that works. Nodes that keep or change state,
 * and custom ones, which may, stay in their order. `undefined` when the size of an activation is not known.
 */
export function scheduleProblem(
  model: Model,
  nodes: readonly Node[],
  types: ReadonlyMap<ValueId, ValueType>,
): ScheduleProblem | undefined {
  const graph = model.graphs[0];
  const draft: Draft = { groupOf: new Map(), bytes: [], held: [], initial: [] };
  const outputs = new Set(graph.outputs);
  const constants = derivedConstants(graph, nodes);
  const open = (id: ValueId): number | undefined => {
    const bytes = bytesOf(types.get(id));
    if (bytes === undefined) return undefined;
    draft.groupOf.set(id, draft.bytes.length);
    draft.bytes.push(bytes);
    draft.held.push(outputs.has(id) || graph.values.get(id)?.variable === true);
    return draft.bytes.length - 1;
  };
  for (const id of existing(graph)) {
    const group = open(id);
    if (group === undefined) return undefined;
    draft.initial.push(group);
  }
  const reads: number[][] = [];
  const makes: number[][] = [];
  for (const node of nodes) {
    const read = readsOf(node).flatMap((id) => draft.groupOf.get(id) ?? []);
    reads.push([...new Set(read)]);
    const made: number[] = [];
    makes.push(made);
    const host = viewedGroup(model, node, draft);
    for (const [index, id] of node.outputs.entries()) {
      if (id === null || id === '' || constants.has(id)) continue;
      if (index === 0 && host !== undefined && draft.bytes[host] === bytesOf(types.get(id))) {
        draft.groupOf.set(id, host);
        if (outputs.has(id)) draft.held[host] = true;
        continue;
      }
      const group = open(id);
      if (group === undefined) return undefined;
      made.push(group);
    }
  }
  const readers = draft.bytes.map(() => 0);
  for (const list of reads) for (const group of list) readers[group] = (readers[group] as number) + 1;
  return {
    reads,
    makes,
    successors: successorsOf(model, nodes),
    inPlace: nodes.map((node) => operatorOf(model, node)?.inPlace === true),
    bytes: draft.bytes,
    readers,
    held: draft.held,
    initial: draft.initial,
  };
}

function existing(graph: Graph): readonly ValueId[] {
  const fed = graph.inputs.filter((id) => graph.values.get(id)?.constant === undefined);
  const variables = [...graph.values.values()].filter((value) => value.variable).map((value) => value.id);
  return [...new Set([...fed, ...variables])];
}

function viewedGroup(model: Model, node: Node, draft: Draft): number | undefined {
  const first = node.inputs[0];
  const view = operatorOf(model, node)?.view === true;
  return view && typeof first === 'string' ? draft.groupOf.get(first) : undefined;
}

/** Values that follow from constants alone take no part: a runtime computes them once. */
export function derivedConstants(graph: Graph, nodes: readonly Node[]): ReadonlySet<ValueId> {
  const found = new Set<ValueId>();
  for (const [id, value] of graph.values) {
    if (value.constant !== undefined && value.variable !== true) found.add(id);
  }
  for (const node of nodes) {
    const foldable = bodiesOf(node).length === 0 && (node.inputs.length > 0 || node.op === 'Constant');
    if (!foldable || !node.inputs.every((id) => id === null || id === '' || found.has(id))) continue;
    for (const id of node.outputs) if (id !== null) found.add(id);
  }
  return found;
}

const stateful: ReadonlySet<string> = new Set([
  'ASSIGN_VARIABLE',
  'CALL_ONCE',
  'HASHTABLE_IMPORT',
  'READ_VARIABLE',
  'VAR_HANDLE',
  'RANDOM_STANDARD_NORMAL',
  'RANDOM_UNIFORM',
  'MULTINOMIAL',
  'RandomNormal',
  'RandomNormalLike',
  'RandomUniform',
  'RandomUniformLike',
  'Bernoulli',
  'Multinomial',
]);

function keepsState(model: Model, node: Node): boolean {
  if (stateful.has(node.op)) return true;
  const operator = operatorOf(model, node);
  if (operator === undefined) return true;
  const reads = (id: ValueId | null) =>
    id !== null && model.dialect === 'tflite' && model.graphs[0].values.get(id)?.variable === true;
  // A body may hold any of these.
  return (operator.family === 'control' && model.dialect === 'tflite') || node.inputs.some(reads);
}

/** Readers after makers, and whatever keeps state after what did so before it. */
function successorsOf(model: Model, nodes: readonly Node[]): readonly (readonly number[])[] {
  const maker = new Map<ValueId, number>();
  nodes.forEach((node, index) => {
    for (const id of node.outputs) if (id !== null && id !== '') maker.set(id, index);
  });
  const successors: Set<number>[] = nodes.map(() => new Set());
  let former: number | undefined;
  nodes.forEach((node, index) => {
    for (const id of readsOf(node)) {
      const source = maker.get(id);
      if (source !== undefined && source !== index) successors[source]?.add(index);
    }
    if (!keepsState(model, node)) return;
    if (former !== undefined) successors[former]?.add(index);
    former = index;
  });
  return successors.map((set) => [...set].sort((a, b) => a - b));
}
