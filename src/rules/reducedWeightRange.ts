import type { NodeId } from '../ir/model.ts';
import { sizeOf } from '../ir/numbers.ts';
import type { Rule } from './rule.ts';
import { weightsOf } from './places.ts';
import { onLayers } from './support.ts';
import { channelMaxima, isLookedAt, largestOf, surveyOf } from './survey.ts';

/** The largest code of 7-bit weights in 8 bits. */
const sevenBits = 64;
const fewest = 256;

export const reducedWeightRange: Rule = {
  id: 'reduced-weight-range',
  severity: 'information',
  title: 'Quantized weights that leave half of their range unused',
  manual: `No int8 weight of most channels is beyond ±64: a bit of every weight is not used. Tools do so on purpose for x86 processors
without VNNI (reduce_range); everywhere else it only costs accuracy.

**Example.** A model quantized with reduce_range on, deployed on an Arm board.

**Remedy.** Quantize the original model again with the whole range.`,
  check({ model, target }) {
    // The target wants them so.
    if ((target?.weights.bits ?? 8) < 8) return [];
    const layers: NodeId[] = [];
    for (const { node, tensor, role, graph, value, dequantize } of weightsOf(model)) {
      if (
        !isLookedAt(model, tensor) ||
        tensor.dtype !== 'int8' ||
        sizeOf(tensor) < fewest ||
        surveyOf(tensor) === undefined
      )
        continue;
      const perTensor = dequantize === undefined && graph.values.get(value)?.quantization?.scale.length === 1;
      const largest = channelMaxima(tensor, role.outputAxis) ?? new Float64Array(0);
      const used = largest.filter((each) => each > 0);
      const narrow = used.filter((each) => each <= sevenBits).length;
      const all = perTensor ? largestOf(largest) <= sevenBits : narrow > 0.9 * used.length;
      if (used.length > 0 && all) layers.push(node.id);
    }
    return onLayers(
      reducedWeightRange,
      layers,
      (where) => `The int8 weights use half of their range or less${where}.`,
    );
  },
};
