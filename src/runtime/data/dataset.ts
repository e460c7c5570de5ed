import { statSync } from 'node:fs';
import { extname, resolve } from 'node:path';
import { KerfError } from '../../ir/errors.ts';
import { batchOf } from './batch.ts';
import { openDatasetFile } from './datasetFile.ts';
import { imagesIn, folderOf } from './images.ts';
import { openNpz } from './npz.ts';
import type { TensorInfo, Tensors } from '../runner.ts';
import { classNumbers, integerLabels } from './labels.ts';
import type { DatasetParts } from './sources.ts';
import { bindInputs, imageSource, npzSource } from './sources.ts';

/** Samples for a model's inputs, made when they are asked for. */
export interface Dataset {
  /** Where the samples come from, for reports. */
  readonly source: string;
  /** True for made-up inputs: every number that came from them has to say so. */
  readonly random: boolean;
  readonly samples: number;
  /** Class of each sample. */
  readonly labels?: readonly number[];
  /** Samples that one inference takes; `free` when the model takes any number at once. */
  readonly batch: number | 'free';
  /**
   * Feeds with `count` samples from `first` on; by default as many as one inference takes (1 when that is free).
   * Beyond the last sample the last one is repeated, because a fixed batch has to be full.
   */
  feeds(first: number, count?: number): Tensors;
}

/**
 * Opens a dataset file (`.json`), a NumPy archive (`.npz`) or a folder of images for these inputs.
 * Throws `KerfError('bad-dataset' | 'not-found')` naming file, place and reason.
 */
export function openDataset(path: string, inputs: readonly TensorInfo[]): Dataset {
  const file = resolve(path);
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) throw new KerfError('not-found', 'no such dataset', { file: path });
  if (stat.isDirectory()) return openFolder(file, inputs);
  const extension = extname(file).toLowerCase();
  if (extension === '.npz') return openPlainNpz(file, inputs);
  if (extension === '.json') return assemble(file, openDatasetFile(file, inputs), inputs);
  throw new KerfError('bad-dataset', 'a dataset is a .json file, an .npz file or a folder of images', {
    file: path,
  });
}

const labelNames = ['label', 'labels', 'y'];
const inputNames = ['image', 'x'];

function openPlainNpz(file: string, inputs: readonly TensorInfo[]): Dataset {
  const npz = openNpz(file);
  const labelName = labelNames.find(
    (name) => npz.names.includes(name) && !inputs.some((i) => i.name === name),
  );
  const data = npz.names.filter((name) => name !== labelName);
  const arrayFor = (input: TensorInfo) => {
    if (npz.names.includes(input.name)) return input.name;
    const single =
      inputs.length === 1 ? (inputNames.find((name) => data.includes(name)) ?? only(data)) : undefined;
    if (single !== undefined) return single;
    const message = `no array for input ${input.name}; there are ${npz.names.join(', ')}`;
    throw new KerfError('bad-dataset', message, { file });
  };
  const sources = inputs.map((input) => npzSource(npz, input, { array: arrayFor(input) }));
  const labels = labelName === undefined ? undefined : integerLabels(npz.array(labelName), file, labelName);
  return assemble(file, { sources, ...(labels && { labels }) }, inputs);
}

function only(names: readonly string[]): string | undefined {
  return names.length === 1 ? names[0] : undefined;
}

function openFolder(folder: string, inputs: readonly TensorInfo[]): Dataset {
  const images = imagesIn(folder);
  if (images.length === 0)
    throw new KerfError('bad-dataset', 'the folder holds no .jpg or .png images', { file: folder });
  const sources = inputs.map((input) => imageSource(images, input, {}, folder));
  const inside = images.every((image) => resolve(image, '..') !== folder);
  const labels = inside ? classNumbers(images.map(folderOf)) : undefined;
  return assemble(folder, { sources, ...(labels && { labels }) }, inputs);
}

function assemble(file: string, { sources, labels }: DatasetParts, inputs: readonly TensorInfo[]): Dataset {
  const samples = sources[0]?.samples ?? 0;
  if (samples === 0) throw new KerfError('bad-dataset', 'there are no samples', { file });
  const uneven = sources.find((source) => source.samples !== samples);
  if (uneven !== undefined) {
    const message = `${uneven.samples} samples for input ${uneven.input.name}, but ${samples} for ${sources[0]?.input.name}`;
    throw new KerfError('bad-dataset', message, { file });
  }
  if (labels !== undefined && labels.length !== samples)
    throw new KerfError('bad-dataset', `${labels.length} labels for ${samples} samples`, { file });
  const batch = batchOf(
    inputs,
    sources.map((source) => source.whole),
  );
  return {
    source: file,
    random: false,
    samples,
    ...(labels !== undefined && { labels }),
    batch,
    feeds: bindInputs(sources, samples, batch),
  };
}
