import type { Model, ValueId } from '../ir/model.ts';
import { indexOf } from '../ir/walk.ts';

/** Operators behind which a weight keeps its dimensions. */
const transparent: ReadonlySet<string> = new Set([
  'DequantizeLinear',
  'QuantizeLinear',
  'Identity',
  'Cast',
  'DEQUANTIZE',
  'QUANTIZE',
]);

/**
 * Dimensions of a constant of the main graph, also when it is read through dequantization or casts; `undefined` when
 * the value is not a constant.
 */
export function weightDims(model: Model, id: ValueId | null | undefined): readonly number[] | undefined {
  const [graph] = model.graphs;
  let value = id;
  for (let hops = 0; hops < 8 && value; hops += 1) {
    const { constant } = graph.values.get(value) ?? {};
    if (constant !== undefined) return constant.dims;
    const producer = indexOf(graph).producer.get(value);
    if (producer === undefined) return undefined;
    const stored = producer.attributes.get('value');
    if (producer.op === 'Constant') return stored?.kind === 'tensor' ? stored.value.dims : undefined;
    if (!transparent.has(producer.op)) return undefined;
    value = producer.inputs[0];
  }
  return undefined;
}
