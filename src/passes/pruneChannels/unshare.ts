import { GraphEditor } from '../../ir/edit.ts';
import type { Model } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { isFloat } from '../../ir/dtype.ts';
import { indexOf } from '../../ir/walk.ts';

/**
 * The model with a copy per reader of every float vector that several read: exporters store equal biases and
 * normalizations once, and layers that have nothing else in common would have to lose the same channels. Matrices that
 * layers share stay shared.
 */
export function unshared<M extends Model>(model: M): M {
  const [graph] = model.graphs;
  const { uses, isOutput } = indexOf(graph);
  const editor = new GraphEditor(graph, model);
  const inputs = new Map<string, (string | null)[]>();
  for (const { id, constant, quantization } of graph.values.values()) {
    const readers = uses.get(id) ?? [];
    const wide = constant?.dims.filter((dim) => dim > 1).length ?? 0;
    if (constant === undefined || wide !== 1 || !isFloat(constant.dtype)) continue;
    // Bodies of control flow read by name.
    if (readers.length < 2 || isOutput.has(id) || readers.some(({ index }) => index < 0)) continue;
    for (const { node, index } of readers.slice(1)) {
      const own = inputs.get(node.id) ?? [...node.inputs];
      own[index] = editor.addConstant(id, constant, quantization);
      inputs.set(node.id, own);
    }
  }
  for (const node of graph.nodes) {
    const own = inputs.get(node.id);
    if (own !== undefined) editor.replaceNode(node.id, [{ ...node, inputs: own }]);
  }
  return withMainGraph(model, editor.finish()) as M;
}
