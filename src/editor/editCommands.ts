import { basename, dirname, extname, join } from 'node:path';
import * as vscode from 'vscode';
import type { ApplyReport } from '../engine/protocol.ts';
import { KerfError } from '../ir/errors.ts';
import type { OptionValues } from '../passes/pass.ts';
import type { Fix } from '../rules/rule.ts';
import { applyPass, applySteps } from './actions.ts';
import { withProgress } from './cancel.ts';
import type { CommandParts, CommandTable } from './commands.ts';
import type { ModelDocument } from './document.ts';
import { formatBytes, formatChange, formatCount } from './format.ts';
import { findingsOf, type FindingGroup, keyOfFinding } from './findingView.ts';
import { type OptimizeAnswers, runOptimize, tell } from './optimizeCommand.ts';
import { askOptions, pick, pickFix, pickPass } from './quickForms.ts';
import { recipeSteps, saveRecipeAs } from './recipeFile.ts';
import type { Services } from './services.ts';
import { openEditor, targetUri, uriOf, withDocument } from './targets.ts';

type EditCommand =
  | 'kerf.optimize'
  | 'kerf.applyPass'
  | 'kerf.fix'
  | 'kerf.applyFix'
  | 'kerf.undo'
  | 'kerf.redo'
  | 'kerf.exportRecipe'
  | 'kerf.applyRecipe'
  | 'kerf.convert';

/** Commands that change a model or write one. */
export function editCommands(parts: CommandParts): Pick<CommandTable, EditCommand> {
  const { services, findings } = parts;
  const { store } = services;
  const on = async <T>(argument: unknown, work: (document: ModelDocument) => Promise<T>): Promise<T> =>
    withDocument(store, await targetUri(argument), work);
  return {
    'kerf.optimize': (argument, answers) =>
      on(argument, (document) =>
        runOptimize(services, document, isRecord(answers) ? (answers as OptimizeAnswers) : {}),
      ),
    'kerf.applyPass': (argument) => on(argument, (document) => applyPassCommand(parts, document, argument)),
    'kerf.fix': (argument) =>
      on(argument, async (document) => {
        await findings.of(document);
        return applyFix(parts, document, await pickFinding(parts, document));
      }),
    'kerf.applyFix': (argument, key, index) =>
      on(argument, async (document) => {
        const all = await findings.of(document);
        const group = findings.groups(document).find((each) => each.key === key);
        const single = all.find((finding) => keyOfFinding(finding) === key);
        const found = group ?? single;
        if (found === undefined) throw new KerfError('not-found', 'this finding is gone already');
        return applyFix(parts, document, found, typeof index === 'number' ? found.fixes[index] : undefined);
      }),
    'kerf.undo': (argument) => inHistory(services, argument, 'undo'),
    'kerf.redo': (argument) => inHistory(services, argument, 'redo'),
    'kerf.exportRecipe': (argument) =>
      on(argument, async (document) => (await saveRecipeAs(services.engine, document))?.fsPath),
    'kerf.applyRecipe': (argument, file) =>
      on(argument, async (document) => {
        const steps = await recipeSteps(uriOf(file));
        const title = vscode.l10n.t('Recipe');
        const running = vscode.l10n.t('Applying a recipe to {0}', document.fileName);
        const report = await withProgress(running, (call) => applySteps(document, title, steps, call));
        tellChange(title, report);
        return report;
      }),
    'kerf.convert': (argument, destination) =>
      on(argument, (document) => convert(parts, document, uriOf(destination))),
  };
}

async function applyPassCommand(
  { services }: CommandParts,
  document: ModelDocument,
  argument: unknown,
): Promise<ApplyReport> {
  const given = isRecord(argument) && !(argument instanceof vscode.Uri) ? argument : {};
  const layers = Array.isArray(given['layers'])
    ? given['layers'].filter((id) => typeof id === 'string')
    : undefined;
  const all = await services.catalog.passes();
  const info = all.find((pass) => pass.id === given['pass']);
  const only = layers?.[0] === undefined ? undefined : (await document.ask('node', { id: layers[0] })).passes;
  const pass = info ?? (await pickPass(all, document.format, only));
  const options = isRecord(given['options']) ? (given['options'] as OptionValues) : await askOptions(pass);
  const call = { pass: pass.id, options, ...(layers === undefined ? {} : { layers }) };
  const report = await withProgress(vscode.l10n.t('{0}: {1}', pass.title, document.fileName), (progress) =>
    applyPass(services, document, call, progress),
  );
  tellChange(pass.title, report);
  return report;
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

async function applyFix(
  { services }: CommandParts,
  document: ModelDocument,
  found: { readonly message: string; readonly fixes: readonly Fix[] },
  chosen?: Fix,
): Promise<ApplyReport> {
  const fix = chosen ?? (await pickFix(found.fixes, found.message));
  const report = await withProgress(vscode.l10n.t('{0}: {1}', fix.title, document.fileName), (call) =>
    applyPass(services, document, fix, call),
  );
  tellChange(fix.title, report);
  return report;
}

/** Undo and redo belong to the model's editor; the text form and the views send them there and keep the focus. */
async function inHistory({ store }: Services, argument: unknown, command: 'undo' | 'redo'): Promise<void> {
  const from = vscode.window.activeTextEditor;
  await openEditor(store, await targetUri(argument));
  await vscode.commands.executeCommand(command);
  if (from !== undefined) await vscode.window.showTextDocument(from.document, from.viewColumn);
}

async function convert(
  { services }: CommandParts,
  document: ModelDocument,
  given: vscode.Uri | undefined,
): Promise<string | undefined> {
  const extension = document.format === 'onnx' ? '.tflite' : '.onnx';
  const stem = basename(document.path, extname(document.path));
  const defaultUri = vscode.Uri.file(join(dirname(document.path), `${stem}${extension}`));
  const filters = { [extension.slice(1).toUpperCase()]: [extension.slice(1)] };
  const destination = given ?? (await vscode.window.showSaveDialog({ defaultUri, filters }));
  if (destination === undefined) return undefined;
  const running = vscode.l10n.t('Converting {0}', document.fileName);
  const { fileBytes, notes } = await withProgress(running, (call) =>
    document.ask('convert', { path: destination.fsPath }, call),
  );
  await openEditor(services.store, destination);
  tell([`${basename(destination.path)}: ${formatBytes(fileBytes)}`, ...notes].join('. '));
  return destination.fsPath;
}

/** Before and after in one line; when nothing changed, the pass's own words for why. */
function tellChange(title: string, { before, after, changed, notes }: ApplyReport): void {
  if (changed.length === 0) {
    tell([vscode.l10n.t('{0}: nothing to change', title), ...notes].join('. '));
    return;
  }
  const size = `${formatBytes(before.fileBytes)} → ${formatBytes(after.fileBytes)} (${formatChange(before.fileBytes, after.fileBytes)})`;
  const sameWork = before.macs === after.macs;
  const work = sameWork ? [] : [`${formatCount(before.macs, 'MACs')} → ${formatCount(after.macs, 'MACs')}`];
  tell([`${title}: ${size}`, ...work, vscode.l10n.t('{0} layers changed', changed.length)].join(', '));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
