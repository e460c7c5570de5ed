import { lanes } from '../support/lanes.ts';
import type { ErrorFactor } from './errorFactor.ts';

/**
 * Up to `lanes` rows of weights in codes from -`top` to `top` of their scales by GPTQ (Frantar et al. 2022) in the form of
 * Babai's nearest plane: from the last place to the first, each weight is rounded after it made up for the errors behind
 * it. A row that costs less when rounded to nearest is. Gives the floats that the codes stand for.
 */
export function roundedRows(
  { size, order, space, panels }: ErrorFactor,
  weights: Float64Array,
  scales: Float32Array,
  top: number,
): Float64Array {
  const { floats } = space;
  const count = weights.length / size;
  floats.fill(0, panels.weights, panels.weights + lanes * size);
  for (let i = 0, to = panels.weights; i < size; i += 1, to += lanes) {
    const at = order[i] as number;
    for (let r = 0; r < count; r += 1) floats[to + r] = weights[r * size + at] as number;
  }
  floats.fill(1, panels.scales, panels.scales + lanes).set(scales, panels.scales);
  floats.fill(0, panels.gains, panels.gains + lanes);
  space.round({ ...panels, size, top });
  const rounded = new Float64Array(weights.length);
  for (let r = 0; r < count; r += 1) {
    const from = ((floats[panels.gains + r] as number) > 0 ? panels.found : panels.nearest) + r;
    for (let i = 0; i < size; i += 1)
      rounded[r * size + (order[i] as number)] = floats[from + lanes * i] as number;
  }
  return rounded;
}
