import { bodiesOf } from '../../ir/attribute.ts';
import type { Damage } from '../../ir/errors.ts';
import type { Graph, OnnxModel, ValueId } from '../../ir/model.ts';
import { topologicalOrder } from '../../ir/walk.ts';

const mostPerKind = 20;

/** Wiring damage: dangling and duplicate names, cycles, outputs that nobody makes. */
export function verifyGraphs(model: OnnxModel): Damage[] {
  const damage: Damage[] = [];
  verifyGraph(model.graphs[0], new Set(), 'graph', damage);
  for (const def of model.functions) verifyGraph(def.graph, new Set(), `function ${def.name}`, damage);
  return damage;
}

function verifyGraph(graph: Graph, outer: ReadonlySet<ValueId>, place: string, damage: Damage[]): void {
  const report = limited(damage, place);
  const made = new Set<ValueId>(graph.inputs);
  for (const [id, value] of graph.values) if (value.constant !== undefined) made.add(id);
  for (const node of graph.nodes) {
    for (const output of node.outputs) {
      if (output === null) continue;
      if (made.has(output)) report('duplicate', `'${output}' has more than one producer (node '${node.id}')`);
      made.add(output);
    }
  }
  const visible = outer.size === 0 ? made : new Set([...outer, ...made]);
  for (const node of graph.nodes) {
    for (const input of node.inputs) {
      if (input !== null && !visible.has(input)) {
        report('dangling', `node '${node.id}' reads '${input}', which nothing produces`);
      }
    }
    for (const body of bodiesOf(node)) verifyGraph(body, visible, `${place}, body of '${node.id}'`, damage);
  }
  for (const output of graph.outputs) {
    if (!visible.has(output)) report('output', `the graph's output '${output}' is never produced`);
  }
  const { cyclic } = topologicalOrder(graph);
  if (cyclic.length > 0) {
    const names = cyclic.slice(0, 5).map((node) => `'${node.id}'`);
    report('cycle', `${cyclic.length} nodes lie on or behind a cycle: ${names.join(', ')}`);
  }
}

/** Reports each kind of damage at most `mostPerKind` times, then once that there is more. */
function limited(damage: Damage[], place: string): (kind: string, message: string) => void {
  const counts = new Map<string, number>();
  return (kind, message) => {
    const count = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, count);
    if (count <= mostPerKind) damage.push({ severity: 'error', place, message });
    else if (count === mostPerKind + 1)
      damage.push({ severity: 'error', place, message: `more ${kind} names` });
  };
}
