import { basename } from 'node:path';
import * as vscode from 'vscode';
import { KerfError } from '../../ir/errors.ts';
import { withSuppression } from './kerfJson.ts';

/** Accepts a finding in the `kerf.json` of the model's workspace folder, which `kerf check` reads too. Answers with its path. */
export async function suppressIn(
  model: vscode.Uri,
  rule: string,
  layer: string | undefined,
): Promise<string> {
  const folder = vscode.workspace.getWorkspaceFolder(model) ?? vscode.workspace.workspaceFolders?.[0];
  if (folder === undefined)
    throw new KerfError(
      'not-found',
      'suppressions are kept in the kerf.json of a workspace folder; open one',
    );
  const file = vscode.Uri.joinPath(folder.uri, 'kerf.json');
  const text = await readText(file);
  const root = withSuppression(text, {
    rule,
    model: basename(model.path),
    ...(layer !== undefined && { layer }),
  });
  await vscode.workspace.fs.writeFile(file, new TextEncoder().encode(root));
  return file.fsPath;
}

async function readText(file: vscode.Uri): Promise<string> {
  try {
    return new TextDecoder().decode(await vscode.workspace.fs.readFile(file));
  } catch (error) {
    if (error instanceof vscode.FileSystemError && error.code === 'FileNotFound') return '{}';
    throw error;
  }
}
