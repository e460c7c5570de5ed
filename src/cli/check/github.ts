import type { Severity } from '../../rules/rule.ts';
import type { CheckedModel } from './checked.ts';
import { fixCommand } from './fixCommand.ts';

const commands: Readonly<Record<Severity, string>> = {
  error: 'error',
  warning: 'warning',
  information: 'notice',
  hint: 'notice',
};

/** Workflow commands of GitHub Actions, one per finding, which become annotations of the file. */
export function githubAnnotations(checked: readonly CheckedModel[]): readonly string[] {
  return checked.flatMap(({ file, findings }) =>
    findings.map(({ rule, severity, layer, message, fixes }) => {
      const [fix] = fixes;
      const lines = [
        layer === undefined ? message : `${layer}: ${message}`,
        ...(fix === undefined ? [] : [`Fix: ${fix.title} (${fixCommand(fix)})`]),
      ];
      const properties = `file=${property(file)},title=${property(`kerf ${rule}`)}`;
      return `::${commands[severity]} ${properties}::${data(lines.join('\n'))}`;
    }),
  );
}

function data(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function property(text: string): string {
  return data(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}
