import { basename, dirname, extname, join } from 'node:path';
import * as vscode from 'vscode';
import type { ApplyReport } from '../../engine/answers.ts';
import type { OptionValues } from '../../passes/pass.ts';
import { applyPass, applySteps } from './actions.ts';
import { withProgress } from '../support/cancel.ts';
import type { CommandParts, CommandTable } from './command.ts';
import { lensPasses } from '../contributions.ts';
import type { ModelDocument } from '../document/document.ts';
import { formatBytes, formatChange, formatCount } from '../support/format.ts';
import { type OptimizeAnswers, runOptimize, tell } from './optimizeCommand.ts';
import { askOptions, pickPass } from './quickForms.ts';
import { recipeSteps, saveRecipeAs } from '../document/recipeFile.ts';
import type { Services } from '../services.ts';
import { openEditor, targetUri, uriOf, withDocument } from '../targets.ts';

type EditCommand =
  | 'kerf.optimize'
  | 'kerf.applyPass'
  | 'kerf.excludeLayer'
  | 'kerf.undo'
  | 'kerf.redo'
  | 'kerf.exportRecipe'
  | 'kerf.applyRecipe'
  | 'kerf.convert';

/** Commands that change a model or write one. */
export function editCommands(parts: CommandParts): Pick<CommandTable, EditCommand> {
  const { services } = parts;
  const { store } = services;
  const on = async <T>(argument: unknown, work: (document: ModelDocument) => Promise<T>): Promise<T> =>
    withDocument(store, await targetUri(argument), work);
  return {
    'kerf.optimize': (argument, answers) =>
      on(argument, (document) =>
        runOptimize(services, document, isRecord(answers) ? (answers as OptimizeAnswers) : {}),
      ),
    'kerf.applyPass': (argument) => on(argument, (document) => applyPassCommand(parts, document, argument)),
    'kerf.excludeLayer': (argument, layers) =>
      on(argument, (document) => excludeLayers(parts, document, layers)),
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

/** Quantizes every layer but these. */
async function excludeLayers(
  parts: CommandParts,
  document: ModelDocument,
  excluded: unknown,
): Promise<ApplyReport> {
  const out = new Set(Array.isArray(excluded) ? excluded : [excluded]);
  const { layers } = await document.inspection();
  const others = layers.map(({ id }) => id).filter((id) => !out.has(id));
  return applyPassCommand(parts, document, { pass: lensPasses.quantize, layers: others });
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
