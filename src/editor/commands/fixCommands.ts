import * as vscode from 'vscode';
import type { ApplyReport } from '../../engine/answers.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Finding, Fix } from '../../rules/rule.ts';
import { applyPass, benchmark } from './actions.ts';
import { reportErrors, withProgress } from '../support/cancel.ts';
import type { CommandParts, CommandTable } from './command.ts';
import type { ModelDocument } from '../document/document.ts';
import { describe, isCancellation } from '../support/errorText.ts';
import { findingsOf, type FindingGroup, joinFixes, keyOfFinding } from '../findings/findingView.ts';
import { fixBenchmarkText, fixResultText } from './fixResult.ts';
import { tell } from './optimizeCommand.ts';
import { pick, pickFix } from './quickForms.ts';
import { suppressIn } from './suppress.ts';
import { targetUri, withDocument } from '../targets.ts';

type FixCommand =
  | 'kerf.fix'
  | 'kerf.fixAll'
  | 'kerf.applyFix'
  | 'kerf.previewFix'
  | 'kerf.fixAllOfRule'
  | 'kerf.afterFix'
  | 'kerf.suppress';

/** Commands that cure findings, look at a cure first, or accept the finding. */
export function fixCommands(parts: CommandParts): Pick<CommandTable, FixCommand> {
  const { services, findings, previews } = parts;
  const on = async <T>(argument: unknown, work: (document: ModelDocument) => Promise<T>): Promise<T> =>
    withDocument(services.store, await targetUri(argument), work);
  const known = async (document: ModelDocument, key: unknown, index: unknown): Promise<Fix> => {
    const found = await findingNamed(parts, document, key);
    const fix = typeof index === 'number' ? found.fixes[index] : undefined;
    return fix ?? pickFix(found.fixes, found.message);
  };
  return {
    'kerf.fix': (argument) =>
      on(argument, async (document) => {
        await findings.of(document);
        const { fixes, message } = await pickFinding(parts, document);
        return applyFix(parts, document, await pickFix(fixes, message));
      }),
    'kerf.fixAll': (argument) =>
      on(argument, async (document) => {
        const all = await findings.of(document);
        const fix = await pickKind(all);
        return applyFix(parts, document, fix);
      }),
    'kerf.applyFix': (argument, key, index) =>
      on(argument, async (document) => applyFix(parts, document, await known(document, key, index))),
    'kerf.previewFix': (argument, key, index) =>
      on(argument, async (document) => {
        const fix = await known(document, key, index);
        const uri = await withProgress(vscode.l10n.t('Preview of {0}', fix.title), () =>
          previews.show(document, fix),
        );
        offerToApply(parts, document.uri, fix);
        return uri;
      }),
    'kerf.fixAllOfRule': (argument, rule, pass) =>
      on(argument, async (document) => {
        const all = (await findings.of(document)).filter((finding) => finding.rule === rule);
        const fix = joinFixes(all).find((each) => pass === undefined || each.pass === pass);
        if (fix === undefined) throw new KerfError('not-found', 'this finding is gone already');
        return applyFix(parts, document, fix);
      }),
    'kerf.afterFix': (argument, fix, report) =>
      on(argument, async (document) => afterFix(parts, document, fix as Fix, report as ApplyReport)),
    'kerf.suppress': async (argument, rule, layer) => {
      const uri = await targetUri(argument);
      if (typeof rule !== 'string') throw new KerfError('bad-option', 'no rule was given');
      return suppressIn(uri, rule, typeof layer === 'string' ? layer : undefined);
    },
  };
}

async function findingNamed(
  { findings }: CommandParts,
  document: ModelDocument,
  key: unknown,
): Promise<{ readonly message: string; readonly fixes: readonly Fix[] }> {
  const all = await findings.of(document);
  const group = findings.groups(document).find((each) => each.key === key);
  const found = group ?? all.find((finding) => keyOfFinding(finding) === key);
  if (found === undefined) throw new KerfError('not-found', 'this finding is gone already');
  return found;
}

