import type { Rule } from './rule.ts';
import { bytesText, constantBytes, onModel, shrinkingFixes } from './support.ts';

export const exceedsAcceleratorMemory: Rule = {
  id: 'exceeds-accelerator-memory',
  severity: 'warning',
  title: 'The weights overflow the memory of the accelerator',
  manual: `The accelerator keeps weights in its own memory between inferences. What does not fit is sent again on every
inference, over a much slower connection.

**Example.** Coral Edge TPU: MobileNetV2 (3.5 MB) takes 2.6 ms, VGG-16 (138 MB) takes 296 ms.

**Remedy.** Prune channels or choose a smaller network, until the weights fit.`,
  check(context) {
    const { analysis, device } = context;
    if (device?.onChipBytes === undefined || analysis.totals.weightBytes <= device.onChipBytes) return [];
    const used = bytesText(analysis.totals.weightBytes);
    return onModel(
      exceedsAcceleratorMemory,
      `${used} of weights do not fit the ${bytesText(device.onChipBytes)} on ${device.name}; the rest is sent again on every inference.`,
      shrinkingFixes(context, constantBytes(context, 'float32')),
    );
  },
};
