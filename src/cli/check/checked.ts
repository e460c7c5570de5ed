import type { Finding } from '../../rules/rule.ts';
import type { BudgetUse } from '../../engine/protocol.ts';
import { fixCommand } from './fixCommand.ts';

/** A model file with what was found in it. */
export interface CheckedModel {
  readonly file: string;
  readonly findings: readonly Finding[];
  readonly budget: readonly BudgetUse[];
}

export function findingsText({ findings }: Pick<CheckedModel, 'findings'>): string {
  if (findings.length === 0) return 'Nothing found.';
  return findings
    .map((finding) => {
      const where = finding.layer === undefined ? '' : ` ${finding.layer}:`;
      const fixes = finding.fixes.map((fix) => `\n    fix: ${fix.title} (${fixCommand(fix)})`).join('');
      return `${finding.severity} [${finding.rule}]${where} ${finding.message}${fixes}`;
    })
    .join('\n');
}
