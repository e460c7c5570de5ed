import { isFloat } from '../../ir/dtype.ts';
import { KerfError } from '../../ir/errors.ts';
import { encodeNumbers } from '../../ir/numbers.ts';
import { batchOf } from './batch.ts';
import type { Dataset } from './dataset.ts';
import { realValues } from '../outputs.ts';
import { encodeInput, rangeOf } from './preprocess.ts';
import type { HostTensor, TensorInfo, Tensors } from '../runner.ts';

/**
 * Made-up inputs that depend on nothing but the seed and the sample's number: standard normal floats, quantized
 * integers over their whole range, other integers and booleans 0 or 1, because they are often indices.
 * Free dimensions are 1, but for the batch.
 */
export function randomDataset(
  inputs: readonly TensorInfo[],
  options: { readonly seed: number; readonly count: number },
): Dataset {
  const batch = batchOf(
    inputs,
    inputs.map((input) => input.dims.length === 0),
  );
  const feeds = (first: number, count = batch === 'free' ? 1 : batch): Tensors => {
    const tensors: Record<string, HostTensor> = {};
    inputs.forEach((input, place) => {
      tensors[input.name] = randomTensor(input, { seed: options.seed, place, batch, first, count });
    });
    return tensors;
  };
  return {
    source: `seeded random inputs (seed ${options.seed})`,
    random: true,
    samples: options.count,
    batch,
    feeds,
  };
}

/**
 * The same real inputs for another model: values go through the scales of both. Throws `KerfError('bad-dataset')`
 * when the inputs do not correspond one to one.
 */
export function sameInputs(data: Dataset, from: readonly TensorInfo[], to: readonly TensorInfo[]): Dataset {
  const pairs = to.map((input, place) => {
    const source = from.find((each) => each.name === input.name) ?? from[place];
    if (from.length === to.length && source !== undefined && input.dims.length === source.dims.length)
      return { input, source };
    const message = `input ${input.name} has no counterpart in the other model: made-up inputs cannot be the same`;
    throw new KerfError('bad-dataset', message);
  });
  return {
    ...data,
    feeds(first, count) {
      const feeds = data.feeds(first, count);
      const converted = pairs.map(({ input, source }) => [input.name, convert(feeds, source, input)]);
      return Object.fromEntries(converted) as Tensors;
    },
  };
}

function convert(feeds: Tensors, source: TensorInfo, input: TensorInfo): HostTensor {
  const tensor = feeds[source.name] as HostTensor;
  const values = realValues(source, feeds);
  if (values === undefined) return tensor;
  const fits = input.dims.every((dim, axis) => dim < 0 || dim === tensor.dims[axis]);
  if (fits) return encodeInput(input, tensor.dims, values);
  const message = `input ${input.name} has another shape in the other model: made-up inputs cannot be the same`;
  throw new KerfError('bad-dataset', message);
}

interface Position {
  readonly seed: number;
  readonly place: number;
  readonly batch: number | 'free';
  readonly first: number;
  readonly count: number;
}

function randomTensor(input: TensorInfo, { seed, place, batch, first, count }: Position): HostTensor {
  const rows = batch === 1 ? 1 : count;
  const sampleDims = input.dims.slice(batch === 1 ? 0 : 1).map((dim) => Math.max(dim, 1));
  const size = sampleDims.reduce((product, dim) => product * dim, 1);
  const values = new Float64Array(rows * size);
  for (let row = 0; row < rows; row += 1) {
    const own = values.subarray(row * size, (row + 1) * size);
    const parts = [seed, place, first + row];
    if (isFloat(input.dtype)) fillNormal(own, parts);
    else fillWith(own, valueMaker(input, generator(...parts)));
  }
  const dims = batch === 1 ? sampleDims : [rows, ...sampleDims];
  if (input.dtype === 'string')
    return { dtype: 'string', dims, data: new Uint8Array(), strings: Array.from(values, () => '') };
  return { dtype: input.dtype, dims, data: encodeNumbers(input.dtype, values) };
}

function valueMaker({ dtype, quantization }: TensorInfo, uniform: () => number): () => number {
  const range = rangeOf(dtype);
  if (range !== undefined && quantization !== undefined) {
    const [low, high] = range;
    return () => low + Math.floor(uniform() * (high - low + 1));
  }
  return () => Math.floor(uniform() * 2);
}

function fillWith(values: Float64Array, next: () => number): void {
  for (let index = 0; index < values.length; index += 1) values[index] = next();
}

/**
 * Standard normal numbers (Box and Muller 1958) from pairs of what `generator` gives, in one loop: a call per number leaves
 * each behind as garbage.
 */
function fillNormal(values: Float64Array, parts: readonly number[]): void {
  let state = seedOf(parts);
  for (let index = 0; index < values.length; index += 1) {
    const first = mix((state + step) | 0) / 2 ** 32;
    state = (state + 2 * step) | 0;
    const second = mix(state) / 2 ** 32;
    values[index] = Math.sqrt(-2 * Math.log(1 - first)) * Math.cos(2 * Math.PI * second);
  }
}

const step = 0x9e3779b9;

function seedOf(parts: readonly number[]): number {
  return parts.reduce((hash, part) => mix(hash ^ mix(part + step)), 0);
}

/** Numbers in [0, 1) from a seed of several parts: the splitmix32 sequence over a hash of the parts. */
export function generator(...parts: readonly number[]): () => number {
  let state = seedOf(parts);
  return () => {
    state = (state + step) | 0;
    return mix(state) / 2 ** 32;
  };
}

/** A 32-bit finalizer with good avalanche (MurmurHash3's). */
function mix(value: number): number {
  let hash = value | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
