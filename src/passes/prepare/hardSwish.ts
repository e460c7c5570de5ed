import { attr } from '../../ir/attribute.ts';
import { GraphEditor } from '../../ir/edit.ts';
import type { Node, OnnxModel } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { isOnnxOp } from '../support/graph.ts';

/** HardSwish as x * HardSigmoid(x): the two parts have integer forms where the whole has none (ONNX operator HardSwish-14). */
export function splitHardSwish(model: OnnxModel, allowed: (node: Node) => boolean): OnnxModel {
  const graph = model.graphs[0];
  const editor = new GraphEditor(graph, model);
  for (const node of graph.nodes) {
    const [input] = node.inputs;
    if (!isOnnxOp(node, 'HardSwish') || input == null || !allowed(node)) continue;
    const type = graph.values.get(node.outputs[0] ?? '')?.type;
    const gate = editor.addValue(`${node.outputs[0]}_gate`, { ...(type && { type }) });
    const id = editor.freshNode(`${node.id}/HardSigmoid`);
    const sigmoid: Node = {
      ...node,
      id,
      name: id,
      op: 'HardSigmoid',
      outputs: [gate],
      attributes: new Map([
        ['alpha', attr.float(1 / 6)],
        ['beta', attr.float(0.5)],
      ]),
    };
    editor.replaceNode(node.id, [sigmoid, { ...node, op: 'Mul', inputs: [input, gate] }]);
  }
  return withMainGraph(model, editor.finish());
}
