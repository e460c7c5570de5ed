import type { Histogram, ObservedRange } from '../pass.ts';
import { activationEncoding, roundHalfEven } from './quantization.ts';

/**
 * The range that holds `percent` of the values. What is cut off is shared by the two ends; an end at or beyond zero is
 * not cut, as zero has to be in the range anyway. Inside a bin, values count as evenly spread.
 */
export function percentileRange(histogram: Histogram, percent: number): ObservedRange {
  const { min, max } = histogram;
  const ends = (min < 0 ? 1 : 0) + (max > 0 ? 1 : 0);
  if (ends === 0 || !(max > min)) return { min, max };
  const cut = (1 - percent / 100) / ends;
  return {
    min: min < 0 ? quantile(histogram, cut) : min,
    max: max > 0 ? quantile(histogram, 1 - cut) : max,
  };
}

/** The number below which `share` of the values lie, or the end of the range for shares of 0 and 1. */
function quantile({ min, max, counts }: Histogram, share: number): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (share <= 0 || total === 0) return share <= 0 ? min : max;
  const wanted = share * total;
  let below = 0;
  for (let bin = 0; bin < counts.length; bin += 1) {
    const count = counts[bin] as number;
    if (count > 0 && below + count >= wanted) {
      return Math.min(max, min + ((bin + (wanted - below) / count) / counts.length) * (max - min));
    }
    below += count;
  }
  return max;
}

/**
 * The range whose coarse distribution loses the least information (Migacz, "8-bit inference with TensorRT", GTC 2017).
 * Works on magnitudes: 128 levels each side of zero, 255 when all values are on one side. The bin at zero is given the
 * count of its neighbour, because zeros are exact in every range and would outweigh everything else.
 */
export function entropyRange(histogram: Histogram): ObservedRange {
  const { min, max } = histogram;
  const reach = Math.max(Math.abs(min), Math.abs(max));
  if (!(reach > 0)) return { min, max };
  const magnitudes = magnitudesOf(histogram);
  magnitudes[0] = magnitudes[1] as number;
  const levels = min < 0 && max > 0 ? 128 : 255;
  let best = magnitudes.length;
  let least = Number.POSITIVE_INFINITY;
  for (let kept = levels; kept <= magnitudes.length; kept += 1) {
    const lost = divergence(magnitudes, kept, levels);
    if (lost < least) {
      least = lost;
      best = kept;
    }
  }
  const threshold = Math.min(reach, ((best + 0.5) / magnitudes.length) * reach);
  return { min: Math.max(min, -threshold), max: Math.min(max, threshold) };
}

/** Counts of magnitudes in as many bins from 0 to the largest; a bin that overlaps several is shared among them. */
export function magnitudesOf({ min, max, counts }: Histogram): Float64Array {
  const bins = counts.length;
  const reach = Math.max(Math.abs(min), Math.abs(max));
  const magnitudes = new Float64Array(bins);
  const toBins = bins / reach;
  for (let bin = 0; bin < bins; bin += 1) {
    const count = counts[bin] as number;
    if (count === 0) continue;
    const from = min + (bin / bins) * (max - min);
    const to = min + ((bin + 1) / bins) * (max - min);
    if (from < 0 && to > 0) {
      spread(magnitudes, 0, -from * toBins, (count * -from) / (to - from));
      spread(magnitudes, 0, to * toBins, (count * to) / (to - from));
    } else {
      spread(
        magnitudes,
        Math.min(Math.abs(from), Math.abs(to)) * toBins,
        Math.max(Math.abs(from), Math.abs(to)) * toBins,
        count,
      );
    }
  }
  return magnitudes;
}

