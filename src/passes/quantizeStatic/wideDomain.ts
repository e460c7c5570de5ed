import type { OnnxModel } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { isOnnxOp, opsetOf } from '../support/graph.ts';

/** The standard operators know 16-bit codes from this opset on; before, the runtime's own have the same meaning. */
const wideOpset = 21;
const domain = 'com.microsoft';

/** Moves the quantization of 16-bit values to ONNX Runtime's own operators where the opset's have no such type. */
export function inWideDomain(model: OnnxModel): OnnxModel {
  if (opsetOf(model) >= wideOpset) return model;
  const graph = model.graphs[0];
  const nodes = graph.nodes.map((node) => {
    const zero = graph.values.get(node.inputs[2] ?? '')?.constant?.dtype;
    const isWide = zero === 'uint16' && isOnnxOp(node, 'QuantizeLinear', 'DequantizeLinear');
    return isWide ? { ...node, domain } : node;
  });
  if (nodes.every((node, i) => node === graph.nodes[i])) return model;
  const opsets = new Map(model.opsets).set(domain, model.opsets.get(domain) ?? 1);
  return { ...withMainGraph(model, { ...graph, nodes }), opsets };
}
