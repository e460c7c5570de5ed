import path from 'node:path';
import type { Command } from 'commander';
import { Option } from 'commander';
import { checkOutput } from '../../engine/paths.ts';
import { readCheckConfig } from '../../engine/recipeFiles.ts';
import type { BudgetUse, Handle } from '../../engine/protocol.ts';
import { KerfError } from '../../ir/errors.ts';
import type { CheckConfig } from '../../rules/configured.ts';
import { configured, noConfig } from '../../rules/configured.ts';
import { damageFindings } from '../../rules/damage.ts';
import { repeated } from '../arguments.ts';
import { budgetTable } from '../check/budgetTable.ts';
import type { CheckedModel } from '../check/checked.ts';
import { findingsText } from '../check/checked.ts';
import type { FixOutcome } from '../check/fix.ts';
import { applyFixes, fixText } from '../check/fix.ts';
import { githubAnnotations } from '../check/github.ts';
import { sarifLog } from '../check/sarif.ts';
import type { Session } from '../session.ts';

interface Flags {
  readonly device?: string;
  readonly target?: string;
  readonly budget?: string;
  readonly format?: 'text' | 'json' | 'sarif' | 'github';
  readonly json?: boolean;
  readonly rule?: readonly string[];
  readonly fix?: boolean | string;
  readonly data?: string;
  readonly output?: string;
}

/** `kerf check`: what would hurt, for people, scripts, code scanning and pull requests; and its cures. */
export function addCheckCommand(program: Command, session: Session): void {
  program
    .command('check <models...>')
    .description(
      'what would hurt, and what cures it; exit code 1 when an error is found or a budget is broken',
    )
    .option('--device <id>', 'target device')
    .option('--target <id>', "rules of what it runs on, instead of the device's (docs/targets.md)")
    .option('--budget <file>', 'limits, severities and suppressions (kerf.json)')
    .option('--rule <id>', 'only this rule (repeatable)', repeated)
    .addOption(
      new Option('--format <format>', 'how findings are written')
        .choices(['text', 'json', 'sarif', 'github'])
        .default('text'),
    )
    .option('--json', 'print one JSON document on stdout (--format json)')
    .option('--fix [which]', 'apply fixes and write the result: exact (default) or all')
    .option('--data <dataset>', 'calibration data for fixes that need it')
    .option('-o, --output <file>', 'where the fixed model goes')
    .action((models: readonly string[], flags: Flags) => check(session, models, flags));
}

async function check(session: Session, models: readonly string[], flags: Flags): Promise<void> {
  const config = flags.budget === undefined ? noConfig : readCheckConfig(flags.budget);
  if (flags.rule !== undefined) await requireRules(session, flags.rule);
  const fixing = fixPlan(models, flags);
  const checked: CheckedModel[] = [];
  let outcome: FixOutcome | undefined;
  for (const file of models) {
    const { handle, damage, format } = await session.opened(file);
    const damaged = configured(damageFindings(damage), config, file);
    let found = await look(session, { handle, file }, config, flags);
    if (fixing !== undefined) {
      checkOutput(fixing.output, format);
      outcome = await applyFixes(session, handle, found.findings, fixing);
      found = await look(session, { handle: outcome.handle, file }, config, flags);
    }
    checked.push({ file, findings: [...damaged, ...found.findings], budget: found.budget });
  }
  session.broken = checked.some(({ findings }) => findings.some(({ severity }) => severity === 'error'));
  await print(session, checked, outcome, flags);
}

async function look(
  { engine }: Session,
  model: { readonly handle: Handle; readonly file: string },
  config: CheckConfig,
  { device, target, rule }: Flags,
) {
  const { findings, budget = [] } = await engine.call('check', {
    handle: model.handle,
    budget: config.budget,
    ...(device !== undefined && { device }),
    ...(target !== undefined && { target }),
  });
  const wanted = rule === undefined ? findings : findings.filter((each) => rule.includes(each.rule));
  return { findings: configured(wanted, config, model.file), budget };
}

async function requireRules({ engine }: Session, wanted: readonly string[]): Promise<void> {
  const { rules } = await engine.call('rules', {});
  const unknown = wanted.find((id) => !rules.some((rule) => rule.id === id));
  if (unknown !== undefined)
    throw new KerfError('bad-option', `there is no rule '${unknown}'; see 'kerf rules'`);
}

interface FixPlan {
  readonly which: 'exact' | 'all';
  readonly output: string;
  readonly data?: string;
}

function fixPlan(models: readonly string[], { fix, output, data }: Flags): FixPlan | undefined {
  if (fix === undefined || fix === false) {
    if (output !== undefined) throw new KerfError('bad-option', '-o goes with --fix');
    return undefined;
  }
  const which = fix === true ? 'exact' : fix;
  if (which !== 'exact' && which !== 'all')
    throw new KerfError('bad-option', `--fix ${String(fix)}: there are exact and all`);
  if (models.length !== 1) throw new KerfError('bad-option', '--fix works on one model at a time');
  if (output === undefined)
    throw new KerfError('bad-option', '--fix needs -o: the model itself is not touched');
  return { which, output, ...(data !== undefined && { data }) };
}

async function print(
  { engine }: Session,
  checked: readonly CheckedModel[],
  outcome: FixOutcome | undefined,
  flags: Flags,
): Promise<void> {
  const write = (text: string) => process.stdout.write(`${text}\n`);
  switch (flags.json === true ? 'json' : (flags.format ?? 'text')) {
    case 'json':
      return void write(JSON.stringify(jsonOf(checked, outcome)));
    case 'sarif': {
      const { rules } = await engine.call('rules', {});
      const folder = process.cwd();
      return void write(
        JSON.stringify(
          sarifLog(checked, rules, (file) => relative(folder, file)),
          null,
          2,
        ),
      );
    }
    case 'github':
      for (const line of githubAnnotations(checked)) write(line);
      for (const { file, budget } of checked) if (budget.length > 0) writeTable(file, budget);
      return;
    default:
      for (const model of checked) {
        if (checked.length > 1) write(`${model.file}:`);
        write(findingsText(model));
        if (model.budget.length > 0) write(`\n${budgetTable(model.budget)}`);
      }
      if (outcome !== undefined) write(`\n${fixText(outcome)}`);
  }
}

/** Logs of CI show stderr as well, and annotations are read from stdout. */
function writeTable(file: string, budget: readonly BudgetUse[]): void {
  process.stderr.write(`${file}\n${budgetTable(budget)}\n`);
}

/** `layer` is always there, null for findings about the whole model; `file` when there are several models. */
function jsonOf(checked: readonly CheckedModel[], outcome: FixOutcome | undefined) {
  const several = checked.length > 1;
  const findings = checked.flatMap(({ file, findings: found }) =>
    found.map((finding) => ({ ...finding, layer: finding.layer ?? null, ...(several && { file }) })),
  );
  const budget = checked.flatMap((model) =>
    model.budget.map((row) => ({ ...row, ...(several && { file: model.file }) })),
  );
  const { handle: _handle, ...fixed } = outcome ?? { handle: '' };
  return { findings, ...(budget.length > 0 && { budget }), ...(outcome !== undefined && { fixed }) };
}

function relative(folder: string, file: string): string {
  const inside = path.relative(folder, path.resolve(file));
  return (inside.startsWith('..') ? path.resolve(file) : inside).split(path.sep).join('/');
}
