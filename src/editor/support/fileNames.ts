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
