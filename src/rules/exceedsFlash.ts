import { fitOf } from '../devices/estimate.ts';
import type { Rule } from './rule.ts';
import { bytesText, constantBytes, onModel, shrinkingFixes, storedBytes } from './support.ts';

export const exceedsFlash: Rule = {
  id: 'exceeds-flash',
  severity: 'error',
  title: 'The model does not fit the flash of the device',
  manual: `The model file is larger than the flash memory (or storage) of the chosen device, or takes more than 85 % of it,
which leaves too little for the program itself.

**Example.** A float32 model of 3 MB on a microcontroller with 2 MB of flash.

**Remedy.** Quantize the weights to int8 (a quarter of the size), prune channels, or choose a smaller model. The size of the
runtime and of the application is not counted, because it is not known.`,
  check(context) {
    const { device } = context;
    if (device?.flashBytes === undefined) return [];
    const used = storedBytes(context);
    const fit = fitOf(used, device.flashBytes);
    if (fit === 'fits' || fit === 'unknown') return [];
    const sizes = `${bytesText(used)} of ${bytesText(device.flashBytes)}`;
    const fixes = shrinkingFixes(context, constantBytes(context, 'float32'));
    return fit === 'tight'
      ? onModel(
          { id: 'exceeds-flash', severity: 'warning' },
          `The model takes ${sizes} of flash on ${device.name}; little is left for the program.`,
          fixes,
        )
      : onModel(exceedsFlash, `The model does not fit the flash of ${device.name}: ${sizes}.`, fixes);
  },
};
