import { isFloat } from '../ir/dtype.ts';
import type { Finding, Rule, Severity } from './rule.ts';
import type { PlacedWeight } from './places.ts';
import { weightsOf } from './places.ts';
import { channelMaxima, isLookedAt, largestOf, middleChannel } from './survey.ts';

/** Float weights: largest channel against the middle one. At 32, one scale leaves half of the channels 3 bits of 8. */
const floatRatio = 32;
/** Codes of an int8 weight: when the middle channel stays within these, it has 4 bits of 8. */
const narrowCodes = 8;
const fewest = 8;

export const outlierChannels: Rule = {
  id: 'outlier-channels',
  severity: 'hint',
  title: 'A few channels are much larger than the others',
  manual: `The weights of some output channels are far larger than those of the others. With one scale for the whole tensor the small
channels keep only a few of the 8 bits. A float model is told so beforehand (hint); a model that was quantized with one scale per
tensor has lost the accuracy already (warning).

**Example.** Depthwise convolutions of MobileNet: per-tensor int8 costs 8 points of accuracy, per-channel one.

**Remedy.** Quantize with one scale per channel, as \`quantize-static\` does; for targets that take one scale per tensor only,
equalize the channels first.`,
  check({ model }) {
    return [...weightsOf(model)]
      .filter(({ tensor }) => isLookedAt(model, tensor))
      .flatMap((weight) => findingFor(weight));
  },
};

function findingFor(weight: PlacedWeight): readonly Finding[] {
  const { node, tensor, role, graph, value } = weight;
  if ((tensor.dims[role.outputAxis] ?? 0) < fewest) return [];
  const found = (severity: Severity, message: string): readonly Finding[] => [
    { rule: outlierChannels.id, severity, layer: node.id, message, fixes: [] },
  ];
  if (isFloat(tensor.dtype)) {
    const largest = channelMaxima(tensor, role.outputAxis);
    const middle = largest && middleChannel(largest);
    if (largest === undefined || middle === undefined) return [];
    const ratio = largestOf(largest) / middle;
    if (!(ratio >= floatRatio) || ratio === Infinity) return [];
    return found(
      'hint',
      `The largest output channel is ${ratio.toFixed(0)} times the middle one: quantize per channel.`,
    );
  }
  const quantization = graph.values.get(value)?.quantization;
  if (tensor.dtype !== 'int8' || quantization?.scale.length !== 1) return [];
  const largest = channelMaxima(tensor, role.outputAxis, quantization.zeroPoint[0]);
  const middle = largest && middleChannel(largest);
  if (largest === undefined || middle === undefined || middle > narrowCodes || largestOf(largest) < 100)
    return [];
  return found('warning', `One scale for all channels: half of them use codes within ±${middle} of ±127.`);
}
