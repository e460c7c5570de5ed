import type { Graph, Node } from '../ir/model.ts';
import type { Rule } from './rule.ts';
import { layersWhere } from './places.ts';
import { onLayers } from './support.ts';

/** Relative difference that rounding explains. */
const tolerated = 0.02;

export const biasScaleMismatch: Rule = {
  id: 'bias-scale-mismatch',
  severity: 'error',
  title: 'A bias whose scale does not follow from input and weights',
  manual: `An int32 bias is added to the sum of products of input and weight, so its scale must be the product of theirs. Runtimes do
not convert it: they refuse the layer, or add a bias of the wrong size.

**Example.** Input scale 0.02, weight scale 0.005, bias scale 0.0002 instead of 0.0001: the bias counts half.

**Remedy.** Quantize the model again, or multiply the bias by the quotient of the scales.`,
  check({ model }) {
    if (model.dialect !== 'tflite') return [];
    return onLayers(
      biasScaleMismatch,
      layersWhere(model, ({ node, graph }) => isWrong(node, graph)),
      (where) => `The scale of the bias is not input scale × weight scale${where}.`,
    );
  },
};

const operands: Readonly<Record<string, readonly [input: number, weight: number, bias: number]>> = {
  CONV_2D: [0, 1, 2],
  DEPTHWISE_CONV_2D: [0, 1, 2],
  FULLY_CONNECTED: [0, 1, 2],
  CONV_3D: [0, 1, 2],
  TRANSPOSE_CONV: [2, 1, 3],
};

function isWrong(node: Node, graph: Graph): boolean {
  const places = node.domain === '' ? operands[node.op] : undefined;
  if (places === undefined) return false;
  const [input, weight, bias] = places.map((index) => graph.values.get(node.inputs[index] ?? ''));
  if (bias?.constant?.dtype !== 'int32' && bias?.constant?.dtype !== 'int64') return false;
  const scales = [input, weight, bias].map((value) => value?.quantization?.scale);
  const [inputs, weights, biases] = scales;
  if (!inputs?.length || !weights?.length || !biases?.length) return false;
  const count = Math.max(weights.length, biases.length);
  for (let channel = 0; channel < count; channel += 1) {
    const expected = (inputs[0] as number) * (weights[weights.length === 1 ? 0 : channel] ?? Number.NaN);
    const stored = biases[biases.length === 1 ? 0 : channel] ?? Number.NaN;
    if (!(Math.abs(stored - expected) <= tolerated * expected)) return true;
  }
  return false;
}
