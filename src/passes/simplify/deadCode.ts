import { bodiesOf } from '../../ir/attribute.ts';
import type { Graph, Model, Node, ValueId } from '../../ir/model.ts';
import { capturesOf } from '../../ir/walk.ts';
import { isPure } from './duplicates.ts';

/** The graph without nodes whose results nobody reads, and without constants nobody reads. */
export function withoutDeadCode(model: Model, graph: Graph, allowed: (node: Node) => boolean): Graph {
  const live = new Set<ValueId>(graph.outputs);
  const kept: Node[] = [];
  for (const node of graph.nodes.toReversed()) {
    const wanted = node.outputs.some((id) => id !== null && live.has(id));
    if (!wanted && allowed(node) && mayVanish(model, node)) continue;
    kept.push(node);
    for (const input of node.inputs) if (input !== null) live.add(input);
    for (const body of bodiesOf(node)) for (const id of capturesOf(body)) live.add(id);
  }
  kept.reverse();
  const mentioned = new Set<ValueId>([...live, ...graph.inputs]);
  for (const node of kept) {
    for (const id of [...node.outputs, ...(node.intermediates ?? [])]) if (id !== null) mentioned.add(id);
  }
  const deadValue = [...graph.values.values()].some((value) => !mentioned.has(value.id));
  if (kept.length === graph.nodes.length && !deadValue) return graph;
  const values = new Map([...graph.values].filter(([id]) => mentioned.has(id)));
  return { ...graph, nodes: kept, values };
}

/** ONNX operators have no effects; a TFLite one may keep state, so only described, stateless ones go. */
function mayVanish(model: Model, node: Node): boolean {
  if (model.dialect === 'onnx') return true;
  return isPure(model, node) && node.outputs.length > 0;
}
