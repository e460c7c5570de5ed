import type { Graph, Node } from '../ir/model.ts';
import { indexOf } from '../ir/walk.ts';
import { passFix } from './fixes.ts';
import type { Rule } from './rule.ts';
import { onLayers } from './support.ts';

/** What ONNX Runtime looks through between a convolution and the quantization of its result. */
const transparent = new Set(['Relu', 'Clip']);

export const quantizedConvWithoutOutput: Rule = {
  id: 'quantized-conv-without-output',
  severity: 'warning',
  title: 'A quantized convolution whose result is not quantized',
  manual: `The inputs of the convolution are dequantized values but its result is not quantized again. ONNX Runtime then has no
integer kernel to use: it dequantizes and computes in floating point, slower than the original.

**Example.** \`DequantizeLinear → Conv → Add\` without a QuantizeLinear after the Conv.

**Remedy.** Quantize the model again with a tool that quantizes the results of convolutions; \`quantize-static\` does.`,
  check(context) {
    const { model, target } = context;
    // Some targets want pairs before weighted layers only, and join results themselves.
    if (model.dialect !== 'onnx' || target?.placement === 'inputs') return [];
    const graph = model.graphs[0];
    const layers = graph.nodes.filter((node) => isHalfQuantized(node, graph)).map((node) => node.id);
    return onLayers(
      quantizedConvWithoutOutput,
      layers,
      (where) => `The convolution reads quantized values but its result is not quantized${where}.`,
      passFix(context, 'requantize', { title: 'Quantize again, results included' }),
    );
  },
};

function isHalfQuantized(node: Node, graph: Graph): boolean {
  if (node.op !== 'Conv') return false;
  const { producer, uses } = indexOf(graph);
  const fromIntegers = node.inputs.slice(0, 2).every((id) => {
    return id !== null && producer.get(id)?.op === 'DequantizeLinear';
  });
  if (!fromIntegers) return false;
  let output = node.outputs[0];
  for (let hops = 0; hops < 2 && output !== null && output !== undefined; hops += 1) {
    const readers = uses.get(output) ?? [];
    if (readers.length > 0 && readers.every((use) => use.node.op === 'QuantizeLinear')) return false;
    const only = readers.length === 1 ? readers[0]?.node : undefined;
    if (only === undefined || !transparent.has(only.op)) return true;
    output = only.outputs[0];
  }
  return !(uses.get(output ?? '') ?? []).some((use) => use.node.op === 'QuantizeLinear');
}
