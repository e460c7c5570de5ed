import * as vscode from 'vscode';
import { basename, dirname, join } from 'node:path';
import type { CallOptions, SensitivityReport } from '../../engine/protocol.ts';
import type { ModelDocument } from '../document/document.ts';
import { configured } from '../../rules/configured.ts';
import { damageFindings } from '../../rules/damage.ts';
import type { Finding } from '../../rules/rule.ts';
import { auditReport } from '../reports/auditReports.ts';
import { benchmark, compareWithOriginal, evaluate } from './actions.ts';
import { withProgress } from '../support/cancel.ts';
import type { CommandParts, CommandTable } from './command.ts';
import { fileName } from './command.ts';
import { modelGlob } from '../contributions.ts';
import { askForDataset } from '../dataset.ts';
import { describe, isCancellation } from '../support/errorText.ts';
import { tell } from './optimizeCommand.ts';
import { pickValues, savePath } from '../page/files.ts';
import { pick } from './quickForms.ts';
import type { MixedAnswers } from './mixedCommand.ts';
import { runMixed } from './mixedCommand.ts';
import { comparisonReport, evaluationReport, runReport } from '../reports/reports.ts';
import { sensitivityReport } from '../reports/sensitivityReports.ts';
import { openEditor, pickModel, targetUri, uriOf, withDocument } from '../targets.ts';
import { textUri } from '../text/forms.ts';
import { requireTrust } from '../support/trust.ts';

type AnalysisCommand =
  | 'kerf.benchmark'
  | 'kerf.compareWith'
  | 'kerf.compareWithOriginal'
  | 'kerf.importValues'
  | 'kerf.evaluate'
  | 'kerf.sensitivity'
  | 'kerf.mixed'
  | 'kerf.audit'
  | 'kerf.checkWorkspace'
  | 'kerf.showRun'
  | 'kerf.clearRuns';

/** Commands that look, measure and compare. */
export function analysisCommands(parts: CommandParts): Pick<CommandTable, AnalysisCommand> {
  const { services, pages, reports, times } = parts;
  const { store, runs } = services;
  return {
    'kerf.benchmark': async (argument, how) => {
      requireTrust();
      const uri = await targetUri(argument);
      // Without the page, as a test or a tool wants it, the result is only returned and remembered.
      if (how === 'quiet')
        return withDocument(store, uri, (document) =>
          withProgress(vscode.l10n.t('Measuring {0}', fileName(uri)), (call) =>
            benchmark(services, document, { original: document.steps.length > 0 }, call),
          ),
        );
      return pages.show(await openEditor(store, uri), 'benchmark', true);
    },
    'kerf.compareWith': (first, second, how) => compareWith(parts, first, second, how),
    'kerf.compareWithOriginal': async (argument) => {
      const document = await openEditor(store, await targetUri(argument));
      if (pages.show(document, 'compare', true)) return undefined;
      const compared = await compareWithOriginal(services, document, {});
      const names = [vscode.l10n.t('original'), document.fileName] as const;
      return reports.show(`${document.fileName} compared`, comparisonReport(names, compared));
    },
    'kerf.importValues': async (argument, from) => {
      const document = await openEditor(store, await targetUri(argument));
      const file = await pickValues(uriOf(from));
      return file !== null && pages.values(document, file);
    },
    'kerf.evaluate': async (argument, data) =>
      withDocument(store, await targetUri(argument), async (document) => {
        requireTrust();
        const chosen =
          typeof data === 'string'
            ? data
            : await askForDataset(services.settings, document, { allowNone: false });
        const running = vscode.l10n.t('Evaluating {0}', document.fileName);
        const report = await withProgress(running, (call) => evaluate(document, chosen ?? '', call));
        await reports.show(`${document.fileName} evaluated`, evaluationReport(document.fileName, report));
        return report;
      }),
    'kerf.sensitivity': async (argument) =>
      withDocument(store, await targetUri(argument), async (document) => {
        requireTrust();
        const scheme = await pickScheme();
        const data = await askForDataset(services.settings, document);
        const apart = scheme === 'int8';
        const params = { scheme, apart, ...(data === null ? {} : { data }) };
        const running = vscode.l10n.t('Sensitivity of {0}', document.fileName);
        const report = await withProgress(running, (call) => document.ask('sensitivity', params, call));
        times.setSensitivity(document, report);
        pages.measured(document);
        await reports.show(`${document.fileName} sensitivity`, sensitivityReport(document.fileName, report));
        offerExport(parts, document, report);
        return report;
      }),
    'kerf.mixed': async (argument, answers) =>
      withDocument(store, await targetUri(argument), (document) =>
        runMixed(services, reports, document, (answers ?? {}) as MixedAnswers),
      ),
    'kerf.audit': async (argument) =>
      withDocument(store, await targetUri(argument), async (document) => {
        requireTrust();
        const running = vscode.l10n.t('Auditing {0}', document.fileName);
        const report = await withProgress(running, (call) => document.ask('audit', {}, call));
        await reports.show(`${document.fileName} audited`, auditReport(document.fileName, report));
        return report;
      }),
    'kerf.checkWorkspace': () =>
      withProgress(vscode.l10n.t('Checking the models of the workspace'), (call) =>
        checkWorkspace(parts, call),
      ),
    'kerf.showRun': async (id) => {
      const run = runs.runs.find((each) => each.id === id);
      if (run !== undefined) await reports.show(`Run ${run.when.replaceAll(':', '.')}`, runReport(run));
    },
    'kerf.clearRuns': () => runs.clear(),
  };
}

