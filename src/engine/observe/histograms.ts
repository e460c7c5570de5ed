import { KerfError } from '../../ir/errors.ts';
import type { Model, ValueId } from '../../ir/model.ts';
import { decodeNumbers, readFloats } from '../../ir/numbers.ts';
import type { Histogram, ObservedRange } from '../../passes/pass.ts';
import { inputsOf } from '../../runtime/modelInputs.ts';
import type { HostTensor } from '../../runtime/runner.ts';
import { chunksOf, exposing } from './exposed.ts';
import type { RunSamples } from './runs.ts';

/** Bins of a histogram: eight for each of the 255 steps of an 8-bit range. */
export const histogramBins = 2048;

/**
 * Counts how often the values fall into each bin between their `ranges`, in a second pass over the data. Tensors leave
 * the runtime in groups of bounded size and are counted one after another; only the counts stay. Values without a
 * finite range are left out.
 */
export async function countHistograms(
  run: RunSamples,
  model: Model,
  values: readonly ValueId[],
  ranges: ReadonlyMap<ValueId, ObservedRange>,
): Promise<ReadonlyMap<ValueId, Histogram>> {
  const graph = model.graphs[0];
  const fed = new Set(graph.inputs);
  const encoded = new Set(inputsOf(model).flatMap((info) => (info.quantization ? [info.name] : [])));
  const found = new Map<ValueId, Histogram>();
  const inner: ValueId[] = [];
  const inputs: ValueId[] = [];
  for (const id of values) {
    const range = ranges.get(id);
    if (range === undefined || !Number.isFinite(range.min) || !Number.isFinite(range.max)) continue;
    if (encoded.has(id)) continue;
    const histogram = { ...range, counts: new Float64Array(histogramBins) };
    found.set(id, histogram);
    const constant = graph.values.get(id)?.constant;
    if (constant !== undefined) addToHistogram(histogram, readFloats(constant));
    else (fed.has(id) ? inputs : inner).push(id);
  }
  const groups: (readonly ValueId[])[] = [...chunksOf(model, inner)];
  // A model without outputs does not load: when only inputs are asked for, its own outputs stay.
  if (groups.length === 0 && inputs.length > 0) groups.push([]);
  for (const [index, group] of groups.entries()) {
    const part = [index / groups.length, (index + 1) / groups.length] as const;
    await run([group.length === 0 ? model : exposing(model, group)], part, (tensors, feeds) => {
      for (const id of group) count(found, id, tensors[id]);
      if (index === 0) for (const id of inputs) count(found, id, feeds[id]);
    });
  }
  return found;
}

function count(found: ReadonlyMap<ValueId, Histogram>, id: ValueId, tensor: HostTensor | undefined): void {
  const histogram = found.get(id);
  if (tensor === undefined || histogram === undefined) {
    throw new KerfError('internal', `the runtime gave no tensor for ${id}`);
  }
  const size = tensor.dims.reduce((product, dim) => product * dim, 1);
  addToHistogram(histogram, decodeNumbers(tensor.dtype, tensor.data, size));
}

/** Counts numbers into a histogram; those outside its range, which rounding may bring, count for the nearest bin. */
export function addToHistogram({ min, max, counts }: Histogram, numbers: ArrayLike<number>): void {
  const last = counts.length - 1;
  const perUnit = max > min ? counts.length / (max - min) : 0;
  for (let index = 0; index < numbers.length; index += 1) {
    const bin = Math.floor(((numbers[index] as number) - min) * perUnit);
    if (Number.isNaN(bin)) continue;
    const at = bin < 0 ? 0 : bin > last ? last : bin;
    counts[at] = (counts[at] as number) + 1;
  }
}
