import { stampOf } from './fileStamp.ts';
import type { Origin } from './journal.ts';
import { sameStamp } from './journal.ts';

type Stamp = Origin['stamp'];

/** What a document knows of its file: whether another program has written it since. */
export interface DiskState {
  /** Of the file as it was read or written last; `undefined` when it was not there. */
  stamp(): Stamp | undefined;
  /** True when the file is not what was read or written last. */
  changed(): boolean;
  /** Takes the file as it is now as known. */
  accept(stamp?: Stamp): void;
  /** Our own write is not a change by another program, even before its end is known. */
  writing(write: () => Promise<void>): Promise<void>;
}

export function diskState(path: string): DiskState {
  let known = stampOf(path);
  let saving = false;
  return {
    stamp: () => known,
    changed: () => !saving && !sameStamp(stampOf(path), known),
    accept(stamp = stampOf(path)) {
      known = stamp;
    },
    async writing(write) {
      saving = true;
      try {
        await write();
        known = stampOf(path);
      } finally {
        saving = false;
      }
    },
  };
}
