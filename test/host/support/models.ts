import assert from 'node:assert/strict';
import { copyFile } from 'node:fs/promises';
import path from 'node:path';
import * as vscode from 'vscode';

/** The folder that the test window has open: a copy of `samples/`. */
export function workspaceFolder(): string {
  const folder = vscode.workspace.workspaceFolders?.[0];
  assert.ok(folder, 'the test window has a folder');
  return folder.uri.fsPath;
}

let copies = 0;

/** A copy of a sample under a name of its own, so that tests do not meet in one document. */
export async function freshModel(sample = 'digits.onnx'): Promise<vscode.Uri> {
  const name = `${path.parse(sample).name}-${++copies}${path.extname(sample)}`;
  const to = path.join(workspaceFolder(), name);
  await copyFile(path.join(workspaceFolder(), sample), to);
  return vscode.Uri.file(to);
}

export async function openModel(uri: vscode.Uri): Promise<void> {
  await vscode.commands.executeCommand('vscode.openWith', uri, 'kerf.model', { preview: false });
  await eventually(`the tab of ${path.basename(uri.path)}`, () => tabOf(uri) !== undefined);
}

function tabOf(uri: vscode.Uri): vscode.Tab | undefined {
  return vscode.window.tabGroups.all
    .flatMap((group) => group.tabs)
    .find(({ input }) => input instanceof vscode.TabInputCustom && input.uri.toString() === uri.toString());
}

export function isDirty(uri: vscode.Uri): boolean {
  return tabOf(uri)?.isDirty ?? false;
}

export async function apply(
  uri: vscode.Uri,
  pass: string,
  options: Record<string, unknown> = {},
): Promise<void> {
  await vscode.commands.executeCommand('kerf.applyPass', { uri: uri.toString(), pass, options });
}

export function textFormUri(model: vscode.Uri): vscode.Uri {
  return vscode.Uri.from({ scheme: 'kerf-text', path: `${model.path}.kerftext` });
}

/** What the text form says now; it follows the model, so tests wait for the text that they expect. */
export async function textForm(model: vscode.Uri): Promise<string> {
  return (await vscode.workspace.openTextDocument(textFormUri(model))).getText();
}

/** Waits until `ask` answers something truthy and returns it. */
export async function eventually<T>(
  what: string,
  ask: () => T | Promise<T>,
  seconds = 30,
): Promise<NonNullable<T>> {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await ask();
    if (answer) {
      return answer;
    }
    assert.ok(Date.now() < end, `not after ${seconds} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Closes every editor without saving. */
export async function closeEverything(): Promise<void> {
  for (const tab of vscode.window.tabGroups.all.flatMap((group) => group.tabs)) {
    if (tab.isDirty) {
      await vscode.window.tabGroups.close(tab, true).then(undefined, () => undefined);
    }
  }
  await vscode.commands.executeCommand('workbench.action.closeAllEditors');
}
