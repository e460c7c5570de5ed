import { bodiesOf } from '../../ir/attribute.ts';
import type { Graph, Model, Node, ValueId } from '../../ir/model.ts';
import { addScaleTensors, capturesOf } from '../../ir/walk.ts';
import { isPure } from './duplicates.ts';

/** The graph without nodes whose results nobody reads, and without constants nobody reads. */
export function withoutDeadCode(model: Model, graph: Graph, allowed: (node: Node) => boolean): Graph {
  const live = new Set<ValueId>(graph.outputs);
  const kept: Node[] = [];
  for (let at = graph.nodes.length - 1; at >= 0; at -= 1) {
    const node = graph.nodes[at] as Node;
    const wanted = node.outputs.some((id) => id !== null && live.has(id));
    if (!wanted && allowed(node) && mayVanish(model, node)) continue;
    kept.push(node);
    for (const input of node.inputs) if (input !== null) live.add(input);
    for (const body of bodiesOf(node)) for (const id of capturesOf(body)) live.add(id);
  }
  kept.reverse();
  const mentioned = live;
  for (const id of graph.inputs) mentioned.add(id);
  for (const node of kept) {
    for (const id of node.outputs) if (id !== null) mentioned.add(id);
    for (const id of node.intermediates ?? []) mentioned.add(id);
  }
  addScaleTensors(graph.values, mentioned);
  let dead = 0;
  for (const id of graph.values.keys()) if (!mentioned.has(id)) dead += 1;
  if (kept.length === graph.nodes.length && dead === 0) return graph;
  const values = new Map([...graph.values].filter(([id]) => mentioned.has(id)));
  return { ...graph, nodes: kept, values };
}

/** ONNX operators have no effects; a TFLite one may keep state, so only described, stateless ones go. */
function mayVanish(model: Model, node: Node): boolean {
  if (model.dialect === 'onnx') return true;
  return isPure(model, node) && node.outputs.length > 0;
}
