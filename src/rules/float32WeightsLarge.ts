import type { Rule } from './rule.ts';
import { bytesText, constantBytes, onModel, shrinkingFixes } from './support.ts';

/** Smaller models gain nothing that a person would notice. */
const worthwhile = 65_536;

export const float32WeightsLarge: Rule = {
  id: 'float32-weights-large',
  severity: 'hint',
  title: 'Most of the file is float32 weights',
  manual: `More than half of the weights are stored in 32-bit floating point. Half precision halves them with hardly any loss;
8-bit integers quarter them and, with calibration, make most devices faster.

**Example.** MobileNetV2 in float32 takes 14 MB, in int8 3.6 MB.

**Remedy.** \`quantize-static\` when there is calibration data, \`quantize-dynamic\` when there is none, \`fp16\` when accuracy must
not move.`,
  check(context) {
    // float-on-integer-device says more about them, and offers the same.
    if (context.device?.integerOnly === true) return [];
    const floats = constantBytes(context, 'float32');
    const total = context.analysis.totals.weightBytes;
    if (floats < worthwhile || floats < total / 2) return [];
    return onModel(
      float32WeightsLarge,
      `${bytesText(floats)} of weights are float32.`,
      shrinkingFixes(context, floats),
    );
  },
};
