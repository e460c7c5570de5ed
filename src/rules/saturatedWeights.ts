import type { Finding, Rule } from './rule.ts';
import { weightsOf } from './places.ts';
import { sizeOf } from '../ir/numbers.ts';
import { countCodes, isLookedAt, surveyOf } from './survey.ts';

/** Share of the elements at the ends of the range, beyond the one per channel that a good scale puts there. */
const tolerated = 0.02;

export const saturatedWeights: Rule = {
  id: 'saturated-weights',
  severity: 'warning',
  title: 'Many quantized weights are clipped',
  manual: `More than 2 % of the int8 weights stand at the ends of their range, beyond the largest one of each channel. The scale was
too small and the weights were cut off: a quantizer that clips on purpose (least error, OCTAV) stays well below that.

**Example.** A scale taken over from another layer: 9 % of the weights are 127 or -127.

**Remedy.** Quantize the original model again with ranges that cover the weights.`,
  check({ model }) {
    const findings: Finding[] = [];
    for (const { node, tensor, role } of weightsOf(model)) {
      if (!isLookedAt(model, tensor) || tensor.dtype !== 'int8') continue;
      const survey = surveyOf(tensor);
      const channels = tensor.dims[role.outputAxis] ?? 1;
      const elements = sizeOf(tensor);
      // Binary and ternary weights live at the ends by nature.
      if (survey === undefined || survey.max - survey.min < 200 || elements < 256) continue;
      const clipped = countCodes(tensor, [-128, -127, 127]) - channels;
      if (clipped <= tolerated * elements || isCoarse(tensor)) continue;
      const share = ((100 * clipped) / elements).toFixed(1);
      const message = `${share} % of the weights are cut off at the ends of the int8 range.`;
      findings.push({ rule: 'saturated-weights', severity: 'warning', layer: node.id, message, fixes: [] });
    }
    return findings;
  },
};

/** Few levels stored in 8 bits (ternary, 4-bit codes spread out): hardly any element stands near the ends but not on them. */
function isCoarse(tensor: Parameters<typeof countCodes>[0]): boolean {
  return countCodes(tensor, [-126, -125, -124, 124, 125, 126]) === 0;
}
