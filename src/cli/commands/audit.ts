import type { Command } from 'commander';
import type { AuditReport } from '../../engine/protocol.ts';
import { jsonFlag } from '../flags.ts';
import { table } from '../format.ts';
import { print } from '../output.ts';
import type { Session } from '../session.ts';
import { fixCommand } from '../check/fixCommand.ts';

/** `kerf audit`: which layers of a quantized model the runtime runs on integers here, and why the others stay float. */
export function addAuditCommand(program: Command, { engine, opened, progress }: Session): void {
  program
    .command('audit <model>')
    .description(
      'layers of a quantized model that stay float in ONNX Runtime or LiteRT, why, and what cures them',
    )
    .option(...jsonFlag)
    .action(async (model: string, options: { readonly json?: boolean }) => {
      const { handle } = await opened(model);
      const report = await engine.call('audit', { handle }, progress);
      print(options.json, report, () => auditText(report));
    });
}

function auditText(report: AuditReport): string {
  if (!report.quantized) return 'The model is not quantized: all of it computes in float.';
  const head = table([
    ['runtime', `${report.runtime}, rules of ${report.target}`],
    ['layers on integers', `${report.integers} of ${report.integers + (report.hybrid ?? 0) + report.floats}`],
    ...(report.hybrid ? [['on both', `${report.hybrid}`]] : []),
    ['conversions left', `${report.conversions}`],
  ]);
  const findings = report.findings.map((finding) => {
    const where = (finding.layers ?? [finding.layer ?? '']).slice(0, 5).join(', ');
    const more = (finding.layers?.length ?? 0) > 5 ? ', …' : '';
    const fixes = finding.fixes.map((fix) => `\n    fix: ${fix.title} (${fixCommand(fix)})`);
    return `${finding.severity} ${finding.message}\n    ${where}${more}${fixes.join('')}`;
  });
  return [head, ...findings].join('\n');
}
