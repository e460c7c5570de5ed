import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import * as vscode from 'vscode';
import { KerfError } from '../../ir/errors.ts';
import { ModelDocument } from './document.ts';
import type { DocumentContext, Source } from './documentTypes.ts';
import { type Backup, parseBackup } from './journal.ts';

/** Bytes of a model that is not a local file (another file system, an old revision) go to a local copy. */
const copyLimit = 2 ** 31;

/**
 * The open documents, one per URI, counted by who uses them: the custom editor, the text form, a running command.
 */
export interface ModelStore extends vscode.Disposable {
  readonly onDidOpen: vscode.Event<ModelDocument>;
  readonly documents: readonly ModelDocument[];
  find(uri: vscode.Uri): ModelDocument | undefined;
  /** Every `acquire` is matched by one `release`. */
  acquire(uri: vscode.Uri, how?: OpenHow): Promise<ModelDocument>;
  release(document: ModelDocument): void;
}

export function createModelStore(context: Omit<DocumentContext, 'released'>): ModelStore {
  const opened = new vscode.EventEmitter<ModelDocument>();
  const entries = new Map<string, { document: Promise<ModelDocument>; uses: number }>();
  const ready = new Map<string, ModelDocument>();

  const open = async (uri: vscode.Uri, how: OpenHow): Promise<ModelDocument> => {
    const source = await locate(uri, context.storage, how.untitledDocumentData);
    const backup = how.backupId === undefined ? undefined : await readBackup(how.backupId);
    const released = (): void => {
      // Whoever else still looks sees the file again; when nobody does, the document simply ends.
      if ((entries.get(uri.toString())?.uses ?? 0) > 1) document.forgetEdits();
      release(document);
    };
    const document = await ModelDocument.open({ ...context, released }, source, backup);
    ready.set(uri.toString(), document);
    opened.fire(document);
    return document;
  };
  const acquire = async (uri: vscode.Uri, how: OpenHow = {}): Promise<ModelDocument> => {
    const key = uri.toString();
    const known = entries.get(key);
    const entry = known ?? { document: open(uri, how), uses: 0 };
    entries.set(key, entry);
    entry.uses++;
    try {
      const document = await entry.document;
      if (known !== undefined && how.backupId !== undefined)
        await document.restore(await readBackup(how.backupId));
      return document;
    } catch (error) {
      if (--entry.uses === 0) entries.delete(key);
      throw error;
    }
  };
  const release = (document: ModelDocument): void => {
    const key = document.uri.toString();
    const entry = entries.get(key);
    if (entry === undefined || --entry.uses > 0) return;
    entries.delete(key);
    ready.delete(key);
    document.close();
  };
  return {
    onDidOpen: opened.event,
    get documents() {
      return [...ready.values()];
    },
    find: (uri) => ready.get(uri.toString()),
    acquire,
    release,
    dispose() {
      opened.dispose();
      for (const document of ready.values()) document.close();
    },
  };
}

type OpenHow = Partial<vscode.CustomDocumentOpenContext>;

async function readBackup(id: string): Promise<Backup> {
  return parseBackup(await readFile(vscode.Uri.parse(id).fsPath, 'utf8'));
}

/** Where a model's bytes are on this machine. */
async function locate(uri: vscode.Uri, storage: string, untitled: Uint8Array | undefined): Promise<Source> {
  if (uri.scheme === 'file') return { uri, path: uri.fsPath, local: true };
  if (untitled === undefined && uri.scheme === 'untitled')
    throw new KerfError('not-found', 'a model cannot start empty: open an .onnx or .tflite file', {
      file: uri.path,
    });
  const bytes = untitled ?? (await readRemote(uri));
  const folder = join(
    storage,
    'copies',
    createHash('sha256').update(uri.toString()).digest('hex').slice(0, 16),
  );
  await mkdir(folder, { recursive: true });
  const path = join(folder, basename(uri.path));
  await writeFile(path, bytes);
  return { uri, path, local: false };
}

async function readRemote(uri: vscode.Uri): Promise<Uint8Array> {
  const { size } = await vscode.workspace.fs.stat(uri);
  if (size >= copyLimit)
    throw new KerfError('unsupported', 'models over 2 GB can only be opened from a local disk', {
      file: uri.path,
    });
  return vscode.workspace.fs.readFile(uri);
}
