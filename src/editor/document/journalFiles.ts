import { KerfError } from '../../ir/errors.ts';
import { stampOf } from './fileStamp.ts';
import { type Backup, type Journal, openJournal, replayPlan, restoredJournal } from './journal.ts';

/** A journal that starts at a file. */
export function journalOfFile(path: string): Journal {
  const stamp = stampOf(path);
  if (stamp === undefined) throw new KerfError('not-found', 'there is no such file', { file: path });
  return openJournal({ path, stamp });
}

/** A journal where a backup left it; throws `KerfError('not-found')` when its files are not what they were. */
export function journalOfBackup(backup: Backup, path: string): Journal {
  const plan = replayPlan(backup, stampOf);
  const stamp = stampOf(path);
  return restoredJournal(plan.origin, plan.steps, stamp === undefined ? plan.origin : { path, stamp });
}
