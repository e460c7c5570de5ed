import { access } from 'node:fs/promises';
import { join } from 'node:path';

/** `stem.ext`, or `stem-2.ext`, … : the first path that no file has. */
export async function freeName(folder: string, stem: string, extension: string): Promise<string> {
  for (let count = 1; ; count++) {
    const name = count === 1 ? stem : `${stem}-${String(count)}`;
    const path = join(folder, `${name}${extension}`);
    const taken = await access(path).then(
      () => true,
      () => false,
    );
    if (!taken) return path;
  }
}

/** Files whose names begin like that of the model come first, the others by name. */
export function byLikeness<T>(files: readonly T[], model: string, nameOf: (file: T) => string): readonly T[] {
  const start = model.toLowerCase().replace(/\.\w+$/, '');
  const likeness = (file: T): number => {
    const name = nameOf(file).toLowerCase();
    let length = 0;
    while (length < start.length && name[length] === start[length]) length++;
    return length < leastLikeness ? 0 : length;
  };
  return [...files].sort((a, b) => likeness(b) - likeness(a) || nameOf(a).localeCompare(nameOf(b)));
}

/** Fewer letters in common say nothing. */
const leastLikeness = 3;
