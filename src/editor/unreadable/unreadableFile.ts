import { basename, dirname } from 'node:path';
import * as vscode from 'vscode';
import { viewType } from '../contributions.ts';
import type { ModelStore } from '../document/store.ts';
import { describe } from '../support/errorText.ts';
import { unreadableHtml } from './unreadableHtml.ts';

/**
 * A file that cannot be opened as a model. It has an editor like any other, which says what is wrong: an error instead
 * would be a dialog for every click on the file, and an empty tab behind it.
 */
export interface UnreadableFile extends vscode.CustomDocument {
  readonly problem: string;
  /** Shows the problem, and the model as soon as there is one. */
  show(panel: vscode.WebviewPanel): void;
}

type Asked = 'again' | 'other';

export function unreadableFile(store: ModelStore, uri: vscode.Uri, error: unknown): UnreadableFile {
  const panels = new Set<vscode.WebviewPanel>();
  let problem = problemOf(error, uri);
  const draw = (): void => {
    for (const { webview } of panels)
      webview.html = unreadableHtml({ file: basename(uri.path), problem, language: vscode.env.language });
  };
  let looking = false;
  const look = async (): Promise<void> => {
    if (looking) return;
    looking = true;
    try {
      // The editor that is opened next finds it open already.
      const document = await store.acquire(uri);
      await openInstead(uri, panels).finally(() => store.release(document));
    } catch (failure) {
      problem = problemOf(failure, uri);
      draw();
    } finally {
      looking = false;
    }
  };
  const watching = watchFile(uri, () => void look());
  return {
    uri,
    get problem() {
      return problem;
    },
    show(panel) {
      panels.add(panel);
      panel.webview.options = { enableScripts: true, localResourceRoots: [] };
      const messages = panel.webview.onDidReceiveMessage((asked: Asked) => {
        if (asked === 'again') return look();
        return vscode.commands.executeCommand('workbench.action.reopenWithEditor');
      });
      panel.onDidDispose(() => {
        panels.delete(panel);
        messages.dispose();
      });
      draw();
    },
    dispose: () => watching.dispose(),
  };
}

/** A panel keeps its document for life: the model gets another one in the same place. */
async function openInstead(uri: vscode.Uri, panels: ReadonlySet<vscode.WebviewPanel>): Promise<void> {
  const places = [...panels].map(({ viewColumn, active }) => ({ viewColumn, active }));
  for (const panel of panels) panel.dispose();
  for (const { viewColumn, active } of places) {
    const where = { preview: false, preserveFocus: !active, ...(viewColumn !== undefined && { viewColumn }) };
    await vscode.commands.executeCommand('vscode.openWith', uri, viewType, where);
  }
}

/** The reason without the path: the tab has it. */
function problemOf(error: unknown, uri: vscode.Uri): string {
  const words = describe(error);
  return words.startsWith(`${uri.fsPath}: `) ? words.slice(uri.fsPath.length + 2) : words;
}

function watchFile(uri: vscode.Uri, onChange: () => void): vscode.Disposable {
  if (uri.scheme !== 'file') return new vscode.Disposable(() => undefined);
  const name = basename(uri.fsPath).replaceAll(/[[\]{}*?]/g, '?');
  const pattern = new vscode.RelativePattern(vscode.Uri.file(dirname(uri.fsPath)), name);
  const watcher = vscode.workspace.createFileSystemWatcher(pattern);
  return vscode.Disposable.from(watcher, watcher.onDidChange(onChange), watcher.onDidCreate(onChange));
}
