import { indexOf } from '../ir/walk.ts';
import type { Rule } from './rule.ts';
import { weightsOf } from './places.ts';
import { onLayers } from './support.ts';

export const weightOnlyConvolution: Rule = {
  id: 'weight-only-convolution',
  severity: 'warning',
  title: 'A convolution that unpacks its weights on every run',
  manual: `The weights of the convolution are stored in few bits while its input is in floating point. ONNX Runtime has no kernel for
that: it dequantizes the weights on every inference, 1.3 times slower than float32 for ordinary convolutions and 4 times for
depthwise ones. (Products are different: DequantizeLinear and MatMul become one kernel.)

**Example.** \`quantize-weights\` with \`conv=true\`.

**Remedy.** Quantize the original model with calibration, or keep its convolutions in float32 or float16.`,
  check({ model }) {
    if (model.dialect !== 'onnx') return [];
    const layers = [...weightsOf(model)]
      .filter(({ node, graph, role, dequantize, tensor }) => {
        if (dequantize === undefined || !/^Conv(Transpose)?$/.test(node.op) || !/int/.test(tensor.dtype))
          return false;
        return indexOf(graph).producer.get(node.inputs[role.activation] ?? '')?.op !== 'DequantizeLinear';
      })
      .map(({ node }) => node.id);
    return onLayers(
      weightOnlyConvolution,
      layers,
      (where) => `The weights are dequantized on every inference${where}.`,
    );
  },
};
