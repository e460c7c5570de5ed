import type { DType } from '../ir/dtype.ts';
import type { Graph, Node, NodeId, ValueId } from '../ir/model.ts';
import type { Rule } from './rule.ts';
import { placesOf } from './places.ts';
import { onLayers } from './support.ts';

/** The newest versions that LiteRT has kernels for, where that was looked up. */
const newest: Readonly<Record<string, number>> = {
  CONV_2D: 8,
  DEPTHWISE_CONV_2D: 7,
  FULLY_CONNECTED: 14,
  DEQUANTIZE: 9,
  QUANTIZE: 5,
};

/** Operators whose int8 kernels came with version 2. */
const second = new Set([
  'ADD',
  'SUB',
  'MUL',
  'SOFTMAX',
  'LOGISTIC',
  'TANH',
  'AVERAGE_POOL_2D',
  'MAX_POOL_2D',
  'PAD',
  'CONCATENATION',
]);

export const tfliteOperatorVersion: Rule = {
  id: 'tflite-operator-version',
  severity: 'warning',
  title: 'The version of an operator does not fit its types',
  manual: `Every TFLite operator carries a version, by which a runtime knows whether its kernel can compute it. A version that is too
high is refused. One that is too low for the types is worse: an old runtime accepts the layer and computes garbage, because the
version is all that would have warned it.

**Example.** A FULLY_CONNECTED with a scale per channel stamped 9 instead of 12: runtimes before 2025 return the bias alone.

**Remedy.** Convert or quantize the model again with a current tool.`,
  check({ model }) {
    if (model.dialect !== 'tflite') return [];
    const low: NodeId[] = [];
    const high: NodeId[] = [];
    for (const { node, graph } of placesOf(model)) {
      const { version } = node;
      if (node.domain !== '' || version === undefined) continue;
      if (version < (neededBy(node, graph) ?? 0)) low.push(node.id);
      if (version > (newest[node.op] ?? Number.POSITIVE_INFINITY)) high.push(node.id);
    }
    return [
      // Current runtimes go by the types; only older ones are misled.
      ...onLayers(
        { id: tfliteOperatorVersion.id, severity: 'information' },
        low,
        (where) =>
          `The version is too low for the types of the operands: older runtimes compute garbage${where}.`,
      ),
      ...onLayers(
        tfliteOperatorVersion,
        high,
        (where) => `The version is newer than any that LiteRT has${where}.`,
      ),
    ];
  },
};

interface Operand {
  readonly dtype: DType | undefined;
  readonly scales: number;
}

/** The least version that says which kernel these types need (LiteRT's op_version); `undefined` where nothing is known. */
function neededBy(node: Node, graph: Graph): number | undefined {
  const input = operand(graph, node.inputs[0]);
  if (second.has(node.op)) return input.dtype === 'int8' ? 2 : undefined;
  if (node.op === 'DEQUANTIZE') return dequantize(input);
  const weight = operand(graph, node.inputs[1]);
  const hybrid = input.dtype === 'float32' && weight.dtype === 'int8';
  switch (node.op) {
    case 'CONV_2D':
      return hybrid ? (weight.scales > 1 ? 5 : 2) : weighted(input, weight, { int8: 3, int16: 4, int4: 7 });
    case 'DEPTHWISE_CONV_2D':
      return hybrid ? (weight.scales > 1 ? 6 : 4) : weighted(input, weight, { int8: 3, int16: 5, int4: 7 });
    case 'FULLY_CONNECTED':
      return hybrid ? (weight.scales > 1 ? 12 : undefined) : weighted(input, weight, { int8: 4, int16: 7 });
    default:
      return undefined;
  }
}

function weighted(
  input: Operand,
  weight: Operand,
  needed: Readonly<Partial<Record<DType, number>>>,
): number | undefined {
  if (weight.dtype === 'int4') return needed.int4;
  return weight.dtype === 'int8' && input.dtype !== undefined ? needed[input.dtype] : undefined;
}

function dequantize({ dtype, scales }: Operand): number | undefined {
  if (dtype === 'int4') return 6;
  if (dtype === 'int8') return scales > 1 ? 5 : 2;
  return dtype === 'int16' || dtype === 'float16' ? 3 : undefined;
}

function operand(graph: Graph, id: ValueId | null | undefined): Operand {
  const value = id === null || id === undefined ? undefined : graph.values.get(id);
  const dtype = value?.constant?.dtype ?? (value?.type?.kind === 'tensor' ? value.type.dtype : undefined);
  return { dtype, scales: value?.quantization?.scale.length ?? 0 };
}
