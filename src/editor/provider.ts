import { readFile } from 'node:fs/promises';
import * as vscode from 'vscode';
import type { CallOptions } from '../engine/protocol.ts';
import { KerfError } from '../ir/errors.ts';
import { callOptions } from './support/cancel.ts';
import { watchDisk } from './document/diskWatch.ts';
import type { ModelDocument } from './document/document.ts';
import { describe } from './support/errorText.ts';
import { parseBackup } from './document/journal.ts';
import type { Log } from './support/log.ts';
import type { PageHost } from './page/host.ts';
import type { ModelStore } from './document/store.ts';

/** The custom editor for `.onnx` and `.tflite`: documents from the store, panels from the page host. */
export interface ModelEditorProvider extends vscode.CustomEditorProvider<ModelDocument>, vscode.Disposable {}

export function createProvider(store: ModelStore, pages: PageHost, log: Log): ModelEditorProvider {
  const edits = new vscode.EventEmitter<vscode.CustomDocumentEditEvent<ModelDocument>>();
  const attached = new WeakSet<ModelDocument>();
  const attach = (document: ModelDocument): void => {
    if (attached.has(document)) return;
    attached.add(document);
    const forward = document.onDidEdit((edit) => edits.fire({ document, ...edit }));
    document.onDidDispose(() => forward.dispose());
  };
  // Whoever opened a document, the text form included, sees what another program writes.
  const watching = store.onDidOpen((document) => {
    const watch = watchDisk(document, log);
    document.onDidDispose(() => watch.dispose());
  });
  return {
    onDidChangeCustomDocument: edits.event,
    async openCustomDocument(uri, context) {
      const document = await openDocument(store, uri, context, log);
      attach(document);
      return document;
    },
    resolveCustomEditor: (document, panel) => pages.resolve(document, panel),
    async saveCustomDocument(document, token) {
      await confirmOverwrite(document);
      await asSave(token, (options) => document.save(options));
    },
    saveCustomDocumentAs: (document, destination, token) =>
      asSave(token, (options) => document.saveAs(destination, options)),
    revertCustomDocument: (document) => document.revert(),
    backupCustomDocument: (document, { destination }) => document.backup(destination),
    dispose: () => vscode.Disposable.from(edits, watching).dispose(),
  };
}

/** A backup that cannot be replayed must not keep the file from opening; its steps are offered as a recipe. */
async function openDocument(
  store: ModelStore,
  uri: vscode.Uri,
  context: vscode.CustomDocumentOpenContext,
  log: Log,
): Promise<ModelDocument> {
  try {
    return await store.acquire(uri, context);
  } catch (error) {
    if (context.backupId === undefined) throw new Error(describe(error), { cause: error });
    log.warn(`unsaved steps of ${uri.path} could not be restored: ${describe(error)}`);
    offerLostSteps(context.backupId, describe(error)).catch((failure: unknown) =>
      log.error(`the backup could not be read: ${describe(failure)}`),
    );
    return store.acquire(uri);
  }
}

/** The steps are not lost with the file they stood on: they open as JSON, to be kept or applied elsewhere. */
async function offerLostSteps(backupId: string, reason: string): Promise<void> {
  const { steps } = parseBackup(await readFile(vscode.Uri.parse(backupId).fsPath, 'utf8'));
  const show = vscode.l10n.t('Show Steps');
  const message = vscode.l10n.t('Unsaved steps could not be restored: {0}', reason);
  if ((await vscode.window.showWarningMessage(message, show)) !== show) return;
  const content = JSON.stringify({ steps }, null, 2);
  const text = await vscode.workspace.openTextDocument({ language: 'json', content });
  await vscode.window.showTextDocument(text);
}

async function confirmOverwrite(document: ModelDocument): Promise<void> {
  if (!document.changedOnDisk()) return;
  const overwrite = vscode.l10n.t('Overwrite');
  const message = vscode.l10n.t('{0} was changed by another program since it was opened.', document.fileName);
  const answer = await vscode.window.showWarningMessage(message, { modal: true }, overwrite);
  if (answer !== overwrite) throw new vscode.CancellationError();
  document.acceptDisk();
}

/** VS Code keeps the document dirty when a save throws `CancellationError`, without an error message. */
async function asSave(
  token: vscode.CancellationToken,
  save: (options: CallOptions) => Promise<void>,
): Promise<void> {
  try {
    await save(callOptions(token));
  } catch (error) {
    if (KerfError.is(error, 'cancelled') || token.isCancellationRequested)
      throw new vscode.CancellationError();
    throw new Error(describe(error), { cause: error });
  }
}
