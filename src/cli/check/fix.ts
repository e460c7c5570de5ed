import type { Handle } from '../../engine/protocol.ts';
import type { ApplyReport } from '../../engine/answers.ts';
import { spanOf } from '../../engine/applyReports.ts';
import type { RecipeStep } from '../../passes/pass.ts';
import type { Finding, Fix, Gain } from '../../rules/rule.ts';
import { bytes, change, count, table } from '../format.ts';
import type { Session } from '../session.ts';

export interface FixOutcome {
  readonly handle: Handle;
  readonly out: string | null;
  readonly steps: readonly RecipeStep[];
  /** Sum of what the fixes promised; absent where none said anything. */
  readonly predicted: Pick<Gain, 'fileBytes'>;
  readonly report: ApplyReport | null;
}

/**
 * Applies the fixes of findings in the order of the passes, each pass once over all layers it was offered for, and writes
 * the result. `exact` leaves out what may change results.
 */
export async function applyFixes(
  session: Session,
  start: Handle,
  findings: readonly Finding[],
  how: { readonly which: 'exact' | 'all'; readonly output: string; readonly data?: string },
): Promise<FixOutcome> {
  const { passes } = await session.engine.call('passes', {});
  const offered = findings.flatMap(({ fixes }) => fixes.slice(0, how.which === 'all' ? 1 : fixes.length));
  const steps: RecipeStep[] = [];
  let fileBytes = 0;
  for (const pass of passes) {
    if (how.which === 'exact' && !pass.exact) continue;
    const fixes = offered.filter((fix) => fix.pass === pass.id);
    if (fixes.length === 0) continue;
    const data = pass.calibration === 'required' && how.data !== undefined ? { data: how.data } : {};
    steps.push({ ...stepOf(fixes), ...data });
    fileBytes += promised(fixes);
  }
  const reports: ApplyReport[] = [];
  let handle = start;
  for (const step of steps) {
    const applied = await session.engine.call('apply', { handle, step }, session.progress);
    handle = applied.handle;
    reports.push(applied.report);
  }
  if (reports.length === 0) return { handle, out: null, steps, predicted: {}, report: null };
  await session.engine.call('save', { handle, path: how.output });
  const predicted = fileBytes > 0 ? { fileBytes } : {};
  return { handle, out: how.output, steps, predicted, report: spanOf(reports) };
}

/** One step for all fixes by a pass: whole-model ones win, else their layers together, with the first one's options. */
function stepOf(fixes: readonly Fix[]): RecipeStep {
  const whole = fixes.find(({ layers }) => layers === undefined);
  const { pass, options } = whole ?? (fixes[0] as Fix);
  const named = Object.keys(options).length > 0 ? { options } : {};
  if (whole !== undefined) return { pass, ...named };
  return { pass, ...named, layers: [...new Set(fixes.flatMap(({ layers }) => layers ?? []))] };
}

/** A lossy fix of the whole model speaks for all; exact ones each remove something else. */
function promised(fixes: readonly Fix[]): number {
  const whole = fixes.filter(({ layers }) => layers === undefined);
  const exact = /^(simplify|fuse)$/.test(fixes[0]?.pass ?? '');
  const counted = whole.length > 0 && !exact ? whole.slice(0, 1) : fixes;
  return counted.reduce((sum, { gain }) => sum + (gain?.fileBytes ?? 0), 0);
}

export function fixText({ out, steps, predicted, report }: FixOutcome): string {
  if (report === null) return 'No fix applies: nothing was written.';
  const less = report.before.fileBytes - report.after.fileBytes;
  const rows = [
    ['wrote', out ?? ''],
    ['fixes', steps.map(({ pass }) => pass).join(', ')],
    ['size', change(report.before.fileBytes, report.after.fileBytes, bytes)],
    ['MACs', change(report.before.macs, report.after.macs, count)],
  ];
  if (predicted.fileBytes !== undefined)
    rows.push(['predicted', `${bytes(predicted.fileBytes)} less; it is ${bytes(less)} less`]);
  for (const note of report.notes) rows.push(['note', note]);
  return table(rows);
}
