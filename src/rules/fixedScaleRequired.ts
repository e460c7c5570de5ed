import type { Graph, Node } from '../ir/model.ts';
import type { Rule } from './rule.ts';
import { layersWhere } from './places.ts';
import { onLayers } from './support.ts';

/** Output scale and zero point of int8 kernels with tables of their own. */
const fixed: Readonly<Record<string, readonly [scale: number, zero: number]>> = {
  SOFTMAX: [1 / 256, -128],
  LOGISTIC: [1 / 256, -128],
  TANH: [1 / 128, 0],
  L2_NORMALIZATION: [1 / 128, 0],
  LOG_SOFTMAX: [16 / 256, 127],
};

export const fixedScaleRequired: Rule = {
  id: 'fixed-scale-required',
  severity: 'warning',
  title: 'An output scale other than the one its kernel has',
  manual: `Int8 kernels of SOFTMAX, LOGISTIC, TANH, L2_NORMALIZATION and LOG_SOFTMAX write on one scale that the specification fixes. With
another scale in the file the layer is refused when it is prepared, or everyone who reads the result misreads it.

**Example.** SOFTMAX with output scale 0.0038 instead of 1/256 = 0.00390625.

**Remedy.** Quantize the model again with a tool that follows the specification; \`quantize-static\` does.`,
  check({ model }) {
    if (model.dialect !== 'tflite') return [];
    return onLayers(
      fixedScaleRequired,
      layersWhere(model, ({ node, graph }) => hasOtherScale(node, graph)),
      (where) => `The output scale is not the one that the specification fixes for this operator${where}.`,
    );
  },
};

function hasOtherScale(node: Node, graph: Graph): boolean {
  const wanted = node.domain === '' ? fixed[node.op] : undefined;
  const value = graph.values.get(node.outputs[0] ?? '');
  if (wanted === undefined || value?.type?.kind !== 'tensor' || value.type.dtype !== 'int8') return false;
  const { scale, zeroPoint } = value.quantization ?? { scale: [], zeroPoint: [] };
  const [only] = scale;
  if (only === undefined) return false;
  return Math.abs(only - wanted[0]) > 1e-3 * wanted[0] || zeroPoint[0] !== wanted[1];
}