/** Applies a fix as an undoable edit, tells what it did, and measures the model again without being asked. */
async function applyFix({ services }: CommandParts, document: ModelDocument, fix: Fix): Promise<ApplyReport> {
  const report = await withProgress(vscode.l10n.t('{0}: {1}', fix.title, document.fileName), (call) =>
    applyPass(services, document, fix, call),
  );
  afterFix({ services }, document, fix, report);
  return report;
}

/** Tells what a fix did, and measures the model again where the settings want it. */
function afterFix(
  { services }: Pick<CommandParts, 'services'>,
  document: ModelDocument,
  fix: Fix,
  report: ApplyReport,
): void {
  tell(fixResultText(fix, report));
  if (
    report.changed.length > 0 &&
    vscode.workspace.isTrusted &&
    services.settings.benchmarkFixes(document.uri)
  )
    measure(services, document, fix);
}

/** In the background: whoever fixed the model goes on; the result comes as a message. */
function measure(services: CommandParts['services'], document: ModelDocument, fix: Fix): void {
  const { uri, modelKey } = document;
  const work = withDocument(services.store, uri, (held) =>
    withProgress(vscode.l10n.t('Measuring {0}', held.fileName), (call) =>
      benchmark(services, held, { original: true }, call),
    ),
  );
  work.then(
    (report) => {
      if (services.store.find(uri)?.modelKey === modelKey) showRun(services, fixBenchmarkText(fix, report));
    },
    (error: unknown) => {
      if (!isCancellation(error)) services.log.warn(`benchmark after a fix: ${describe(error)}`);
    },
  );
}

function showRun({ runs }: CommandParts['services'], message: string): void {
  const run = runs.runs[0];
  const show = vscode.l10n.t('Show Run');
  vscode.window.showInformationMessage(message, ...(run === undefined ? [] : [show])).then(
    (answer) => answer === show && vscode.commands.executeCommand('kerf.showRun', run?.id),
    () => undefined,
  );
}

function offerToApply(parts: CommandParts, uri: vscode.Uri, fix: Fix): void {
  const apply = vscode.l10n.t('Apply');
  const message = vscode.l10n.t('{0}: this is what it would change.', fix.title);
  vscode.window.showInformationMessage(message, apply).then(
    (answer) => answer === apply && applyLater(parts, uri, fix),
    () => undefined,
  );
}

/** After the question nobody waits any more: a failure is told. */
function applyLater(parts: CommandParts, uri: vscode.Uri, fix: Fix): void {
  reportErrors(() =>
    withDocument(parts.services.store, uri, (document) => applyFix(parts, document, fix)),
  ).then(undefined, () => undefined);
}

async function pickFinding(
  { findings, services }: CommandParts,
  document: ModelDocument,
): Promise<FindingGroup> {
  const layer = services.selection.of(document);
  const here = new Set(layer === null ? [] : findingsOf(findings.known(document), layer).map(keyOfFinding));
  const items = findings
    .groups(document)
    .filter(({ fixes }) => fixes.length > 0)
    .map((group) => ({
      label: `$(${group.severity === 'error' ? 'error' : group.severity === 'warning' ? 'warning' : 'info'}) ${group.message}`,
      description: group.rule,
      detail: group.fixes.map(({ title }) => title).join(' · '),
      group,
      here: group.findings.some((finding) => here.has(keyOfFinding(finding))),
    }));
  if (items.length === 0) throw new KerfError('not-found', 'nothing was found that a pass could fix');
  // What concerns the selected layer comes first.
  items.sort((a, b) => Number(b.here) - Number(a.here));
  return (await pick(items, { title: vscode.l10n.t('Fix') })).group;
}

/** One kind of fix over everything it was offered for. */
async function pickKind(findings: readonly Finding[]): Promise<Fix> {
  const items = joinFixes(findings).map((fix) => ({ label: fix.title, description: fix.pass, fix }));
  if (items.length === 0) throw new KerfError('not-found', 'nothing was found that a pass could fix');
  return (await pick(items, { title: vscode.l10n.t('Fix All of One Kind') })).fix;
}
