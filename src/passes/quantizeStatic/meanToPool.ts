import { intAttribute, intsAttribute } from '../../ir/attribute.ts';
import { attr } from '../../ir/attribute.ts';
import { GraphEditor } from '../../ir/edit.ts';
import type { Node, OnnxModel } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { readIntegers } from '../../ir/numbers.ts';
import { readableConstant } from '../support/constants.ts';
import type { Facts } from '../support/facts.ts';
import { isOnnxOp } from '../support/graph.ts';

/** A mean over height and width has an integer kernel only under the name GlobalAveragePool. */
export function meanToPool(model: OnnxModel, facts: Facts, allowed: (node: Node) => boolean): OnnxModel {
  const graph = model.graphs[0];
  const editor = new GraphEditor(graph, model);
  for (const node of graph.nodes) {
    const [input] = node.inputs;
    const [output] = node.outputs;
    if (!isOnnxOp(node, 'ReduceMean') || input == null || output == null || !allowed(node)) continue;
    const rank = facts.typeOf(input)?.shape?.length;
    const stored = readableConstant(graph, node.inputs[1]);
    const axes = intsAttribute(node, 'axes') ?? (stored && readIntegers(stored));
    if (rank !== 4 || axes === undefined || facts.dtypeOf(input) !== 'float32') continue;
    const over = axes.map((axis) => (axis < 0 ? axis + rank : axis)).sort();
    if (over.join() !== '2,3') continue;
    const keeps = intAttribute(node, 'keepdims', 1) !== 0;
    const pooled = keeps ? output : editor.addValue(`${output}_pooled`);
    const pool: Node = {
      ...node,
      op: 'GlobalAveragePool',
      inputs: [input],
      outputs: [pooled],
      attributes: new Map(),
    };
    const id = editor.freshNode(`${node.id}/Flatten`);
    const flatten: Node = {
      id,
      name: id,
      op: 'Flatten',
      domain: '',
      inputs: [pooled],
      outputs: [output],
      attributes: new Map([['axis', attr.int(1)]]),
    };
    editor.replaceNode(node.id, keeps ? [pool] : [pool, flatten]);
  }
  return withMainGraph(model, editor.finish());
}
