import fs from 'node:fs';
import path from 'node:path';
import { KerfError } from '../../ir/errors.ts';
import { attempt } from './ioError.ts';

/** Whether a file can lie there, before work is spent on it. Throws `KerfError('io')`. */
export function requireOutput(file: string): void {
  const folder = path.dirname(file);
  const statOf = (each: string) => attempt(file, () => fs.statSync(each, { throwIfNoEntry: false }));
  if (statOf(folder)?.isDirectory() !== true)
    throw new KerfError('io', `there is no folder '${folder}'`, { file });
  if (statOf(file)?.isDirectory() === true) throw new KerfError('io', 'is a folder', { file });
  attempt(file, () => fs.accessSync(folder, fs.constants.W_OK));
}

/** Throws `KerfError('io')` unless the folder is there. */
export function requireFolder(folder: string): void {
  const stat = attempt(folder, () => fs.statSync(folder));
  if (!stat.isDirectory()) throw new KerfError('io', 'not a folder', { file: folder });
}

/** Files of a folder whose names end with `suffix`, sorted; none when the folder is absent. */
export function listFiles(folder: string, suffix: string): string[] {
  if (!fs.existsSync(folder)) return [];
  const names = attempt(folder, () => fs.readdirSync(folder));
  return names
    .filter((name) => name.endsWith(suffix))
    .sort()
    .map((name) => path.join(folder, name));
}

/** A text file. Throws `KerfError('io')`. */
export function readText(file: string): string {
  return attempt(file, () => fs.readFileSync(file, 'utf8'));
}

/** A JSON file. Throws `KerfError('malformed')` naming the file and the place. */
export function readJson(file: string): unknown {
  const text = readText(file);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new KerfError('malformed', error instanceof Error ? error.message : String(error), { file });
  }
}
