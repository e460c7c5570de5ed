import { decodeNumbers } from '../../ir/numbers.ts';
import { KerfError } from '../../ir/errors.ts';
import { formatShape } from '../../ir/types.ts';
import type { Fit } from './fit.ts';
import { fitSample } from './fit.ts';
import { readImage } from './images.ts';
import type { NpzFile } from './npz.ts';
import type { InputRecipe, Sample } from './preprocess.ts';
import { encodeInput, normalized, resized, transposed } from './preprocess.ts';
import type { HostTensor, TensorInfo, Tensors } from '../runner.ts';

/** Samples of one input. */
interface InputSource {
  readonly input: TensorInfo;
  readonly samples: number;
  /** A sample fills the input, batch axis included. */
  readonly whole: boolean;
  /** One sample in the input's element type, without the batch axis unless `whole`. */
  sample(index: number): HostTensor;
}

/** What a dataset consists of before it is put together. */
export interface DatasetParts {
  readonly sources: readonly InputSource[];
  readonly labels?: readonly number[];
}

/** Rows of an array of a NumPy archive. */
export function npzSource(
  npz: NpzFile,
  input: TensorInfo,
  recipe: InputRecipe & { readonly array: string },
): InputSource {
  const array = npz.array(recipe.array);
  const where = { file: npz.file, place: recipe.array };
  const [samples, ...dims] = array.dims;
  if (samples === undefined) throw new KerfError('bad-dataset', 'the array has no axis of samples', where);
  if (recipe.resize !== undefined && !(dims.length === 2 || (dims.length === 3 && (dims[2] ?? 0) <= 4)))
    throw new KerfError(
      'bad-dataset',
      `cannot resize ${formatShape(dims)}: not height×width×channels`,
      where,
    );
  const count = dims.reduce((product, dim) => product * dim, 1);
  const size = samples === 0 ? 0 : array.data.length / samples;
  const read = (index: number): Sample => {
    const bytes = array.data.subarray(index * size, (index + 1) * size);
    return { dims, data: decodeNumbers(array.dtype, bytes, count) };
  };
  // Signed integers of the input's own type are stored values already; unsigned ones are pixels.
  const stored = array.dtype === input.dtype && array.dtype.startsWith('int');
  return source(stored ? withoutQuantization(input) : input, samples, recipe, read, dims, where);
}

function withoutQuantization({ name, dtype, dims }: TensorInfo): TensorInfo {
  return { name, dtype, dims };
}

/** Image files, decoded one at a time. */
export function imageSource(
  files: readonly string[],
  input: TensorInfo,
  recipe: InputRecipe,
  dataset: string,
): InputSource {
  const picture = pictureOf(input.dims);
  const where = { file: dataset, place: `input ${input.name}` };
  if (picture === undefined)
    throw new KerfError('bad-dataset', `images do not fit ${formatShape(input.dims)}`, where);
  const [height, width] = recipe.resize ?? [picture.height, picture.width];
  if (height < 1 || width < 1)
    throw new KerfError(
      'bad-dataset',
      'the input takes any picture size: the dataset has to say `resize`',
      where,
    );
  const dims = [height, width, picture.channels];
  const read = (index: number): Sample => {
    const image = readImage(files[index] as string, picture.channels);
    return resized({ dims: [image.height, image.width, image.channels], data: image.data }, [height, width]);
  };
  const { resize: _done, ...rest } = recipe;
  return source(input, files.length, rest, read, dims, where);
}

/** Where height, width and channels stand in an input, by its dimensions. */
function pictureOf(dims: readonly number[]) {
  const [, a, b, c] = dims;
  if (dims.length !== 4 || a === undefined || b === undefined || c === undefined) return undefined;
  if (c === 1 || c === 3) return { height: a, width: b, channels: c } as const;
  if (a === 1 || a === 3) return { height: b, width: c, channels: a } as const;
  return undefined;
}

function source(
  input: TensorInfo,
  samples: number,
  recipe: InputRecipe,
  read: (index: number) => Sample,
  dims: readonly number[],
  where: { file: string; place: string },
): InputSource {
  const { resize } = recipe;
  const prepared = resize === undefined ? dims : [...resize, ...dims.slice(2)];
  const fit = fitSample(prepared, input, recipe.transpose);
  if (fit === undefined) {
    const order = recipe.transpose === undefined ? '' : ` with axes in order ${recipe.transpose.join(',')}`;
    const message = `samples of ${formatShape(prepared)}${order} do not fit input ${input.name} ${shapeOf(input)}`;
    throw new KerfError('bad-dataset', message, where);
  }
  return {
    input,
    samples,
    whole: fit.whole,
    sample: (index) => {
      const raw = read(index);
      return finish(resize === undefined ? raw : resized(raw, resize), input, recipe, fit, where);
    },
  };
}

function finish(
  sample: Sample,
  input: TensorInfo,
  recipe: InputRecipe,
  fit: Fit,
  where: { file: string; place: string },
): HostTensor {
  try {
    const { data } = transposed(normalized(sample, recipe), fit.order);
    return encodeInput(input, fit.dims, data);
  } catch (error) {
    if (error instanceof RangeError) throw new KerfError('bad-dataset', error.message, where);
    throw error;
  }
}

function shapeOf({ dtype, dims }: TensorInfo): string {
  return `${dtype}[${formatShape(dims.map((dim) => (dim < 0 ? null : dim)))}]`;
}

/** Puts samples of all inputs together into feeds. */
export function bindInputs(
  sources: readonly InputSource[],
  samples: number,
  batch: number | 'free',
): (first: number, count?: number) => Tensors {
  return (first, count = batch === 'free' ? 1 : batch) => {
    const feeds: Record<string, HostTensor> = {};
    for (const each of sources) {
      const rows = Array.from({ length: each.whole ? 1 : count }, (_, row) =>
        each.sample(Math.min(first + row, samples - 1)),
      );
      feeds[each.input.name] = each.whole ? (rows[0] as HostTensor) : stack(rows);
    }
    return feeds;
  };
}

function stack(rows: readonly HostTensor[]): HostTensor {
  const [first] = rows;
  if (first === undefined) throw new KerfError('internal', 'a batch of no samples');
  const data = new Uint8Array(rows.length * first.data.length);
  rows.forEach((row, index) => data.set(row.data, index * first.data.length));
  return { dtype: first.dtype, dims: [rows.length, ...first.dims], data };
}
