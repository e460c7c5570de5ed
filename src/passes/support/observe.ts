import type { Model, ValueId } from '../../ir/model.ts';
import type { Calibrator, ObservedRange } from '../pass.ts';
import { widened } from '../equalize/equalize.ts';
import { entropyRange, leastErrorRange, percentileRange } from './ranges.ts';

/** Ways to choose the range of an activation from what was observed. */
export const rangeMethods = ['minmax', 'moving-average', 'percentile', 'entropy', 'mse'] as const;
export type RangeMethod = (typeof rangeMethods)[number];

export interface RangeChoice {
  readonly method: RangeMethod;
  /** For `percentile`: the share of the values inside, in percent. */
  readonly percentile: number;
  /** For `moving-average`: the weight of what was before, from 0 to 1. */
  readonly momentum: number;
}

/**
 * Ranges of values over the calibration data; histograms take a second pass through the data. With `minmax`, values
 * with `room` get ranges wider than what was seen by that factor.
 */
export async function observeRanges(
  calibrator: Calibrator,
  model: Model,
  values: readonly ValueId[],
  { method, percentile, momentum }: RangeChoice,
  room: ReadonlyMap<ValueId, number> = new Map(),
): Promise<ReadonlyMap<ValueId, ObservedRange>> {
  if (method === 'moving-average') return calibrator.ranges(model, values, momentum);
  const ranges = await calibrator.ranges(model, values);
  if (method === 'minmax') return widened(ranges, room);
  const chosen = new Map(ranges);
  for (const [id, histogram] of await calibrator.histograms(model, values, ranges)) {
    if (method === 'percentile') chosen.set(id, percentileRange(histogram, percentile));
    else if (method === 'entropy') chosen.set(id, entropyRange(histogram));
    else chosen.set(id, leastErrorRange(histogram));
  }
  return chosen;
}
