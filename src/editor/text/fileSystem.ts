import * as vscode from 'vscode';
import { textScheme } from '../contributions.ts';
import { describe } from '../support/errorText.ts';
import type { TextForms } from './forms.ts';

/**
 * Serves text forms as files. They count as writable, because VS Code shows no light bulb in a read-only editor; what is
 * typed does not stay: the text says what the model is, and passes change the model.
 */
export function registerTextFileSystem(texts: TextForms): vscode.Disposable {
  const changed = new vscode.EventEmitter<vscode.FileChangeEvent[]>();
  const printedAt = new Map<string, number>();
  const touch = (uri: vscode.Uri): void => {
    // Times must grow for VS Code to read again, even within one millisecond.
    const former = printedAt.get(uri.toString()) ?? 0;
    printedAt.set(uri.toString(), Math.max(Date.now(), former + 1));
    changed.fire([{ type: vscode.FileChangeType.Changed, uri }]);
  };
  const read = async (uri: vscode.Uri): Promise<Uint8Array> => {
    try {
      return new TextEncoder().encode((await texts.read(uri)).index.form.text);
    } catch (error) {
      throw vscode.FileSystemError.Unavailable(describe(error));
    }
  };
  const refuse = (): never => {
    throw vscode.FileSystemError.NoPermissions('text forms are made from models');
  };
  const provider: vscode.FileSystemProvider = {
    onDidChangeFile: changed.event,
    watch: () => new vscode.Disposable(() => undefined),
    async stat(uri) {
      const { length } = await read(uri);
      return {
        type: vscode.FileType.File,
        ctime: 0,
        mtime: printedAt.get(uri.toString()) ?? 0,
        size: length,
      };
    },
    readFile: read,
    // Saved text goes nowhere; after the save the file counts as changed, and the model's text is read again.
    writeFile: () => undefined,
    readDirectory: () => [],
    createDirectory: refuse,
    delete: refuse,
    rename: refuse,
  };
  return vscode.Disposable.from(
    changed,
    texts.onDidOutdate(touch),
    vscode.workspace.registerFileSystemProvider(textScheme, provider, { isCaseSensitive: true }),
    vscode.workspace.onDidSaveTextDocument(({ uri }) => uri.scheme === textScheme && touch(uri)),
    // Becoming dirty is an event of its own, without content changes.
    vscode.workspace.onDidChangeTextDocument(({ document }) => {
      if (document.uri.scheme === textScheme && document.isDirty) snapBack(document);
    }),
  );
}

function snapBack(text: vscode.TextDocument): void {
  vscode.window.setStatusBarMessage(
    vscode.l10n.t('The text form follows the model: change it by passes and fixes.'),
    4000,
  );
  text.save().then(undefined, () => undefined);
}
