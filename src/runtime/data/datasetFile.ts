import { readFileSync } from 'node:fs';
import { dirname, extname, resolve } from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';
import { KerfError } from '../../ir/errors.ts';
import { folderOf, matchingFiles } from './images.ts';
import { classNumbers, csvLabels, integerLabels } from './labels.ts';
import type { NpzFile } from './npz.ts';
import { openNpz } from './npz.ts';
import type { InputRecipe } from './preprocess.ts';
import type { TensorInfo } from '../runner.ts';
import schema from '../schemas/dataset.schema.json';
import type { DatasetParts } from './sources.ts';
import { imageSource, npzSource } from './sources.ts';

/** The contents of a dataset file; see `schemas/dataset.schema.json`. */
interface DatasetFile {
  readonly source: string;
  readonly inputs?: Readonly<Record<string, InputRecipe>>;
  readonly labels?: { readonly array: string } | { readonly csv: string } | { readonly folder: true };
}

let compiled: ValidateFunction<DatasetFile> | undefined;

/** Compiled when the first dataset file is read: an engine that opens a model does not wait for it. */
function validator(): ValidateFunction<DatasetFile> {
  compiled ??= new Ajv({ allErrors: false, strict: true }).compile<DatasetFile>(schema);
  return compiled;
}

/** Reads a dataset file and opens what it names. Throws `KerfError('bad-dataset')`. */
export function openDatasetFile(file: string, inputs: readonly TensorInfo[]): DatasetParts {
  const content = readDatasetFile(file);
  const recipes = new Map(inputs.map((input) => [input, recipeFor(content, input, file)]));
  const base = dirname(file);
  if (extname(content.source).toLowerCase() === '.npz') {
    const npz = openNpz(resolve(base, content.source));
    const sources = inputs.map((input) => {
      const recipe = recipes.get(input) ?? {};
      return npzSource(npz, input, { ...recipe, array: recipe.array ?? input.name });
    });
    return withLabels(sources, labelsOf(content, file, { npz }));
  }
  const images = matchingFiles(base, content.source);
  if (images.length === 0)
    throw new KerfError('bad-dataset', `no image matches ${content.source}`, { file, place: 'source' });
  const sources = inputs.map((input) => imageSource(images, input, recipes.get(input) ?? {}, file));
  return withLabels(sources, labelsOf(content, file, { images }));
}

function withLabels(sources: DatasetParts['sources'], labels: readonly number[] | undefined): DatasetParts {
  return labels === undefined ? { sources } : { sources, labels };
}

function readDatasetFile(file: string): DatasetFile {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new KerfError('bad-dataset', (error as Error).message, { file });
  }
  const validate = validator();
  if (validate(content)) return content;
  const [problem] = validate.errors ?? [];
  const extra = problem?.params['additionalProperty'];
  const message = `${problem?.message ?? 'not a dataset'}${extra === undefined ? '' : `: ${String(extra)}`}`;
  throw new KerfError('bad-dataset', message, { file, place: (problem?.instancePath || '/').slice(1) });
}

function recipeFor({ inputs }: DatasetFile, input: TensorInfo, file: string): InputRecipe {
  if (inputs === undefined) return {};
  const found = inputs[input.name] ?? inputs['*'];
  if (found !== undefined) return found;
  const message = `nothing for input ${input.name}; there is ${Object.keys(inputs).join(', ')}`;
  throw new KerfError('bad-dataset', message, { file, place: 'inputs' });
}

function labelsOf(
  { labels }: DatasetFile,
  file: string,
  from: { readonly npz?: NpzFile; readonly images?: readonly string[] },
): readonly number[] | undefined {
  if (labels === undefined) return undefined;
  if ('csv' in labels) return csvLabels(resolve(dirname(file), labels.csv), from.images);
  if ('array' in labels && from.npz !== undefined)
    return integerLabels(from.npz.array(labels.array), from.npz.file, labels.array);
  if ('folder' in labels && from.images !== undefined) return classNumbers(from.images.map(folderOf));
  const message = 'labels by array need an .npz source, labels by folder need images';
  throw new KerfError('bad-dataset', message, { file, place: 'labels' });
}
