import * as vscode from 'vscode';
import { KerfError } from '../ir/errors.ts';
import { modelGlob, textScheme, viewType } from './contributions.ts';
import type { ModelDocument } from './document/document.ts';
import { pick } from './commands/quickForms.ts';
import type { ModelStore } from './document/store.ts';
import { modelUri } from './text/forms.ts';

/** Which model the person means: the argument of a menu, the active editor, or one they pick. */
export function activeModelUri(): vscode.Uri | undefined {
  const input = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
  if (input instanceof vscode.TabInputCustom && input.viewType === viewType) return input.uri;
  if (input instanceof vscode.TabInputText && input.uri.scheme === textScheme) return modelUri(input.uri);
  return undefined;
}

/** Anything a command may be called with that names a model: a Uri, its text, a file path, `{ uri }`. */
export function uriOf(argument: unknown): vscode.Uri | undefined {
  if (argument instanceof vscode.Uri) return argument.scheme === textScheme ? modelUri(argument) : argument;
  if (typeof argument === 'string')
    return /^[a-z][a-z0-9+.-]+:/i.test(argument) ? vscode.Uri.parse(argument) : vscode.Uri.file(argument);
  if (typeof argument === 'object' && argument !== null && 'uri' in argument) return uriOf(argument.uri);
  return undefined;
}

/** The model a command works on; asks when nothing says which. */
export async function targetUri(argument: unknown): Promise<vscode.Uri> {
  return uriOf(argument) ?? activeModelUri() ?? (await pickModel(vscode.l10n.t('Model')));
}

export async function pickModel(title: string, except?: vscode.Uri): Promise<vscode.Uri> {
  const found = await vscode.workspace.findFiles(modelGlob, '**/{node_modules,.git}/**', 500);
  const items: (vscode.QuickPickItem & { uri?: vscode.Uri })[] = found
    .filter((uri) => uri.toString() !== except?.toString())
    .map((uri) => ({ label: vscode.workspace.asRelativePath(uri), uri }));
  const { uri } = await pick([...items, { label: vscode.l10n.t('Browse…') }], { title });
  if (uri !== undefined) return uri;
  const filters = { [vscode.l10n.t('Models')]: ['onnx', 'tflite'] };
  const [chosen] = (await vscode.window.showOpenDialog({ title, filters })) ?? [];
  if (chosen === undefined) throw new KerfError('cancelled', 'dismissed');
  return chosen;
}

/** Runs `work` on a model's document and lets go of it afterwards. */
export async function withDocument<T>(
  store: ModelStore,
  uri: vscode.Uri,
  work: (document: ModelDocument) => Promise<T>,
): Promise<T> {
  const document = await store.acquire(uri);
  try {
    return await work(document);
  } finally {
    store.release(document);
  }
}

/** The group that shows a model in its editor. */
export function groupOf(uri: vscode.Uri): vscode.TabGroup | undefined {
  const shows = ({ input }: vscode.Tab): boolean =>
    input instanceof vscode.TabInputCustom &&
    input.viewType === viewType &&
    input.uri.toString() === uri.toString();
  return vscode.window.tabGroups.all.find((group) => group.tabs.some(shows));
}

/** Opens the custom editor on a model, or goes to where it is open, and gives its document. */
export async function openEditor(store: ModelStore, uri: vscode.Uri): Promise<ModelDocument> {
  const viewColumn = groupOf(uri)?.viewColumn ?? vscode.ViewColumn.Active;
  await vscode.commands.executeCommand('vscode.openWith', uri, viewType, { viewColumn, preview: false });
  const document = store.find(uri);
  if (document === undefined)
    throw new KerfError('internal', 'the model editor did not open', { file: uri.path });
  return document;
}
