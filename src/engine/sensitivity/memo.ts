import type { Model, ValueId } from '../../ir/model.ts';
import { unchangedValues } from '../../optimize/sensitivity/cuts.ts';
import type { Calibrator, Histogram, ObservedRange } from '../../passes/pass.ts';

/** What a calibrator knows of the first model it was asked about, for models that differ from it in a few layers. */
interface Memory {
  readonly model: Model;
  /** By value and by momentum, where a range is a moving average. */
  readonly ranges: Map<string, ObservedRange>;
  readonly histograms: Map<ValueId, { readonly range: ObservedRange; readonly histogram: Histogram }>;
}

/**
 * A calibrator that runs the data once for a pass over all layers and answers the passes over single layers from what
 * it saw then, as far as nothing changed in front of a value. What it does not know is observed anew; `onRun` hears of
 * every time the data is run, and `first` is the model it was asked about first: the original as the pass prepares it.
 */
export function memoCalibrator(
  real: Calibrator,
  onRun: () => void,
): { readonly calibrator: Calibrator; first(): Model | undefined } {
  let memory: Memory | undefined;
  const knownIn = (model: Model): { memory: Memory; holds: ReadonlySet<ValueId> } => {
    memory ??= { model, ranges: new Map(), histograms: new Map() };
    return { memory, holds: unchangedValues(memory.model, model) };
  };
  const calibrator: Calibrator = {
    source: real.source,
    samples: real.samples,
    async ranges(model, values, momentum) {
      const { memory: known, holds } = knownIn(model);
      const keyOf = (id: ValueId) => `${momentum ?? ''}|${id}`;
      const found = new Map<ValueId, ObservedRange>();
      for (const id of values) {
        const range = holds.has(id) ? known.ranges.get(keyOf(id)) : undefined;
        if (range !== undefined) found.set(id, range);
      }
      const open = values.filter((id) => !found.has(id));
      if (open.length === 0) return found;
      onRun();
      for (const [id, range] of await real.ranges(model, open, momentum)) {
        found.set(id, range);
        if (holds.has(id)) known.ranges.set(keyOf(id), range);
      }
      return found;
    },
    async histograms(model, values, ranges) {
      const { memory: known, holds } = knownIn(model);
      const found = new Map<ValueId, Histogram>();
      const open = values.filter((id) => {
        const seen = holds.has(id) ? known.histograms.get(id) : undefined;
        const range = ranges.get(id);
        if (seen === undefined || seen.range.min !== range?.min || seen.range.max !== range.max) return true;
        found.set(id, seen.histogram);
        return false;
      });
      if (open.length === 0) return found;
      onRun();
      for (const [id, histogram] of await real.histograms(model, open, ranges)) {
        found.set(id, histogram);
        const range = ranges.get(id);
        if (holds.has(id) && range !== undefined) known.histograms.set(id, { range, histogram });
      }
      return found;
    },
    moments(...asked) {
      onRun();
      return real.moments(...asked);
    },
    crossMoments(...asked) {
      onRun();
      return real.crossMoments(...asked);
    },
    channels(...asked) {
      onRun();
      return real.channels(...asked);
    },
  };
  return { calibrator, first: () => memory?.model };
}
