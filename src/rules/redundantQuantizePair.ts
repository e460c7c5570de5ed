import type { Graph, Node, NodeId } from '../ir/model.ts';
import { readFloats, readIntegers } from '../ir/numbers.ts';
import { indexOf } from '../ir/walk.ts';
import type { Rule } from './rule.ts';
import { count, onLayers } from './support.ts';

export const redundantQuantizePair: Rule = {
  id: 'redundant-quantize-pair',
  severity: 'warning',
  title: 'A dequantization is undone by the quantization after it',
  manual: `The value is dequantized and quantized again at once, with the same scale and zero point: the two nodes do nothing.
Where the parameters differ the pair is a requantization and is not reported.

**Example.** \`DequantizeLinear(x, 0.02, 0) → QuantizeLinear(·, 0.02, 0)\`.

**Remedy.** Run \`simplify\`.`,
  check({ model }) {
    const layers: NodeId[] = [];
    for (const graph of model.graphs)
      for (const node of graph.nodes) if (isUndone(node, graph)) layers.push(node.id);
    const title = `Remove ${count(layers.length, 'pair')}: ${2 * layers.length} layers less, same result`;
    return onLayers(
      redundantQuantizePair,
      layers,
      (where) => `Dequantized and quantized again with the same parameters${where}.`,
      [{ pass: 'simplify', options: {}, title }],
    );
  },
};

/** True for the quantizing node of a pair that does nothing. */
function isUndone(node: Node, graph: Graph): boolean {
  const tflite = node.op === 'QUANTIZE';
  if (!tflite && node.op !== 'QuantizeLinear') return false;
  const input = node.inputs[0];
  if (input === null || input === undefined) return false;
  const before = indexOf(graph).producer.get(input);
  if (before?.op !== (tflite ? 'DEQUANTIZE' : 'DequantizeLinear')) return false;
  const parameters = tflite ? tfliteParameters : onnxParameters;
  const first = parameters(before.inputs, graph);
  const second = parameters(tflite ? node.outputs : node.inputs, graph);
  return first !== undefined && first === second;
}

function tfliteParameters(ids: Node['inputs'], graph: Graph): string | undefined {
  const id = ids[0];
  const value = id === null || id === undefined ? undefined : graph.values.get(id);
  const quantization = value?.quantization;
  if (quantization === undefined || value?.type?.kind !== 'tensor') return undefined;
  return JSON.stringify([
    value.type.dtype,
    [...quantization.scale],
    quantization.zeroPoint,
    quantization.axis,
  ]);
}

function onnxParameters(ids: Node['inputs'], graph: Graph): string | undefined {
  const [, scaleId, zeroId] = ids;
  const scale = scaleId === null || scaleId === undefined ? undefined : graph.values.get(scaleId)?.constant;
  if (scale === undefined || scale.data.missing !== undefined) return undefined;
  const zero = zeroId === null || zeroId === undefined ? undefined : graph.values.get(zeroId)?.constant;
  const zeros = zero === undefined ? ['uint8', 0] : [zero.dtype, ...readIntegers(zero)];
  return JSON.stringify([[...readFloats(scale)], zeros]);
}
