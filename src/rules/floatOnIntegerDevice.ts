import { workOf } from '../devices/work.ts';
import type { Rule } from './rule.ts';
import { onLayers, quantizeOptions } from './support.ts';

export const floatOnIntegerDevice: Rule = {
  id: 'float-on-integer-device',
  severity: 'error',
  title: 'Floating point on a device that computes in integers',
  manual: `The device has no floating-point kernels, or runs them so slowly that nobody uses them, and these layers compute in
floating point. Edge TPU, Ethos-U and most NPUs refuse such layers or send them back to the processor.

**Example.** A float32 convolution on a Coral Edge TPU.

**Remedy.** Quantize the model to int8 with calibration data, inputs and outputs included.`,
  check(context) {
    const { device, model, analysis } = context;
    if (device === undefined || !device.integerOnly) return [];
    const layers = workOf(model, analysis).filter(
      (work) => work.precision !== 'int8' && work.class !== 'free' && work.class !== 'other',
    );
    const title = 'Quantize to int8 with calibration';
    return onLayers(
      floatOnIntegerDevice,
      layers.map((work) => work.id),
      (where) => `${device.name} computes in integers, this is floating point${where}.`,
      [{ pass: 'quantize-static', options: quantizeOptions(context), title }],
    );
  },
};
