import { KerfError } from '../ir/errors.ts';
import type { ApplyReport } from './answers.ts';

/** One report for steps applied in a row: from before the first to after the last. */
export function spanOf(reports: readonly ApplyReport[]): ApplyReport {
  const [first] = reports;
  const last = reports.at(-1);
  if (first === undefined || last === undefined) throw new KerfError('bad-option', 'the recipe has no steps');
  return {
    before: first.before,
    after: last.after,
    changed: [...new Set(reports.flatMap((report) => report.changed))],
    notes: reports.flatMap((report) => report.notes),
    seconds: reports.reduce((sum, report) => sum + report.seconds, 0),
  };
}
