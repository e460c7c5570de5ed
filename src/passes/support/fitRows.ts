import { fittedOn, longestExact } from './brainSurgeon.ts';
import { damped } from './cholesky.ts';
import type { DenseLayer } from './denseLayer.ts';
import type { Target } from './refit.ts';
import { costOf, sparseSweep } from './roundingRow.ts';

/** Multiply-accumulates above which the rows of a layer are not fitted one by one. */
const mostFitWork = 4e10;
/** Share of the mean diagonal that is added to H. */
const damping = 0.001;

/**
 * Each row fitted to the target on the places where `keep` is 1 (`outputs` x `inputs`), the others zero; in very wide
 * layers in one sweep, as a fit of each row would take minutes.
 */
export function fitRows(
  { inputs: d, outputs, groups }: DenseLayer,
  { costs, weights }: Pick<Target, 'costs' | 'weights'>,
  keep: Uint8Array,
): Float64Array {
  const matrix = new Float64Array(weights.length);
  let work = 0;
  for (let o = 0; o < outputs; o += 1)
    work += keep.subarray(o * d, (o + 1) * d).reduce((sum, one) => sum + one, 0) ** 3 / 6;
  const exact = work <= mostFitWork && d <= longestExact;
  for (let g = 0; g < groups; g += 1) {
    const h = damped(costs[g] as Float64Array, d, damping);
    const cost = exact ? undefined : costOf(h, d);
    for (let o = (g * outputs) / groups; o < ((g + 1) * outputs) / groups; o += 1) {
      const row = weights.subarray(o * d, (o + 1) * d);
      const mask = keep.subarray(o * d, (o + 1) * d);
      matrix.set(cost === undefined ? fittedOn(h, d, mask, row) : sparseSweep(cost, row, mask), o * d);
    }
  }
  return matrix;
}
