import { GraphEditor } from '../../ir/edit.ts';
import type { Graph, Model, NodeId, Value } from '../../ir/model.ts';
import { indexOf } from '../../ir/walk.ts';
import type { Repaired } from './repaired.ts';

/**
 * A tensor of one dimension that is quantized along another: every runtime since 2020 refuses it, though an old text of
 * the specification asked for it (tflite-micro issues 2286, 1555).
 */
function hasWrongAxis({ constant, quantization }: Value): boolean {
  return constant?.dims.length === 1 && (quantization?.scale.length ?? 0) > 1 && quantization?.axis !== 0;
}

export function fixBiasAxes(model: Model): Repaired | undefined {
  if (model.dialect !== 'tflite') return undefined;
  const changed: NodeId[] = [];
  let count = 0;
  const fixed = (graph: Graph): Graph => {
    const wrong = [...graph.values.values()].filter(hasWrongAxis);
    if (wrong.length === 0) return graph;
    count += wrong.length;
    changed.push(...readers(graph, wrong));
    return withAxes(graph, model, wrong);
  };
  const [first, ...others] = model.graphs;
  const graphs: [Graph, ...Graph[]] = [fixed(first), ...others.map(fixed)];
  if (count === 0) return undefined;
  return { model: { ...model, graphs }, changed, notes: [`${count} biases are quantized along axis 0 now`] };
}

function readers(graph: Graph, values: readonly Value[]): NodeId[] {
  const { uses } = indexOf(graph);
  return values.flatMap((value) => (uses.get(value.id) ?? []).map((use) => use.node.id));
}

function withAxes(graph: Graph, model: Model, wrong: readonly Value[]): Graph {
  const editor = new GraphEditor(graph, model);
  for (const value of wrong) {
    if (value.quantization !== undefined)
      editor.setValue({ ...value, quantization: { ...value.quantization, axis: 0 } });
  }
  return editor.finish();
}
