import { workOf } from '../devices/work.ts';
import type { Rule } from './rule.ts';
import { onLayers } from './support.ts';

export const halfPrecisionOnCpu: Rule = {
  id: 'half-precision-on-cpu',
  severity: 'warning',
  title: 'Float16 arithmetic on a processor without it',
  manual: `The layers compute in float16, and the device has no figures for that: its runtime casts to float32 before each layer and back
behind it. That is slower than float32 (ONNX Runtime on a Raspberry Pi 5: up to 4 times), although the file is half as large.

**Example.** A model converted for a GPU, deployed on a Cortex-A72.

**Remedy.** Store the weights in float16 and compute in float32 (\`fp16\` with \`mode=storage\` on the original model).`,
  check({ model, analysis, device }) {
    if (device === undefined || device.precisions.float16 !== undefined) return [];
    if (device.class !== 'cpu' && device.class !== 'host') return [];
    const layers = workOf(model, analysis).filter(
      (work) => work.precision === 'float16' && (work.macs ?? 0) > 0 && work.class !== 'free',
    );
    return onLayers(
      halfPrecisionOnCpu,
      layers.map((work) => work.id),
      (where) => `${device.name} has no float16 arithmetic; this is cast to float32 and back${where}.`,
    );
  },
};
