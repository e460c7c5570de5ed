import type { DType } from '../ir/dtype.ts';
import { sizeOf } from '../ir/numbers.ts';
import type { Distribution } from './counting.ts';
import { distributionOf } from './counting.ts';
import type { Counted, CountTask } from './weightCount.ts';
import { countedAs } from './weightCount.ts';
import type { Outlier, Rank } from './weightSample.ts';
import { sampled, samplePlaces } from './weightSample.ts';

/** What the elements of one tensor say. Numbers are null where there is no finite element. */
export interface WeightSummary {
  readonly min: number | null;
  readonly max: number | null;
  readonly mean: number | null;
  readonly std: number | null;
  readonly zeros: number | null;
  readonly nonFinite: number | null;
  readonly histogram: {
    readonly counts: readonly number[];
    readonly from: number;
    readonly to: number;
  } | null;
  /** Output channels whose root mean square is far above the median channel's, the farthest first. */
  readonly outliers: readonly Outlier[];
  readonly rank: Rank | null;
}

/** A summary, and a print of the elements: equal tensors have equal prints, others seldom do. */
export interface Printed {
  readonly summary: WeightSummary;
  readonly print: string;
}

const bins = 64;

/** The summary of a tensor that is missing, empty, or without numbers. */
export const nothing: WeightSummary = {
  min: null,
  max: null,
  mean: null,
  std: null,
  zeros: null,
  nonFinite: null,
  histogram: null,
  outliers: [],
  rank: null,
};

type Tensor = Pick<CountTask, 'dtype' | 'dims' | 'outputAxis'>;

/** What a tensor says all of whose bytes were counted. */
export function summarised(tensor: Tensor, counted: Counted): Printed {
  const elements = sizeOf(tensor);
  const distribution = withExtremes(
    distributionOf(countedAs(tensor.dtype), counted.table, elements),
    counted,
  );
  const described = describe(tensor, distribution, counted.samples);
  const { floats } = counted;
  if (floats === undefined || described.summary.zeros === null) return described;
  return { ...described, summary: { ...described.summary, zeros: floats.zeros } };
}

/** What a tensor says of which these are the numbers, and `samples` the elements at the sampled places. */
export function describe(tensor: Tensor, distribution: Distribution, samples: Float64Array): Printed {
  const places = tensor.outputAxis === undefined ? undefined : samplePlaces(tensor.dims, tensor.outputAxis);
  const { outliers, rank } = places === undefined ? nothing : sampled(places, samples);
  const summary = { ...momentsOf(distribution, sizeOf(tensor)), outliers, rank };
  return { summary, print: printOf(tensor, distribution) };
}

/** The distribution with its outermost numbers replaced by the exact ones. */
function withExtremes(distribution: Distribution, { floats }: Counted): Distribution {
  const { values } = distribution;
  if (floats === undefined || values.length === 0) return distribution;
  const { min, max } = floats;
  for (let i = 0; i < values.length; i += 1) values[i] = Math.min(max, Math.max(min, values[i] as number));
  // Which zero came first is no news.
  values[0] = min + 0;
  values[values.length - 1] = max + 0;
  return distribution;
}

function momentsOf({ values, counts, nonFinite }: Distribution, elements: number) {
  const finite = elements - nonFinite;
  if (values.length === 0) return { ...nothing, nonFinite, zeros: 0 };
  const min = values[0] as number;
  const max = values.at(-1) as number;
  let sum = 0;
  for (let i = 0; i < values.length; i += 1) sum += (values[i] as number) * (counts[i] as number);
  const mean = sum / finite;
  let squares = 0;
  let zeros = 0;
  const histogram = new Float64Array(bins);
  const scale = max > min ? bins / (max - min) : 0;
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i] as number;
    const count = counts[i] as number;
    squares += count * (value - mean) ** 2;
    if (value === 0) zeros += count;
    const bin = Math.min(bins - 1, Math.floor((value - min) * scale));
    histogram[bin] = (histogram[bin] as number) + count;
  }
  return {
    min,
    max,
    mean,
    std: Math.sqrt(squares / finite),
    zeros,
    nonFinite,
    histogram: { counts: Array.from(histogram), from: min, to: max },
  };
}

function printOf(
  { dtype, dims }: { dtype: DType; dims: readonly number[] },
  { values, counts }: Distribution,
): string {
  let hash = 0;
  for (let i = 0; i < values.length; i += 1) {
    hash = Math.imul(hash ^ (Math.fround(values[i] as number) * 1e6), 0x01000193) ^ (counts[i] as number);
  }
  return [dtype, dims.join('×'), values[0], values.at(-1), values.length, hash].join(' ');
}
