import type { LayerCost } from '../analysis/report.ts';
import type { Finding, Rule, RuleContext, Severity } from './rule.ts';
import { bytesText, shrinkingFixes } from './support.ts';

/** Below this nobody gains by looking at a single layer. */
const worthwhile = 32_768;
const share = 0.3;
/** Only the largest are reported: when many layers are too large, the model is. */
const most = 3;
const compressible = new Set(['convolution', 'matmul', 'recurrent']);

export const layerTooLarge: Rule = {
  id: 'layer-too-large',
  severity: 'warning',
  title: 'One layer holds a large share of the weights',
  manual: `A single layer holds more than 30 % of the weights of the model, or of what the device or the budget allows for the
whole model; without a limit that it breaks into, it is information. At most the three largest are reported. Compressing such a layer alone gives most of the gain, often at the smallest loss.

**Example.** The first fully connected layer of VGG-16 holds 103 of its 138 million parameters.

**Remedy.** Quantize the layer, prune it, or replace a wide fully connected layer by global average pooling.`,
  check(context) {
    const largest = [...context.analysis.layers].sort((a, b) => b.weightBytes - a.weightBytes).slice(0, most);
    return largest.flatMap((layer) => findingFor(layer, context));
  },
};

function findingFor(layer: LayerCost, context: RuleContext): readonly Finding[] {
  if (layer.weightBytes < worthwhile) return [];
  const reason = tooLargeFor(layer.weightBytes, context);
  if (reason === undefined) return [];
  const floats = compressible.has(layer.family) && layer.weightBytes >= layer.params * 4;
  const message = `${layer.op} holds ${bytesText(layer.weightBytes)} of weights, ${reason.share}.`;
  const fixes = floats ? shrinkingFixes(context, layer.weightBytes, [layer.id]) : [];
  return [{ rule: layerTooLarge.id, severity: reason.severity, layer: layer.id, message, fixes }];
}

interface TooLarge {
  readonly share: string;
  readonly severity: Severity;
}

function tooLargeFor(bytes: number, { analysis, budget, device }: RuleContext): TooLarge | undefined {
  const { severity } = layerTooLarge;
  const percent = (of: number) => `${((100 * bytes) / of).toFixed(0)} %`;
  const flash = device?.flashBytes;
  const allowed = budget.fileBytes ?? budget.flashBytes;
  if (flash !== undefined && bytes > share * flash)
    return { share: `${percent(flash)} of the flash of ${device?.name}`, severity };
  if (allowed !== undefined && bytes > share * allowed)
    return { share: `${percent(allowed)} of the size budget`, severity };
  const total = analysis.totals.weightBytes;
  return analysis.layers.length > 3 && bytes > share * total
    ? { share: `${percent(total)} of the model`, severity: 'information' }
    : undefined;
}
