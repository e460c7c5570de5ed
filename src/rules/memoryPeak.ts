import { executionOrder } from '../analysis/order.ts';
import { predictGain } from './gain.ts';
import type { Fix, Rule, RuleContext } from './rule.ts';
import { bytesText, constantBytes, shrinkingFixes } from './support.ts';
import { largestOf } from './survey.ts';

/** Share of the memory that must be taken before the place matters. */
const share = 0.5;
/** The step is remarkable when the model would need this much less without it. */
const spike = 0.75;

export const memoryPeak: Rule = {
  id: 'memory-peak',
  severity: 'information',
  title: 'One step decides how much memory is needed',
  manual: `The activations that are alive at this step take more than half of the device's (or the budget's) RAM, and at most other
steps far less is alive. Whatever shrinks this step shrinks the arena of the whole model.

**Example.** The second convolution of a MobileNet, between two tensors of 96 × 96 × 32.

**Remedy.** Quantize with calibration (a quarter), give the layer before it a larger stride, or prune its channels. The Memory tab
shows what is alive.`,
  check(context) {
    const { model, analysis, device, budget } = context;
    const { memory } = analysis;
    const limit = budget.ramBytes ?? device?.ramBytes;
    if (memory === undefined || limit === undefined || memory.live.length < 4) return [];
    const peak = largestOf(memory.live);
    if (peak < share * limit) return [];
    const step = memory.live.indexOf(peak);
    const usual = [...memory.live].sort((a, b) => a - b)[Math.floor(memory.live.length / 2)] ?? 0;
    const node = executionOrder(model.graphs[0]).nodes[step];
    if (node === undefined || usual > spike * peak) return [];
    const message = `${bytesText(peak)} of activations are alive here, the peak of the model (${bytesText(usual)} at half of the steps).`;
    return [
      {
        rule: memoryPeak.id,
        severity: memoryPeak.severity,
        layer: node.id,
        message,
        fixes: lowering(context),
      },
    ];
  },
};

function lowering(context: RuleContext): readonly Fix[] {
  const offered = shrinkingFixes(context, constantBytes(context, 'float32'));
  return offered.filter((fix) => predictGain(context, fix, []).ramBytes !== undefined);
}
