import { estimateOn } from '../devices/estimate.ts';
import { predictGain } from './gain.ts';
import type { Rule } from './rule.ts';
import { durationText, shrinkingFixes } from './support.ts';

/** Share of the time, and the fewest layers that make it remarkable. */
const share = 0.35;
const fewestLayers = 6;

export const layerTooSlow: Rule = {
  id: 'layer-too-slow',
  severity: 'information',
  title: 'One layer takes a large share of the time',
  manual: `By the estimate for the chosen device one layer takes more than 35 % of an inference. Whatever is done to the others, the
model cannot become much faster than that; work on this one first.

**Example.** The first convolution of a network for large images, or one depthwise layer on a processor that is poor at them.

**Remedy.** Quantize or prune the layer, give it a larger stride, or factorize it (\`low-rank\`). Estimates say what to measure;
measure on the device before you decide.`,
  check(context) {
    const { device, model, analysis } = context;
    if (device === undefined || analysis.layers.length < fewestLayers) return [];
    const { latencyMs, layers } = estimateOn(device, model, analysis);
    if (latencyMs === null) return [];
    return layers.flatMap(({ id, ms }) => {
      if (ms === null || ms < share * latencyMs) return [];
      const layer = analysis.layers.find((each) => each.id === id);
      const percent = ((100 * ms) / latencyMs).toFixed(0);
      const message = `${layer?.op ?? 'The layer'} takes about ${percent} % of the time on ${device.name}: ${durationText(ms)} of ${durationText(latencyMs)}, estimated.`;
      const floats = layer !== undefined && layer.weightBytes >= layer.params * 4;
      const offered = floats ? shrinkingFixes(context, layer.weightBytes, [id]) : [];
      const fixes = offered.filter((fix) => predictGain(context, fix, []).latencyMs !== undefined);
      return [{ rule: layerTooSlow.id, severity: layerTooSlow.severity, layer: id, message, fixes }];
    });
  },
};
