import { intAttribute } from '../ir/attribute.ts';
import type { Graph, Node, NodeId } from '../ir/model.ts';
import { readFloats, readIntegers } from '../ir/numbers.ts';
import { soleReader } from '../passes/support/graph.ts';
import { readableConstant } from '../passes/support/constants.ts';
import type { Rule } from './rule.ts';
import { placesOf } from './places.ts';
import { onLayers } from './support.ts';

const codes = { int8: [-128, 127], uint8: [0, 255], int16: [-32768, 32767], uint16: [0, 65535] } as const;

/** Share of the codes that may stand for values the activation never gives. */
const tolerated = 0.1;

interface Encoding {
  readonly dtype: keyof typeof codes;
  readonly scale: number;
  readonly zero: number;
}

export const unusedQuantizationRange: Rule = {
  id: 'unused-quantization-range',
  severity: 'warning',
  title: 'An activation is quantized to a range it cannot reach',
  manual: `After a ReLU there is nothing below zero, after a ReLU6 nothing above six, yet more than a tenth of the codes stand for such
values: the scale is coarser than it has to be. Symmetric quantization of activations (zero point 0 in int8) gives away half of
the codes behind every ReLU.

**Example.** The int8 result of a ReLU with zero point 0: 128 of 256 codes are never used.

**Remedy.** Quantize the original model again with asymmetric activations; \`quantize-static\` does that.`,
  check({ model, target }) {
    // Where zero points are 0, half of the codes are the price of it.
    if (target?.activations.symmetric === true) return [];
    const layers: NodeId[] = [];
    let worst = 0;
    for (const { node, graph } of placesOf(model)) {
      const found = model.dialect === 'tflite' ? tfliteResult(node, graph) : onnxResult(node, graph);
      const lost = found === undefined ? 0 : unreachable(found.encoding, found.limit);
      if (lost <= tolerated) continue;
      layers.push(node.id);
      worst = Math.max(worst, lost);
    }
    const most = `${layers.length === 1 ? '' : 'Up to '}${(100 * worst).toFixed(0)} %`;
    return onLayers(
      unusedQuantizationRange,
      layers,
      (where) => `${most} of the codes stand for values that the activation never gives${where}.`,
    );
  },
};

interface Result {
  readonly encoding: Encoding;
  /** The largest value the activation gives. */
  readonly limit: number;
}

/** Share of the codes for values below zero or above the limit. int16 activations are symmetric by specification. */
function unreachable({ dtype, scale, zero }: Encoding, limit: number): number {
  const [low, high] = codes[dtype];
  if (dtype === 'int16') return 0;
  const below = zero - low;
  const above = Math.max(0, high - (zero + limit / scale));
  return (below + above) / (high - low);
}

const tfliteLimits: Readonly<Record<string, number>> = { RELU: Infinity, RELU6: 6 };
const fusedLimits: Readonly<Record<number, number>> = { 1: Infinity, 3: 6 };

function tfliteResult(node: Node, graph: Graph): Result | undefined {
  const limit = tfliteLimits[node.op] ?? fusedLimits[intAttribute(node, 'fused_activation_function', 0)];
  const value = graph.values.get(node.outputs[0] ?? '');
  const dtype = value?.type?.kind === 'tensor' ? value.type.dtype : undefined;
  const [scale] = value?.quantization?.scale ?? [];
  if (limit === undefined || dtype === undefined || !isCoded(dtype) || scale === undefined) return undefined;
  // A value that shares its scale with others (the operands of a concatenation) may have to give some of it away.
  if (soleReader(graph, value?.id)?.op === 'CONCATENATION') return undefined;
  return { encoding: { dtype, scale, zero: value?.quantization?.zeroPoint[0] ?? 0 }, limit };
}

function onnxResult(node: Node, graph: Graph): Result | undefined {
  const limit = node.op === 'Relu' ? Infinity : clipLimit(node, graph);
  const reader = limit === undefined ? undefined : soleReader(graph, node.outputs[0]);
  if (limit === undefined || reader?.op !== 'QuantizeLinear') return undefined;
  const scale = readableConstant(graph, reader.inputs[1]);
  const zero = readableConstant(graph, reader.inputs[2]);
  if (scale?.dims.length !== 0 || zero === undefined || !isCoded(zero.dtype)) return undefined;
  const encoding = { dtype: zero.dtype, scale: readFloats(scale)[0] ?? 1, zero: readIntegers(zero)[0] ?? 0 };
  return { encoding, limit };
}

function clipLimit(node: Node, graph: Graph): number | undefined {
  if (node.op !== 'Clip') return undefined;
  const [low, high] = [1, 2].map((input) => readableConstant(graph, node.inputs[input]));
  if (low === undefined || high === undefined || readFloats(low)[0] !== 0) return undefined;
  return readFloats(high)[0];
}

function isCoded(dtype: string): dtype is keyof typeof codes {
  return dtype in codes;
}