/** The table as a file, for who asks for it; nobody has to answer. */
function offerExport({ services }: CommandParts, document: ModelDocument, report: SensitivityReport): void {
  const handle = document.handle();
  const csv = vscode.l10n.t('Save CSV…');
  const nodeData = vscode.l10n.t('Save Node Data…');
  const said = vscode.l10n.t(
    'Sensitivity of {0} to {1}: {2} layers.',
    document.fileName,
    report.scheme,
    report.layers.length,
  );
  const save = async (): Promise<void> => {
    const answer = await vscode.window.showInformationMessage(said, csv, nodeData);
    if (answer === undefined) return;
    const to = answer === csv ? 'csv' : 'node-data';
    const ending = to === 'csv' ? 'csv' : 'json';
    const name = `${document.fileName.replace(/\.\w+$/, '')}.${report.scheme}.${ending}`;
    const path = await savePath(join(dirname(document.path), name));
    if (path === undefined) return;
    await services.engine.call('exportSensitivity', { handle: await handle, report, to, path });
    tell(vscode.l10n.t('Wrote {0}.', basename(path)));
  };
  save().catch((error: unknown) => vscode.window.showErrorMessage(describe(error)));
}

async function pickScheme(): Promise<string> {
  const schemes = [
    ['int8', vscode.l10n.t('8-bit weights and activations')],
    ['int4', vscode.l10n.t('4-bit weights')],
    ['int3', vscode.l10n.t('3-bit weights')],
    ['int2', vscode.l10n.t('2-bit weights')],
    ['fp16', vscode.l10n.t('half precision')],
    ['prune50', vscode.l10n.t('half of the weights zeroed')],
  ] as const;
  const items = schemes.map(([label, description]) => ({ label, description }));
  return (await pick(items, { title: vscode.l10n.t('What would happen to a layer?') })).label;
}

/** Two models side by side in the editor; `'texts'` asks for their text forms and a report instead. */
async function compareWith(
  { services, pages, reports, texts }: CommandParts,
  first: unknown,
  second: unknown,
  how: unknown,
): Promise<void> {
  const left = await targetUri(first);
  // The explorer passes the clicked file and the whole selection.
  const selected = Array.isArray(second)
    ? second.map(uriOf).find((uri) => uri?.toString() !== left.toString())
    : uriOf(second);
  const right = selected ?? (await pickModel(vscode.l10n.t('Compare {0} with…', fileName(left)), left));
  if (how !== 'texts') {
    const document = await openEditor(services.store, right);
    if (pages.compare(document, { kind: 'file', path: left.fsPath })) return;
  }
  await withDocument(services.store, left, (before) =>
    withDocument(services.store, right, async (after) => {
      const [a, b] = [await before.handle(), await after.handle()];
      const compared = {
        before: await before.inspection(),
        after: await after.inspection(),
        diff: await services.engine.call('diff', { a, b }),
      };
      await Promise.all([texts.print(before), texts.print(after)]);
      const title = `${fileName(left)} ↔ ${fileName(right)}`;
      await vscode.commands.executeCommand('vscode.diff', textUri(left), textUri(right), title);
      await reports.show(title, comparisonReport([fileName(left), fileName(right)], compared));
    }),
  );
}

/** Findings of models that are not open, into Problems; open ones are there already. */
async function checkWorkspace(
  { services, findings }: CommandParts,
  { signal, onProgress }: CallOptions,
): Promise<number> {
  const call = signal === undefined ? {} : { signal };
  const files = await vscode.workspace.findFiles(modelGlob, '**/{node_modules,.git}/**', 500);
  let count = 0;
  for (const [index, uri] of files.entries()) {
    onProgress?.(index / files.length, vscode.workspace.asRelativePath(uri));
    const found = await checkFile(services, uri, call);
    count += found.length;
    if (services.store.find(uri) === undefined) findings.publish(uri, found);
  }
  await vscode.commands.executeCommand('workbench.actions.view.problems');
  tell(vscode.l10n.t('{0} findings in {1} models', count, files.length));
  return count;
}

/** A model that cannot be read is a finding, not the end of the check. */
async function checkFile(
  { engine, settings }: CommandParts['services'],
  uri: vscode.Uri,
  call: CallOptions,
): Promise<readonly Finding[]> {
  const device = settings.device(uri);
  try {
    const { handle, damage } = await engine.call('open', { path: uri.fsPath }, call);
    const params = { handle, budget: settings.budget(uri), ...(device === null ? {} : { device }) };
    const { findings } = await engine.call('check', params, call);
    await engine.call('release', { handle });
    return configured([...damageFindings(damage), ...findings], settings.checks(uri), uri.fsPath);
  } catch (error) {
    if (isCancellation(error)) throw error;
    return [{ rule: 'unreadable', severity: 'error', message: describe(error), fixes: [] }];
  }
}
