import type { Graph, Node, Value } from '../ir/model.ts';
import { passFix } from './fixes.ts';
import type { Rule } from './rule.ts';
import { onLayers } from './support.ts';

export const tfliteBiasAxis: Rule = {
  id: 'tflite-bias-axis',
  severity: 'warning',
  title: 'A bias is quantized along an axis it does not have',
  manual: `A bias has one dimension, so its \`quantized_dimension\` must be 0. Some converters copy the axis of the weights (3 for a
depthwise convolution); strict runtimes and compilers then refuse the model or misread the scales.

**Example.** \`DEPTHWISE_CONV_2D\` whose bias has 32 scales and \`quantized_dimension\` 3.

**Remedy.** Convert the model again with a newer converter.`,
  check(context) {
    const { model } = context;
    if (model.dialect !== 'tflite') return [];
    const layers = model.graphs.flatMap((graph) =>
      graph.nodes.filter((node) => hasWrongAxis(node, graph)).map((node) => node.id),
    );
    return onLayers(
      tfliteBiasAxis,
      layers,
      (where) => `The bias has one dimension but is quantized along another${where}.`,
      passFix(context, 'repair', { title: 'Quantize the biases along their only axis: same result' }),
    );
  },
};

function hasWrongAxis(node: Node, graph: Graph): boolean {
  if (!/^(CONV_2D|DEPTHWISE_CONV_2D|FULLY_CONNECTED|TRANSPOSE_CONV|CONV_3D)$/.test(node.op)) return false;
  const bias = constantInput(node, graph, node.op === 'TRANSPOSE_CONV' ? 3 : 2);
  const quantization = bias?.quantization;
  return quantization !== undefined && quantization.scale.length > 1 && quantization.axis !== 0;
}

function constantInput(node: Node, graph: Graph, index: number): Value | undefined {
  const id = node.inputs[index];
  const value = id === null || id === undefined ? undefined : graph.values.get(id);
  return value?.constant === undefined ? undefined : value;
}
