import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { keepFile, stampOf } from './fileStamp.ts';
import type { Origin } from './journal.ts';

/** Files put aside before they are replaced, so that undo, hot exit and weights outlive the replacement. */
export interface KeptOriginals {
  /** A folder of the document's own, for what it must put somewhere. */
  readonly folder: string;
  /**
   * Links `path` aside, or copies it when `copy` is asked for; undefined when neither was possible. A model with
   * external data only opens beside its data, so its original stays in the same folder.
   */
  keep(path: string, how: { copy: boolean; external: boolean }): Promise<Origin | undefined>;
  forget(): Promise<void>;
}

export function createKeptOriginals(storage: string): KeptOriginals {
  const folder = join(storage, randomUUID());
  const files: string[] = [];
  return {
    folder,
    async keep(path, { copy, external }) {
      const name = basename(path);
      const to = external
        ? join(dirname(path), `.${name}.${randomUUID().slice(0, 8)}.kerf-original`)
        : join(folder, String(files.length), name);
      const kept = await keepFile(path, to, { copy });
      const stamp = kept === undefined ? undefined : stampOf(kept);
      if (kept === undefined || stamp === undefined) return undefined;
      files.push(kept);
      return { path: kept, stamp };
    },
    async forget() {
      for (const each of [...files, folder]) await rm(each, { recursive: true, force: true });
    },
  };
}
