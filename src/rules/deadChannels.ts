import { deadLayers } from '../passes/pruneChannels/removeDead.ts';
import { passFix } from './fixes.ts';
import type { NodeId } from '../ir/model.ts';
import type { Tensor } from '../ir/tensor.ts';
import type { Finding, Fix, Rule, RuleContext } from './rule.ts';
import { weightsOf } from './places.ts';
import { channelMaxima, isLookedAt, livingChannels } from './survey.ts';

/** Share of the channels from which it is more than a footnote. */
const remarkable = 0.05;

export const deadChannels: Rule = {
  id: 'dead-channels',
  severity: 'warning',
  title: 'Output channels with nothing but zero weights',
  manual: `Every weight of these output channels is zero, or so small (1e-12 of the largest) that it is lost in rounding: whatever the
input, they give their bias. They are computed, stored and
passed on all the same. Pruning leaves such channels behind, and so does training with a strong weight decay.

**Example.** 12 of the 64 filters of a convolution are all zero.

**Remedy.** Remove the channels (\`remove-dead-channels\`): the same results with less work. What such a channel adds goes into
the biases of the layers that read it; a channel that a softmax, an output or a padded window needs stays.`,
  check(context) {
    const { model } = context;
    const findings: Finding[] = [];
    for (const { node, tensor, role, graph, value } of weightsOf(model)) {
      const zeros = graph.values.get(value)?.quantization?.zeroPoint ?? [];
      if (zeros.length > 1 && zeros.some((zero) => zero !== zeros[0])) continue;
      if (!isLookedAt(model, tensor)) continue;
      const largest = channelMaxima(tensor, role.outputAxis, zeros[0] ?? 0);
      if (largest === undefined) continue;
      const dead = largest.length - livingChannels(largest).length;
      if (dead === 0) continue;
      const all = dead === largest.length;
      const message = all
        ? `All ${dead} output channels have only zero weights: the layer gives its bias.`
        : `${dead} of ${largest.length} output channels have only zero weights, or next to zero.`;
      const severity = dead > remarkable * largest.length ? 'warning' : 'information';
      const fixes = removal(context, node.id, dead / largest.length, tensor);
      findings.push({ rule: 'dead-channels', severity, layer: node.id, message, fixes });
    }
    return findings;
  },
};

/** The removal, with what the layer itself loses; the layers that read the channels get smaller as well. */
function removal(context: RuleContext, layer: NodeId, share: number, tensor: Tensor): readonly Fix[] {
  if (!deadLayers(context.model).has(layer)) return [];
  const macs = context.analysis.layers.find(({ id }) => id === layer)?.macs;
  const gain = { fileBytes: share * tensor.data.length, ...(macs !== undefined && { macs: share * macs }) };
  return passFix(context, 'remove-dead-channels', {
    title: 'Remove the dead channels, same result',
    layers: [layer],
    gain,
  });
}