/** Adds `count` evenly over the stretch from `from` to `to`, measured in bins. */
function spread(bins: Float64Array, from: number, to: number, count: number): void {
  const last = bins.length - 1;
  const first = Math.min(last, Math.floor(from));
  if (!(to > from)) {
    bins[first] = (bins[first] as number) + count;
    return;
  }
  for (let bin = first; bin <= last && bin < to; bin += 1) {
    const end = bin === last ? to : Math.min(to, bin + 1);
    const share = (end - Math.max(from, bin)) / (to - from);
    if (share > 0) bins[bin] = (bins[bin] as number) + count * share;
  }
}

/** Mass of a level that nothing fell into, in counts. */
const almostNothing = 1e-4;

/**
 * Kullback-Leibler divergence, in nats, between the first `kept` bins with everything beyond added to the last of them,
 * and those bins without it, merged into `levels` and spread again over the bins that are not empty. A lone outlier
 * beyond an empty stretch has no level with mass to stand for it: such a level counts as nearly empty instead of
 * making the divergence infinite, or no outlier could ever be cut off.
 */
export function divergence(counts: Float64Array, kept: number, levels: number): number {
  let beyond = 0;
  for (let bin = kept; bin < counts.length; bin += 1) beyond += counts[bin] as number;
  let inside = 0;
  for (let bin = 0; bin < kept; bin += 1) inside += counts[bin] as number;
  if (!(inside > 0)) return Number.POSITIVE_INFINITY;
  let sum = 0;
  for (let level = 0; level < levels; level += 1) {
    const from = Math.ceil((level * kept) / levels);
    const to = Math.ceil(((level + 1) * kept) / levels);
    let mass = 0;
    let filled = 0;
    for (let bin = from; bin < to; bin += 1) {
      const count = counts[bin] as number;
      mass += count;
      if (count > 0 || (bin === kept - 1 && beyond > 0)) filled += 1;
    }
    const q = mass / filled / inside;
    for (let bin = from; bin < to; bin += 1) {
      const p = ((counts[bin] as number) + (bin === kept - 1 ? beyond : 0)) / (inside + beyond);
      if (p > 0) sum += p * Math.log(p / Math.max(q, almostNothing / inside));
    }
  }
  return sum;
}

const gridSteps = 80;
const smallestShare = 0.2;

/**
 * The range with the least mean squared error of 8-bit rounding and clipping, on a grid from the whole range down to a
 * fifth of it: first both ends together, then each end on its own. The whole range is on the grid.
 */
export function leastErrorRange(histogram: Histogram): ObservedRange {
  const whole = { min: Math.min(0, histogram.min), max: Math.max(0, histogram.max) };
  let best: ObservedRange = { min: histogram.min, max: histogram.max };
  let least = squaredError(histogram, best);
  const tryRange = (range: ObservedRange): void => {
    const error = squaredError(histogram, range);
    if (error >= least) return;
    least = error;
    best = range;
  };
  const shares = Array.from(
    { length: gridSteps },
    (_, step) => 1 - ((1 - smallestShare) * (step + 1)) / gridSteps,
  );
  for (const share of shares) tryRange({ min: whole.min * share, max: whole.max * share });
  if (!(whole.min < 0 && whole.max > 0)) return best;
  for (const share of [1, ...shares]) tryRange({ min: whole.min * share, max: best.max });
  for (const share of [1, ...shares]) tryRange({ min: best.min, max: whole.max * share });
  return best;
}

/** Sum of squared differences between the bins' middles and their 8-bit codes in this range. */
export function squaredError({ min, max, counts }: Histogram, range: ObservedRange): number {
  const { scale, zeroPoint } = activationEncoding(range, 'uint8');
  const width = (max - min) / counts.length;
  let sum = 0;
  for (let bin = 0; bin < counts.length; bin += 1) {
    const count = counts[bin] as number;
    if (count === 0) continue;
    const value = min + (bin + 0.5) * width;
    const code = Math.min(255, Math.max(0, roundHalfEven(value / scale) + zeroPoint));
    sum += count * (value - scale * (code - zeroPoint)) ** 2;
  }
  return sum;
}
