import type { Graph, Node } from '../ir/model.ts';
import type { Rule } from './rule.ts';
import { onLayers } from './support.ts';

export const hybridOnMicrocontroller: Rule = {
  id: 'hybrid-on-microcontroller',
  severity: 'error',
  title: 'Dynamic-range weights on a microcontroller or NPU',
  manual: `The weights are stored in int8 or float16 while the layer computes in float32 (dynamic-range or float16
quantization). TFLite on phones and boards runs this; TFLite Micro has no such kernels and fails when it prepares the
layer; NPUs send it back to the processor.

**Example.** A model quantized with \`quantize-dynamic\` on an ESP32.

**Remedy.** Undo it and quantize with calibration, so that activations become integers too.`,
  check({ model, device }) {
    if (model.dialect !== 'tflite' || (device?.class !== 'mcu' && device?.class !== 'npu')) return [];
    const layers = model.graphs.flatMap((graph) =>
      graph.nodes.filter((node) => isHybrid(node, graph)).map((node) => node.id),
    );
    return onLayers(
      hybridOnMicrocontroller,
      layers,
      (where) => `Compressed weights against float activations do not run on ${device.name}${where}.`,
    );
  },
};

function isHybrid(node: Node, graph: Graph): boolean {
  const dtype = (index: number) => {
    const id = node.inputs[index];
    const value = id === null || id === undefined ? undefined : graph.values.get(id);
    return {
      dtype: value?.constant?.dtype ?? (value?.type?.kind === 'tensor' ? value.type.dtype : undefined),
      constant: value?.constant !== undefined,
    };
  };
  if (node.op === 'DEQUANTIZE') return dtype(0).constant && dtype(0).dtype === 'float16';
  if (!/^(CONV_2D|DEPTHWISE_CONV_2D|FULLY_CONNECTED|TRANSPOSE_CONV|BATCH_MATMUL)$/.test(node.op))
    return false;
  return dtype(0).dtype === 'float32' && dtype(1).constant && dtype(1).dtype === 'int8';
}
