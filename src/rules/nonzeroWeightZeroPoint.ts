import type { Graph, Model, Node } from '../ir/model.ts';
import { readIntegers } from '../ir/numbers.ts';
import { centreWeights } from '../passes/repair/zeroPoints.ts';
import { passFix } from './fixes.ts';
import type { Rule } from './rule.ts';
import { onLayers } from './support.ts';

export const nonzeroWeightZeroPoint: Rule = {
  id: 'nonzero-weight-zero-point',
  severity: 'warning',
  title: 'Quantized weights with a zero point other than 0',
  manual: `Signed 8-bit weights have a zero point that is not 0. The TFLite specification demands 0, many accelerators assume it,
and every runtime that allows it pays for an extra correction per output. (Unsigned weights of old models have 128 or another
value by nature and are not reported.)

**Example.** Weights quantized asymmetrically, with scale 0.01 and zero point 3.

**Remedy.** Quantize the original model again; Kerf always writes symmetric weights.`,
  check(context) {
    const { model } = context;
    const layers = model.graphs.flatMap((graph) =>
      graph.nodes.filter((node) => isAsymmetric(node, graph, model)).map((node) => node.id),
    );
    // Codes have to have room for it.
    const canMove = layers.length > 0 && (centreWeights(model)?.changed.length ?? 0) > 0;
    return onLayers(
      nonzeroWeightZeroPoint,
      layers,
      (where) => `The weights are quantized with a zero point other than 0${where}.`,
      canMove ? passFix(context, 'repair', { title: 'Move the zero points to 0: same result' }) : [],
    );
  },
};

function isAsymmetric(node: Node, graph: Graph, model: Model): boolean {
  return model.dialect === 'tflite' ? tfliteAsymmetric(node, graph) : onnxAsymmetric(node, graph);
}

function tfliteAsymmetric(node: Node, graph: Graph): boolean {
  if (!/CONV|FULLY_CONNECTED/.test(node.op)) return false;
  const id = node.inputs[1];
  const value = id === null || id === undefined ? undefined : graph.values.get(id);
  if (value?.constant?.dtype !== 'int8') return false;
  return value.quantization?.zeroPoint.some((zero) => zero !== 0) ?? false;
}

function onnxAsymmetric(node: Node, graph: Graph): boolean {
  if (node.op !== 'DequantizeLinear') return false;
  const [weightId, , zeroId] = node.inputs;
  const weight =
    weightId === null || weightId === undefined ? undefined : graph.values.get(weightId)?.constant;
  const zero = zeroId === null || zeroId === undefined ? undefined : graph.values.get(zeroId)?.constant;
  if (weight?.dtype !== 'int8' || zero === undefined || zero.data.missing !== undefined) return false;
  return readIntegers(zero).some((value) => value !== 0);
}
