import { attr } from '../../ir/attribute.ts';
import { GraphEditor } from '../../ir/edit.ts';
import type { Node, OnnxModel, ValueId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { sizeOf } from '../../ir/numbers.ts';
import { readableConstant } from '../support/constants.ts';
import type { Facts } from '../support/facts.ts';
import { isOnnxOp, soleReader } from '../support/graph.ts';

/**
 * A product of two matrices whose constant bias is added by an operator of its own becomes a Gemm. ONNX Runtime joins the
 * two into a float Gemm before it looks for integer kernels.
 */
export function denseBias(model: OnnxModel, facts: Facts, allowed: (node: Node) => boolean): OnnxModel {
  const graph = model.graphs[0];
  const editor = new GraphEditor(graph, model);
  for (const node of graph.nodes) {
    const [input, weight] = node.inputs;
    if (!isOnnxOp(node, 'MatMul') || !allowed(node) || input == null || weight == null) continue;
    const width = readableConstant(graph, weight)?.dims;
    const sum = soleReader(graph, node.outputs[0]);
    if (width?.length !== 2 || facts.typeOf(input)?.shape?.length !== 2) continue;
    if (sum === undefined || !isOnnxOp(sum, 'Add')) continue;
    const bias = sum.inputs.find((id) => id !== node.outputs[0]);
    const stored = readableConstant(graph, bias);
    // One number per column: nothing is broadcast, and no row has a bias of its own.
    if (bias == null || stored?.dtype !== 'float32') continue;
    if (sizeOf(stored) !== width[1] || stored.dims.at(-1) !== width[1] || stored.dims.length > 2) continue;
    let row: ValueId = bias;
    if (stored.dims.length === 2)
      row = editor.addConstant(`${bias}_row`, { ...stored, dims: [width[1] as number] });
    const attributes = new Map([
      ['alpha', attr.float(1)],
      ['beta', attr.float(1)],
      ['transA', attr.int(0)],
      ['transB', attr.int(0)],
    ]);
    const dense = { ...node, op: 'Gemm', inputs: [input, weight, row], outputs: sum.outputs, attributes };
    editor.removeNode(sum.id);
    editor.replaceNode(node.id, [dense]);
  }
  return withMainGraph(model, editor.finish());
}
