import { basename } from 'node:path';
import * as vscode from 'vscode';
import { KerfError } from '../ir/errors.ts';
import { parseCheckConfig } from '../optimize/checkConfig.ts';

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

/** The text of a kerf.json with one more accepted finding; limits that stood at the top move under `budget`. */
export function withSuppression(
  text: string,
  entry: { readonly rule: string; readonly model: string; readonly layer?: string },
): string {
  const config = parseCheckConfig(text, 'kerf.json');
  const root = JSON.parse(text) as Record<string, unknown>;
  const whole = ['budget', 'rules', 'suppress'].some((key) => key in root);
  const { $schema, ...limits } = root;
  const base =
    whole || Object.keys(limits).length === 0
      ? root
      : { ...($schema !== undefined && { $schema }), budget: limits };
  const next = { ...base, suppress: [...config.suppress, entry] };
  return `${JSON.stringify(next, null, 2)}\n`;
}
