import { readFileSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { KerfError } from '../../ir/errors.ts';
import { decodeNumbers } from '../../ir/numbers.ts';
import type { HostTensor } from '../runner.ts';

/** Class numbers from an array with one number per sample. */
export function integerLabels(array: HostTensor, file: string, name: string): readonly number[] {
  const samples = array.dims[0] ?? 0;
  const count = array.dims.reduce((product, dim) => product * dim, 1);
  if (count !== samples) {
    const message = `labels have to be one number per sample, not ${array.dims.join('×')}`;
    throw new KerfError('bad-dataset', message, { file, place: name });
  }
  return checkIntegers(Array.from(decodeNumbers(array.dtype, array.data, count)), file, name);
}

/** Class numbers from names: the numbers themselves when all are numbers, else their places in sorted order. */
export function classNumbers(names: readonly string[]): readonly number[] {
  if (names.every((name) => /^\d+$/.test(name))) return names.map(Number);
  const classes = [...new Set(names)].sort();
  const places = new Map(classes.map((name, place) => [name, place]));
  return names.map((name) => places.get(name) as number);
}

const headerCells = new Set(['file', 'filename', 'image', 'path', 'name', 'label', 'class', 'target']);

/** Lines `label` in sample order, or `file,label` for image files; a header line is skipped. */
export function csvLabels(csv: string, images: readonly string[] | undefined): readonly number[] {
  const rows = readLines(csv);
  if (rows.length > 0 && headerCells.has((rows[0]?.[0] ?? '').toLowerCase())) rows.shift();
  const named = rows.length > 0 && rows.every((row) => row.length >= 2);
  const labels = classNumbers(rows.map((row) => row[named ? 1 : 0] ?? ''));
  if (!named || images === undefined) return labels;
  const byFile = new Map<string, number>();
  rows.forEach(([file = ''], index) => {
    byFile.set(resolve(dirname(csv), file), labels[index] as number);
    byFile.set(basename(file), labels[index] as number);
  });
  return images.map((image) => {
    const label = byFile.get(image) ?? byFile.get(basename(image));
    if (label === undefined) throw new KerfError('bad-dataset', `no line for ${image}`, { file: csv });
    return label;
  });
}

function readLines(csv: string): string[][] {
  let text: string;
  try {
    text = readFileSync(csv, 'utf8');
  } catch (error) {
    throw new KerfError('not-found', `the labels cannot be read: ${(error as Error).message}`, { file: csv });
  }
  return text
    .split(/\r?\n/)
    .filter((line) => line.trim() !== '')
    .map((line) => line.split(/[,;\t]/).map((cell) => cell.trim().replace(/^"(.*)"$/, '$1')));
}

function checkIntegers(values: readonly number[], file: string, place: string): readonly number[] {
  const bad = values.findIndex((value) => !Number.isInteger(value) || value < 0);
  if (bad !== -1)
    throw new KerfError('bad-dataset', `label ${bad} is ${values[bad]}, not a class number`, { file, place });
  return values;
}
