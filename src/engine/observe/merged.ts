import type { ValueId } from '../../ir/model.ts';
import type { ObservedRange } from '../../passes/pass.ts';

/** Takes the ranges of run after run together. */
export interface MergedRanges {
  /** The range of a value in the run that is going on. */
  add(id: ValueId, seen: ObservedRange): void;
  /** Ends a run of so many samples. */
  endRun(samples: number): void;
  /** What became of all of them. */
  finish(): ReadonlyMap<ValueId, ObservedRange>;
}

/** Samples whose range counts as one of a moving average; larger runs count as they are. */
const averagedTogether = 16;

/**
 * The extremes over all runs; or, with a momentum, the exponential moving average of the ranges of batches (Jacob et al.
 * 2018, section 3.1), started at zero and corrected for it, as the `zero_debias` of TensorFlow's moving averages does:
 * a_t = m a_{t-1} + (1 - m) x_t, divided by 1 - m^t. How many samples a run has depends on their size, so runs are
 * gathered into batches of 16 samples or more.
 */
export function mergedRanges(momentum?: number): MergedRanges {
  const whole = new Map<ValueId, ObservedRange>();
  if (momentum === undefined) {
    return { add: (id, seen) => widen(whole, id, seen), endRun: () => {}, finish: () => whole };
  }
  const batch = new Map<ValueId, ObservedRange>();
  const weights = new Map<ValueId, number>();
  let samples = 0;
  const endBatch = () => {
    for (const [id, seen] of batch) {
      const weight = 1 + momentum * (weights.get(id) ?? 0);
      weights.set(id, weight);
      whole.set(id, averaged(whole.get(id), seen, 1 / weight));
    }
    batch.clear();
    samples = 0;
  };
  return {
    add: (id, seen) => widen(batch, id, seen),
    endRun(count) {
      samples += count;
      if (samples >= averagedTogether) endBatch();
    },
    finish() {
      endBatch();
      return whole;
    },
  };
}

function averaged(known: ObservedRange | undefined, seen: ObservedRange, share: number): ObservedRange {
  if (known === undefined) return seen;
  return {
    min: (1 - share) * known.min + share * seen.min,
    max: (1 - share) * known.max + share * seen.max,
  };
}

function widen(ranges: Map<ValueId, ObservedRange>, id: ValueId, seen: ObservedRange): void {
  const known = ranges.get(id);
  ranges.set(id, {
    min: Math.min(known?.min ?? seen.min, seen.min),
    max: Math.max(known?.max ?? seen.max, seen.max),
  });
}
