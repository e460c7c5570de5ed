import { arenaBytesOf } from '../devices/arena.ts';
import { fitOf } from '../devices/estimate.ts';
import type { Fix, Rule, RuleContext } from './rule.ts';
import { bytesText, constantBytes, onModel, quantizeOptions } from './support.ts';

export const exceedsRam: Rule = {
  id: 'exceeds-ram',
  severity: 'error',
  title: 'The activations do not fit the RAM of the device',
  manual: `The activations that are alive at the same time need more memory than the device has, or more than 85 % of it. On
microcontrollers the weights stay in flash and only activations count; elsewhere the weights are loaded into RAM as well.

**Example.** An input of 224×224×3 in float32 takes 602 kB before the first layer has run.

**Remedy.** Quantize to int8 with calibration (activations shrink to a quarter), lower the input resolution, or prune the
channels of the layers around the peak, which the Memory tab shows. A runtime needs some RAM of its own as well.`,
  check(context) {
    const { device, analysis, model } = context;
    const arena = arenaBytesOf(model, analysis);
    if (device?.ramBytes === undefined || arena === undefined) return [];
    const inFlash = device.weightsInFlash ?? device.class === 'mcu';
    const used = inFlash ? arena : arena + analysis.totals.weightBytes;
    const fit = fitOf(used, device.ramBytes);
    if (fit === 'fits' || fit === 'unknown') return [];
    const sizes = `${bytesText(used)} of ${bytesText(device.ramBytes)}`;
    const fixes = constantBytes(context, 'float32') === 0 ? [] : [quantize(context)];
    return fit === 'tight'
      ? onModel(
          { id: 'exceeds-ram', severity: 'warning' },
          `The activations take ${sizes} of RAM on ${device.name}; the runtime needs some of the rest.`,
          fixes,
        )
      : onModel(exceedsRam, `The activations do not fit the RAM of ${device.name}: ${sizes}.`, fixes);
  },
};

function quantize(context: RuleContext): Fix {
  const title = 'Quantize to int8 with calibration';
  return { pass: 'quantize-static', options: quantizeOptions(context), title };
}
