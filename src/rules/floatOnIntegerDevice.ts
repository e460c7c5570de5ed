import { workOf } from '../devices/work.ts';
import type { DeviceProfile } from '../devices/profile.ts';
import type { Rule, Severity } from './rule.ts';
import { onLayers, quantizeOptions } from './support.ts';

export const floatOnIntegerDevice: Rule = {
  id: 'float-on-integer-device',
  severity: 'error',
  title: 'Floating point on a device that computes in integers',
  manual: `These layers compute in floating point. An Edge TPU, an Ethos-U and most NPUs have no such kernels: they refuse the layers or
send them back to the processor (an error). Compilers that quantize a float model themselves, as Hailo's and GreenWaves' do, take
it as it is (information). Microcontrollers run floats, several times slower than int8; Kerf then has no figures of them
(a warning).

**Example.** A float32 convolution on a Coral Edge TPU.

**Remedy.** Quantize the model to int8 with calibration data, inputs and outputs included.`,
  check(context) {
    const { device, model, analysis } = context;
    if (device === undefined || !device.integerOnly) return [];
    const unknown = new Set(
      analysis.layers
        .filter(({ family, macs }) => family === 'other' && macs === undefined)
        .map(({ id }) => id),
    );
    const layers = workOf(model, analysis).filter(
      ({ id, precision, hybrid, class: kind }) =>
        precision !== 'int8' && hybrid !== true && kind !== 'free' && kind !== 'other' && !unknown.has(id),
    );
    const [severity, reason] = verdict(device);
    // What its compiler makes of floats is measured with its own tools.
    const cured = severity !== 'information';
    const title = 'Quantize to int8 with calibration';
    return onLayers(
      { id: floatOnIntegerDevice.id, severity },
      layers.map((work) => work.id),
      (where) => `${reason}${where}.`,
      cured ? [{ pass: 'quantize-static', options: quantizeOptions(context), title }] : [],
    );
  },
};

/** Runtimes whose compiler quantizes float models with calibration data of its own. */
const quantizingCompiler = /HailoRT|GAP SDK/;

function verdict({ name, class: kind, runtime, unsupported }: DeviceProfile): readonly [Severity, string] {
  if (quantizingCompiler.test(runtime))
    return [
      'information',
      `${name} computes in integers; its compiler quantizes floating point such as this itself`,
    ];
  if (kind === 'mcu' && !unsupported.includes('*:float32'))
    return ['warning', `This is floating point, which ${name} runs several times slower than int8`];
  return ['error', `${name} computes in integers, and this is floating point`];
}
