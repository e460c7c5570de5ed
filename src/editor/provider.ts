import { statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import * as vscode from 'vscode';
import type { CallOptions } from '../engine/protocol.ts';
import { KerfError } from '../ir/errors.ts';
import { callOptions } from './support/cancel.ts';
import { watchDisk } from './document/diskWatch.ts';
import { ModelDocument } from './document/document.ts';
import { describe } from './support/errorText.ts';
import { parseBackup } from './document/journal.ts';
import type { Log } from './support/log.ts';
import type { PageHost } from './page/host.ts';
import type { ModelStore } from './document/store.ts';
import { type UnreadableFile, unreadableFile } from './unreadable/unreadableFile.ts';

/** The custom editor for `.onnx` and `.tflite`: documents from the store, panels from the page host. */
interface ModelEditorProvider
  extends vscode.CustomEditorProvider<ModelDocument | UnreadableFile>,
    vscode.Disposable {}

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
      try {
        const document = await openDocument(store, uri, context, log);
        attach(document);
        return document;
      } catch (error) {
        log.warn(`${uri.path}: ${describe(error)}`);
        return unreadableFile(store, uri, error);
      }
    },
    resolveCustomEditor(document, panel) {
      if (document instanceof ModelDocument) pages.resolve(document, panel);
      else document.show(panel);
    },
    async saveCustomDocument(document, token) {
      const model = modelOf(document);
      await confirmOverwrite(model);
      await asSave(token, (options) => model.save(options));
    },
    async saveCustomDocumentAs(document, destination, token) {
      await asSave(token, (options) => modelOf(document).saveAs(destination, options));
    },
    async revertCustomDocument(document) {
      await modelOf(document).revert();
    },
    async backupCustomDocument(document, { destination }) {
      return modelOf(document).backup(destination);
    },
    dispose: () => vscode.Disposable.from(edits, watching).dispose(),
  };
}

/** A file that is no model is never changed, so nothing of it can be written. */
function modelOf(document: ModelDocument | UnreadableFile): ModelDocument {
  if (document instanceof ModelDocument) return document;
  throw new Error(document.problem);
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
    if (context.backupId === undefined) throw error;
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
  const changed = document.changedOnDisk();
  if (!changed && !isWriteProtected(document.path)) return;
  const overwrite = vscode.l10n.t('Overwrite');
  const message = changed
    ? vscode.l10n.t('{0} was changed by another program since it was opened.', document.fileName)
    : vscode.l10n.t('{0} is write-protected.', document.fileName);
  const answer = await vscode.window.showWarningMessage(message, { modal: true }, overwrite);
  if (answer !== overwrite) throw new vscode.CancellationError();
  document.acceptDisk();
}

/** Nobody may write the file; it could be replaced all the same where its folder may be written. */
function isWriteProtected(path: string): boolean {
  const mode = statSync(path, { throwIfNoEntry: false })?.mode;
  return mode !== undefined && (mode & 0o222) === 0;
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
