import * as vscode from 'vscode';
import { parseCheckConfig } from '../optimize/checkConfig.ts';
import type { CheckConfig } from '../rules/configured.ts';
import { noConfig } from '../rules/configured.ts';
import { describe } from './support/errorText.ts';
import type { Log } from './support/log.ts';

/** Limits, severities and accepted findings that a team keeps in `kerf.json` at the top of a workspace folder; `kerf check` reads the same file. */
export interface BudgetFiles extends vscode.Disposable {
  readonly onDidChange: vscode.Event<void>;
  config(uri: vscode.Uri | undefined): CheckConfig;
}

export function createBudgetFiles(log: Log): BudgetFiles {
  const changed = new vscode.EventEmitter<void>();
  const configs = new Map<string, CheckConfig>();
  const read = async (file: vscode.Uri): Promise<void> => {
    const key = file.toString();
    try {
      const text = new TextDecoder().decode(await vscode.workspace.fs.readFile(file));
      configs.set(key, parseCheckConfig(text, file.fsPath));
    } catch (error) {
      const gone = error instanceof vscode.FileSystemError && error.code === 'FileNotFound';
      if (!configs.delete(key) && gone) return;
      if (!gone) log.warn(`budget: ${describe(error)}`);
    }
    changed.fire();
  };
  const readAll = (): void => {
    for (const folder of vscode.workspace.workspaceFolders ?? []) void read(fileOf(folder));
  };
  const watcher = vscode.workspace.createFileSystemWatcher('**/kerf.json');
  const look = (file: vscode.Uri): void => {
    const folder = vscode.workspace.getWorkspaceFolder(file);
    if (folder !== undefined && fileOf(folder).toString() === file.toString()) void read(file);
  };
  const subscriptions = [
    changed,
    watcher,
    watcher.onDidChange(look),
    watcher.onDidCreate(look),
    watcher.onDidDelete(look),
    vscode.workspace.onDidChangeWorkspaceFolders(readAll),
  ];
  readAll();
  return {
    onDidChange: changed.event,
    config(uri) {
      const folder =
        uri === undefined ? vscode.workspace.workspaceFolders?.[0] : vscode.workspace.getWorkspaceFolder(uri);
      return folder === undefined ? noConfig : (configs.get(fileOf(folder).toString()) ?? noConfig);
    },
    dispose: () => vscode.Disposable.from(...subscriptions).dispose(),
  };
}

function fileOf(folder: vscode.WorkspaceFolder): vscode.Uri {
  return vscode.Uri.joinPath(folder.uri, 'kerf.json');
}
