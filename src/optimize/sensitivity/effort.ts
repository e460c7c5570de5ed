import type { Estimate } from './certainty.ts';
import { rankCertainty } from './certainty.ts';

/** What may be spent on measuring changes one by one, in whole inferences of the original for one sample. */
export interface Effort {
  /** On all changes alike, before it is known how certain their order is. */
  readonly first: number;
  /** On everything. */
  readonly most: number;
  /** Expected rank correlation that is certain enough. */
  readonly wanted: number;
}

/** Fewer samples say too little of how noise differs between them. */
const fewestSamples = 8;
/** Each sample goes once through the original for its outputs, and once for its values at cuts. */
const perSample = 2;

/** Samples that every change is measured on. */
export function firstSamples(costs: readonly number[], samples: number, effort: Effort | undefined): number {
  if (effort === undefined) return samples;
  const each = perSample + costs.reduce((sum, cost) => sum + cost, 0);
  return Math.min(samples, Math.max(fewestSamples, Math.floor(effort.first / each)));
}

/** A change after some samples. */
export interface Measurement extends Estimate {
  /** Of one more sample, in whole inferences. */
  readonly cost: number;
  /** Samples it was measured on. */
  readonly measured: number;
}

export interface NextRound {
  /** Samples that none was measured on so far. */
  readonly samples: number;
  /** Places of the changes that are measured on them. */
  readonly chosen: readonly number[];
}

/**
 * The changes whose places in the order are doubtful, to be measured on as many samples again as were taken so far:
 * those first that are displaced most for their cost, and so many that the order is to be expected to become certain enough,
 * or as many as can be paid for. Undefined when the order is certain enough, or nothing is left.
 */
export function nextRound(
  measurements: readonly Measurement[],
  state: {
    readonly taken: number;
    readonly samples: number;
    /** Whole inferences that may be spent. */
    readonly left: number;
    /** Samples that run at once. */
    readonly rows: number;
  },
  { wanted }: Effort,
): NextRound | undefined {
  const { taken, samples, left, rows } = state;
  const { correlation, shifts } = rankCertainty(measurements);
  const open = Math.min(taken, rows * Math.ceil((samples - taken) / rows));
  if (correlation >= wanted || open <= 0) return undefined;
  const worth = (at: number) => (shifts[at] as number) / Math.max(1e-3, measurements[at]?.cost ?? 0);
  const order = [...measurements.keys()]
    .filter((at) => (shifts[at] as number) > 0)
    .sort((a, b) => worth(b) - worth(a));
  const paid = affordable(order, measurements, { open, left, rows });
  if (paid.count === 0) return undefined;
  const enough = (count: number) => {
    const chosen = new Set(order.slice(0, count));
    const after = measurements.map((each, at) =>
      chosen.has(at) ? withMore(each, paid.each, samples) : each,
    );
    return rankCertainty(after).correlation >= wanted;
  };
  let [few, many] = [0, paid.count];
  while (many - few > 1) {
    const middle = Math.floor((few + many) / 2);
    if (enough(middle)) many = middle;
    else few = middle;
  }
  return { samples: paid.each, chosen: order.slice(0, many) };
}

/** How many of the first changes can be measured on the next samples; on fewer samples when not even half of them can. */
function affordable(
  order: readonly number[],
  measurements: readonly Measurement[],
  { open, left, rows }: { readonly open: number; readonly left: number; readonly rows: number },
): { readonly count: number; readonly each: number } {
  for (let each = open; each >= rows; each = rows * Math.floor(each / (2 * rows))) {
    let cost = perSample;
    let count = 0;
    for (const at of order) {
      cost += measurements[at]?.cost ?? 0;
      if (cost * each > left) break;
      count += 1;
    }
    if (2 * count >= order.length) return { count, each };
  }
  return { count: 0, each: 0 };
}

function withMore(measurement: Measurement, more: number, samples: number): Estimate {
  const { level, error, measured } = measurement;
  const rest = (count: number) => Math.max(0, 1 / count - 1 / samples);
  const before = rest(measured);
  return { level, error: before === 0 ? 0 : error * Math.sqrt(rest(measured + more) / before) };
}

/** Some things in an order whose every beginning is spread evenly over them. */
export function spreadOrder(count: number): readonly number[] {
  const golden = 0.6180339887498949;
  return Array.from({ length: count }, (_, index) => index).sort(
    (a, b) => ((a * golden) % 1) - ((b * golden) % 1),
  );
}
