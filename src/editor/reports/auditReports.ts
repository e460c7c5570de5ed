import type { AuditReport } from '../../engine/protocol.ts';
import { cell, table } from './reportParts.ts';

/** Which layers of a quantized model the runtime runs on integers, as Markdown. No `vscode` import. */
export function auditReport(name: string, report: AuditReport): string {
  const title = `# Integer kernels of ${name}`;
  if (!report.quantized)
    return [title, '', 'The model is not quantized: all of it computes in float.', ''].join('\n');
  const { integers, hybrid = 0, floats, conversions, runtime, target } = report;
  const findings = report.findings.flatMap((finding) => {
    const layers = finding.layers ?? (finding.layer === undefined ? [] : [finding.layer]);
    const cures = finding.fixes.map((fix) => `- Cure: *${fix.title}* (pass \`${fix.pass}\`)`);
    return [
      `## ${cell(finding.message)}`,
      '',
      ...layers.slice(0, 20).map((id) => `- ${cell(id)}`),
      ...cures,
      '',
    ];
  });
  const rows = report.rows
    .filter((row) => row.reason !== undefined || row.runsOn === 'floats')
    .map((row) => `| ${[row.id, row.op, row.kernel ?? '', row.reason ?? ''].map(cell).join(' | ')} |`);
  return [
    title,
    '',
    `${String(integers)} of ${String(integers + hybrid + floats)} layers run on integers in ${runtime}, ${hybrid > 0 ? `${String(hybrid)} on integer weights and float activations, ` : ''}${conversions === 1 ? '1 conversion between codes and floats is' : `${String(conversions)} conversions between codes and floats are`} left. Reasons by the rules of ${target}.`,
    '',
    ...findings,
    ...table(['Layer', 'Operator', 'Kernel', 'Why it computes in float'], rows),
  ].join('\n');
}
