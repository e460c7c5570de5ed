import type { Graph, Node } from '../ir/model.ts';
import { indexOf } from '../ir/walk.ts';
import { constantOf } from '../passes/support/constants.ts';
import { passFix } from './fixes.ts';
import type { Rule } from './rule.ts';
import { isArm, onLayers } from './support.ts';

export const signedActivationsOnX86: Rule = {
  id: 'signed-activations-on-x86',
  severity: 'warning',
  title: 'Signed activations on an x86 processor',
  manual: `The activations are quantized to int8. On x86 ONNX Runtime has kernels for uint8 activations against int8 weights; a residual
connection with signed activations does not fuse, and its convolutions go back to floating point. Measured on a ResNet: 1.2 times
as fast as float32 with int8 activations, 2.7 times with uint8. On Arm it is the other way round.

**Example.** A model quantized with \`activation_type=QInt8\`, run on a PC.

**Remedy.** Run \`requantize\`, or quantize the original model with \`quantize-static\`, \`target=x86\`.`,
  check(context) {
    const { model, device } = context;
    if (model.dialect !== 'onnx' || device?.class !== 'cpu' || isArm(device)) return [];
    const graph = model.graphs[0];
    const layers = graph.nodes.filter((node) => isSignedResidual(node, graph)).map((node) => node.id);
    return onLayers(
      signedActivationsOnX86,
      layers,
      (where) => `ONNX Runtime on x86 does not fuse int8 activations around this addition${where}.`,
      passFix(context, 'requantize', { title: 'Quantize again for x86', options: { target: 'x86' } }),
    );
  },
};

function isSignedResidual(node: Node, graph: Graph): boolean {
  if (node.op !== 'Add') return false;
  const { producer } = indexOf(graph);
  return node.inputs.every((id) => {
    const before = id === null ? undefined : producer.get(id);
    return before?.op === 'DequantizeLinear' && constantOf(graph, before.inputs[2])?.dtype === 'int8';
  });
}
