import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

const keptDays = 30;

/** Removes kept originals that no backup of the last month can need. */
export async function sweepStorage(folder: string): Promise<void> {
  const names = await readdir(folder).catch((): string[] => []);
  const oldest = Date.now() - keptDays * 24 * 60 * 60 * 1000;
  for (const name of names) {
    const path = join(folder, name);
    const { mtimeMs } = await stat(path);
    if (mtimeMs < oldest) await rm(path, { recursive: true, force: true });
  }
}
