import { lanes } from '../support/lanes.ts';
import type { ErrorFactor } from './errorFactor.ts';

/**
 * Up to `lanes` rows of weights in codes from -`top` to `top` of their scales by GPTQ (Frantar et al. 2022) in the form of
 * Babai's nearest plane: from the last place to the first, each weight is rounded after it made up for the errors behind
 * it. A row that costs less when rounded to nearest is. Gives the floats that the codes stand for.
 */
export function roundedRows(
  factor: ErrorFactor,
  weights: Float64Array,
  scales: Float32Array,
  top: number,
): Float64Array {
  const { size, order, diagonal, space, panels, sum } = factor;
  const { floats } = space;
  const [errors, plain] = panels;
  const count = weights.length / size;
  const found = new Float64Array(weights.length);
  const nearest = new Float64Array(weights.length);
  const gains = new Float64Array(count);
  floats.fill(0, errors, errors + lanes * size);
  floats.fill(0, plain, plain + lanes * size);
  for (let i = size - 1; i >= 0; i -= 1) {
    const at = order[i] as number;
    const behind = lanes * (i + 1);
    const square = (diagonal[i] as number) ** 2;
    space.dots(size * i + i + 1, plain + behind, size - 1 - i, sum);
    for (let r = 0; r < count; r += 1) {
      const [weight, scale] = [weights[r * size + at] as number, scales[r] as number];
      const value = scale * codeOf(weight / scale, top);
      nearest[r * size + at] = value;
      floats[plain + lanes * i + r] = weight - value;
      gains[r] = (gains[r] as number) + square * (weight - value + (floats[sum + r] as number)) ** 2;
    }
    space.dots(size * i + i + 1, errors + behind, size - 1 - i, sum);
    for (let r = 0; r < count; r += 1) {
      const [weight, scale] = [weights[r * size + at] as number, scales[r] as number];
      const target = weight + (floats[sum + r] as number);
      const value = scale * codeOf(target / scale, top);
      found[r * size + at] = value;
      floats[errors + lanes * i + r] = weight - value;
      gains[r] = (gains[r] as number) - square * (target - value) ** 2;
    }
  }
  for (let r = 0; r < count; r += 1)
    if (!((gains[r] as number) > 0)) found.set(nearest.subarray(r * size, (r + 1) * size), r * size);
  return found;
}

function codeOf(steps: number, top: number): number {
  const code = Math.round(steps);
  return code > top ? top : code < -top ? -top : code;
}
