import type { LayerWork } from '../devices/work.ts';
import { workOf } from '../devices/work.ts';
import type { Rule } from './rule.ts';
import { onLayers } from './support.ts';

/** Share of the work in integers from which a model counts as quantized. */
const quantized = 0.5;
/** Layers with less of the work than this are not worth a word. */
const worthwhile = 0.01;

export const floatIsland: Rule = {
  id: 'float-island',
  severity: 'information',
  title: 'A layer of a quantized model still computes in floating point',
  manual: `Most of the arithmetic runs in integers, this layer does not: its values are dequantized before and quantized behind. It may
have been left out on purpose because it is sensitive; otherwise it costs time, and integer accelerators hand it to the processor.

**Example.** The first convolution, excluded from quantization by a recipe that nobody remembers.

**Remedy.** Measure the sensitivity of the layer, and quantize the original model again without the exclusion.`,
  check({ model, analysis }) {
    const works = workOf(model, analysis).filter((work) => (work.macs ?? 0) > 0 && work.class !== 'free');
    const total = works.reduce((sum, work) => sum + (work.macs ?? 0), 0);
    const isInteger = (work: LayerWork) => work.precision === 'int8' && work.hybrid !== true;
    const integer = works.reduce((sum, work) => sum + (isInteger(work) ? (work.macs ?? 0) : 0), 0);
    if (total === 0 || integer < quantized * total) return [];
    const layers = works.filter((work) => !isInteger(work) && (work.macs ?? 0) > worthwhile * total);
    return onLayers(
      floatIsland,
      layers.map((work) => work.id),
      (where) => `The rest of the model computes in integers, this in floating point${where}.`,
    );
  },
};
