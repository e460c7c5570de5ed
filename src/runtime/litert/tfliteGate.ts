import type { DType } from '../../ir/dtype.ts';
import { isFloat } from '../../ir/dtype.ts';
import type { Graph, Node, TfliteModel } from '../../ir/model.ts';

const newTypes = new Set<DType>(['int4', 'uint4', 'int2', 'uint2', 'bfloat16', 'float8e4m3fn', 'float8e5m2']);

/**
 * Why an interpreter of 2024 would compute a model wrongly. It checks operator versions itself, but takes a
 * per-channel hybrid FULLY_CONNECTED that is stamped with an old version, and returns just the bias.
 */
export function misreadBy2024(model: TfliteModel): string | undefined {
  for (const graph of model.graphs) {
    for (const value of graph.values.values()) {
      const dtype = value.constant?.dtype;
      if (dtype !== undefined && newTypes.has(dtype)) return `it does not know ${dtype} (${value.name})`;
    }
    const hybrid = graph.nodes.find((node) => isPerChannelHybrid(node, graph));
    if (hybrid !== undefined)
      return `it computes per-channel hybrid FULLY_CONNECTED wrongly (${hybrid.outputs[0] ?? hybrid.id})`;
  }
  return undefined;
}

function isPerChannelHybrid({ op, inputs: [input, weights] }: Node, { values }: Graph): boolean {
  if (op !== 'FULLY_CONNECTED' || input == null || weights == null) return false;
  const type = values.get(input)?.type;
  const floating = type?.kind === 'tensor' && isFloat(type.dtype);
  const stored = values.get(weights);
  return floating && stored?.constant?.dtype === 'int8' && (stored.quantization?.scale.length ?? 0) > 1;
}
