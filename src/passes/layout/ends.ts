import { intsAttribute } from '../../ir/attribute.ts';
import { GraphEditor } from '../../ir/edit.ts';
import type { Graph, Model, Node, Value, ValueId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { readIntegers } from '../../ir/numbers.ts';
import { formatShape } from '../../ir/types.ts';
import { indexOf } from '../../ir/walk.ts';
import { isBuiltin, readableConstant } from '../support/constants.ts';
import { factsOf } from '../support/facts.ts';
import type { Order } from './order.ts';
import { inverse, isOrder, ordered, sameOrder } from './order.ts';

interface FreedEnds<M extends Model> {
  readonly model: M;
  readonly notes: readonly string[];
}

/**
 * Gives inputs and outputs the order of axes in which the layers beside them work, where that takes a transpose away:
 * whoever feeds the model then lays out what it feeds, which costs nothing where a camera or a decoder writes it.
 */
export function freeEnds<M extends Model>(model: M): FreedEnds<M> {
  const notes: string[] = [];
  let current = model;
  // One end after another: a value may be both.
  for (const id of [...model.graphs[0].inputs, ...model.graphs[0].outputs]) {
    const editor = new GraphEditor(current.graphs[0], current);
    const shape = current.graphs[0].inputs.includes(id)
      ? freeInput(current, editor, id)
      : freeOutput(current, editor, id);
    if (shape === undefined) continue;
    notes.push(`${id} is ${shape} now`);
    current = withMainGraph(current, editor.finish());
  }
  return { model: current, notes };
}

/** Everyone who reads the input turns it in the same way first. */
function freeInput(model: Model, editor: GraphEditor, id: ValueId): string | undefined {
  const graph = model.graphs[0];
  const { uses, isOutput } = indexOf(graph);
  const readers = uses.get(id) ?? [];
  const orders = readers.map(({ node, index }) => (index === 0 ? orderOf(graph, node) : undefined));
  const [order] = orders;
  if (order === undefined || isOutput.has(id) || graph.values.get(id)?.constant !== undefined)
    return undefined;
  if (!orders.every((other) => other !== undefined && sameOrder(other, order))) return undefined;
  if (readers.some(({ node }) => isOutput.has(node.outputs[0] as ValueId))) return undefined;
  for (const { node } of readers) {
    editor.removeNode(node.id);
    editor.replaceUses(node.outputs[0] as ValueId, id);
  }
  return retyped(model, editor, id, order);
}

/** The output is turned at the very end, and nobody else wants it so. */
function freeOutput(model: Model, editor: GraphEditor, id: ValueId): string | undefined {
  const graph = model.graphs[0];
  const { producer, uses, isOutput } = indexOf(graph);
  const turn = producer.get(id);
  const order = turn && orderOf(graph, turn);
  const from = turn?.inputs[0];
  if (turn === undefined || order === undefined || from == null || (uses.get(id) ?? []).length > 0)
    return undefined;
  const maker = producer.get(from);
  const inside = (uses.get(from) ?? []).some(({ index }) => index < 0);
  if (maker === undefined || isOutput.has(from) || inside) return undefined;
  editor.removeNode(turn.id);
  editor.replaceNode(maker.id, [
    { ...maker, outputs: maker.outputs.map((output) => (output === from ? id : output)) },
  ]);
  editor.replaceUses(from, id);
  return retyped(model, editor, id, inverse(order));
}

function retyped(model: Model, editor: GraphEditor, id: ValueId, order: Order): string | undefined {
  const value = model.graphs[0].values.get(id) as Value;
  const shape = factsOf(model).typeOf(id)?.shape;
  const { signature, type } = value;
  if (type?.kind !== 'tensor') return undefined;
  const dims = type.shape ?? shape;
  if (dims === undefined) return undefined;
  const turned = ordered(dims, order);
  const rows = signature && { signature: ordered(signature, order) };
  editor.setValue({ ...value, type: { ...type, shape: turned }, ...rows });
  return formatShape(turned);
}

function orderOf(graph: Graph, node: Node): Order | undefined {
  if (!isBuiltin(node)) return undefined;
  const axes = node.op === 'TRANSPOSE' ? readableConstant(graph, node.inputs[1]) : undefined;
  const order = node.op === 'Transpose' ? intsAttribute(node, 'perm') : axes && readIntegers(axes);
  return order !== undefined && order.length > 0 && isOrder(order) ? order : undefined;
}
