import { constants, statSync } from 'node:fs';
import { copyFile, link, mkdir, realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { FileStamp } from './journal.ts';

/** Size and time of a file; undefined when there is none. A single stat: microseconds, fit for the extension host. */
export function stampOf(path: string): FileStamp | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined ? undefined : { size: found.size, modifiedMs: found.mtimeMs };
}

/**
 * Keeps a file's content under another name: a hard link where the file system allows (free, and it survives a rename
 * over the original), else, when `copy` is asked for, a copy (a reflink where there is one). Returns the kept path, or
 * undefined when a link was not possible and no copy was asked for.
 */
export async function keepFile(
  path: string,
  kept: string,
  { copy }: { copy: boolean },
): Promise<string | undefined> {
  await mkdir(dirname(kept), { recursive: true });
  // A link to a symbolic link would follow its later changes.
  const source = await realpath(path);
  const linked = await link(source, kept).then(
    () => true,
    () => false,
  );
  if (linked) return kept;
  if (!copy) return undefined;
  await copyFile(source, kept, constants.COPYFILE_FICLONE);
  return kept;
}
