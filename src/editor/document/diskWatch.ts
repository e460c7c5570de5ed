import { basename, dirname } from 'node:path';
import * as vscode from 'vscode';
import { viewType } from '../contributions.ts';
import type { ModelDocument } from './document.ts';
import { describe } from '../support/errorText.ts';
import type { Log } from '../support/log.ts';

/** Follows changes another program makes to the file: a clean document reloads, a changed one asks. */
export function watchDisk(document: ModelDocument, log: Log): vscode.Disposable {
  if (!document.isLocal) return new vscode.Disposable(() => undefined);
  const folder = vscode.Uri.file(dirname(document.path));
  // File names may hold characters that mean something in a glob.
  const name = basename(document.path).replaceAll(/[[\]{}*?]/g, '?');
  const watcher = vscode.workspace.createFileSystemWatcher(new vscode.RelativePattern(folder, name));
  let asking = false;
  const look = async (): Promise<void> => {
    if (asking || !document.changedOnDisk()) return;
    if (!document.dirty) return document.reloadFromDisk();
    asking = true;
    await askToReload(document).finally(() => {
      asking = false;
    });
  };
  const onChange = (): void => {
    look().catch((error: unknown) => log.warn(`${document.fileName}: ${describe(error)}`));
  };
  return vscode.Disposable.from(watcher, watcher.onDidChange(onChange), watcher.onDidCreate(onChange));
}

async function askToReload(document: ModelDocument): Promise<void> {
  const reload = vscode.l10n.t('Reload');
  const keep = vscode.l10n.t('Keep My Changes');
  const message = vscode.l10n.t(
    '{0} was changed by another program, and here it has unsaved steps.',
    document.fileName,
  );
  const answer = await vscode.window.showWarningMessage(message, reload, keep);
  if (answer === keep) document.acceptDisk();
  if (answer !== reload) return;
  // Reverting through the workbench also clears its dirty mark.
  await vscode.commands.executeCommand('vscode.openWith', document.uri, viewType);
  await vscode.commands.executeCommand('workbench.action.files.revert');
}
