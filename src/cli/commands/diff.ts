import type { Command } from 'commander';
import type { DiffReport } from '../../engine/answers.ts';
import type { CompressedChange } from '../compressed.ts';
import { compressedChange, compressedFlag, compressedRows, withCompressed } from '../compressed.ts';
import type { Json } from '../flags.ts';
import { jsonFlag } from '../flags.ts';
import { bytes, change, count, table } from '../format.ts';
import { print } from '../output.ts';
import type { Session } from '../session.ts';

export function addDiffCommand(program: Command, session: Session): void {
  const { engine } = session;
  program
    .command('diff <a> <b>')
    .description('what differs between two models')
    .option(...compressedFlag)
    .option(...jsonFlag)
    .action(async (a: string, b: string, options: Json & { compressed?: boolean }) => {
      const [before, after] = [await session.open(a), await session.open(b)];
      const report = await engine.call('diff', { a: before, b: after });
      const sizes = [report.before.fileBytes, report.after.fileBytes];
      const shipped = await compressedChange(session, options.compressed, before, after, sizes);
      print(options.json, withCompressed(report, shipped), () => diffText(report, shipped));
    });
}

/** Groups of layers in which something differs; none where all layers are in one. */
function groupsText({ groups }: DiffReport): string {
  const rows = groups
    .filter((each) => each.added + each.removed + each.changed > 0)
    .map((each) => [
      each.name || '(no path)',
      `${each.changed} changed, ${each.added} added, ${each.removed} removed`,
      each.classes.join(', '),
      `params ${count(each.params[0])} to ${count(each.params[1])}`,
      `MACs ${count(each.macs[0])} to ${count(each.macs[1])}`,
    ]);
  return groups.length < 2 || rows.length === 0 ? '' : table(rows);
}

function diffText(report: DiffReport, shipped: CompressedChange | undefined): string {
  const rows = [
    ['size', change(report.before.fileBytes, report.after.fileBytes, bytes)],
    ...compressedRows(shipped),
    ['parameters', change(report.before.params, report.after.params, count)],
    ['MACs', change(report.before.macs, report.after.macs, count)],
    [
      'layers',
      `${report.unchanged} unchanged, ${report.changed.length} changed, ${report.added.length} added, ${report.removed.length} removed`,
    ],
  ];
  const changed = report.changed.map((each) => [`~ ${each.id}`, each.classes.join(', ')]);
  const listed = [
    ...report.removed.map((id) => [`- ${id}`, '']),
    ...report.added.map((id) => [`+ ${id}`, '']),
    ...changed,
  ];
  const sections = [table(rows), groupsText(report), listed.length === 0 ? '' : table(listed)];
  return sections.filter((section) => section !== '').join('\n\n');
}
