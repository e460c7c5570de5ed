import { functionOf } from '../analysis/functions.ts';
import { bodiesOf } from '../ir/attribute.ts';
import type { Graph, Model, Node, NodeId, ValueId } from '../ir/model.ts';
import { feedsOf } from '../ir/model.ts';

export const kinds = { operator: 0, input: 1, output: 2 } as const;

/** One row of the view: a layer, an input or an output of the graph, or a layer of a body shown in place. */
export interface Row {
  readonly kind: number;
  /** Unique in the view; a body that is run from several places has rows for each. */
  readonly id: string;
  /** Id in the model. */
  readonly layer: NodeId;
  readonly name: string;
  readonly op: string;
  readonly graph: Graph;
  /** First output, or the value itself for an input or output of the graph. */
  readonly value: ValueId | null | undefined;
  readonly node: Node | undefined;
  /** The group that a body makes, and the layer that runs it; `undefined` in the main graph. */
  readonly body: Body | undefined;
  /** The bodies that this layer runs. */
  readonly runs: readonly Body[];
}

/** What an If, a Loop or a call of a function runs. */
export interface Body {
  /** "then_branch", "body", the function's name. */
  readonly label: string;
  readonly graph: Graph;
  /** Input of the owner that feeds the body's first input; `undefined` when its inputs are not the owner's. */
  readonly firstInput: number | undefined;
  /** Keys of the groups around the body's layers, outermost first; the last one is the body's own. */
  readonly path: readonly string[];
  readonly ids: string;
}

/** Bodies inside bodies are followed this deep, and until this many layers: functions may call each other. */
const deepest = 6;
const mostNested = 20_000;

/** Inputs first, then layers in stored order, each with its bodies behind it, then outputs. */
export function rowsOf(model: Model, graph: Graph): Row[] {
  const rows: Row[] = feedsOf(graph).map((value) => port(graph, 'input', value.id, value.name));
  const budget = { left: mostNested };
  for (const node of graph.nodes) addNode(rows, { model, graph, body: undefined, depth: 0, budget }, node);
  for (const id of graph.outputs) rows.push(port(graph, 'output', id, graph.values.get(id)?.name ?? id));
  return rows;
}

function port(graph: Graph, kind: 'input' | 'output', value: ValueId, name: string): Row {
  const id = `${kind}:${value}`;
  const op = kind === 'input' ? 'Input' : 'Output';
  return {
    kind: kinds[kind],
    id,
    layer: id,
    name,
    op,
    graph,
    value,
    node: undefined,
    body: undefined,
    runs: [],
  };
}

const noBodies: readonly Body[] = [];

interface Place {
  readonly model: Model;
  readonly graph: Graph;
  readonly body: Body | undefined;
  readonly depth: number;
  readonly budget: { left: number };
}

function addNode(rows: Row[], place: Place, node: Node): void {
  const { model, graph, body, depth, budget } = place;
  const id = `${body?.ids ?? ''}${node.id}`;
  const runs =
    depth >= deepest
      ? noBodies
      : bodiesRun(model, node, id, body).filter(({ graph: inner }) => {
          const fits = inner.nodes.length <= budget.left;
          if (fits) budget.left -= inner.nodes.length;
          return fits;
        });
  rows.push({
    kind: kinds.operator,
    id,
    layer: node.id,
    name: node.name === '' ? node.id : node.name,
    op: node.op,
    graph,
    value: node.outputs[0],
    node,
    body,
    runs,
  });
  for (const inner of runs)
    for (const each of inner.graph.nodes)
      addNode(rows, { model, graph: inner.graph, body: inner, depth: depth + 1, budget }, each);
}

function bodiesRun(model: Model, node: Node, id: string, around: Body | undefined): readonly Body[] {
  const own = ownBodies(model, node);
  if (own.length === 0) return noBodies;
  // Names may hold slashes, which separate groups.
  const owner = [...(around?.path ?? []), `${node.op} ${id.replaceAll('/', '∕')}`];
  return own.map(({ label, graph, firstInput, shared }) => ({
    label,
    graph,
    firstInput,
    path: own.length > 1 ? [...owner, label] : owner,
    // Layers of shared graphs are repeated in the view; those of attributes occur once in the model.
    ids: shared ? `${id} » ` : (around?.ids ?? ''),
  }));
}

interface OwnBody {
  readonly label: string;
  readonly graph: Graph;
  readonly firstInput: number | undefined;
  readonly shared: boolean;
}

function ownBodies(model: Model, node: Node): readonly OwnBody[] {
  if (model.dialect === 'tflite') {
    // The condition comes before the operands of an IF.
    const firstInput = node.op === 'IF' ? 1 : 0;
    return [...node.attributes].flatMap(([name, attribute]) => {
      if (!name.endsWith('subgraph_index') || attribute.kind !== 'int') return [];
      const graph = model.graphs[Number(attribute.value)];
      const label = name.replace(/_subgraph_index$/, '');
      return graph === undefined || attribute.value === 0 ? [] : [{ label, graph, firstInput, shared: true }];
    });
  }
  const called = functionOf(model, node);
  if (called !== undefined) return [{ label: called.name, graph: called.graph, firstInput: 0, shared: true }];
  if (bodiesOf(node).length === 0) return [];
  const firstInput = node.op === 'If' ? undefined : 0;
  return [...node.attributes].flatMap(([label, attribute]) =>
    attribute.kind === 'graph' ? [{ label, graph: attribute.value, firstInput, shared: false }] : [],
  );
}
