import { readFile, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import * as vscode from 'vscode';
import { KerfError } from '../../ir/errors.ts';
import type { ModelDocument } from '../document/document.ts';
import type { PageHandlers } from './protocol.ts';

/** Larger files are no values per layer. */
const largestOverlay = 64 * 1024 * 1024;

/** Files the page has written or read: it has no file system of its own, and the person chooses each of them. */
export function pageFiles(
  document: ModelDocument,
): Pick<PageHandlers, 'exportTensor' | 'exportAs' | 'saveFile' | 'pickOverlay'> {
  const askWhere = (name: string): Promise<string | undefined> =>
    savePath(join(dirname(document.path), name.replaceAll(/[\\/:*?"<>|]+/g, '_')));
  return {
    async exportTensor({ name, ...constant }, { signal }) {
      const path = await askWhere(`${name}.npy`);
      if (path === undefined) return null;
      const { bytes } = await document.ask('exportTensor', { ...constant, path }, { signal });
      return { file: basename(path), bytes };
    },
    async exportAs({ to, name }, { signal }) {
      const path = await askWhere(name);
      if (path === undefined) return null;
      const { bytes } = await document.ask('export', { to, path }, { signal });
      return { file: basename(path), bytes };
    },
    async saveFile({ name, content }) {
      const path = await askWhere(name);
      if (path === undefined) return null;
      await writeFile(path, content);
      return { file: basename(path) };
    },
    pickOverlay: async () => pickValues(),
  };
}

/** Asks where a file goes; `undefined` when the question is dismissed. */
export async function savePath(proposed: string): Promise<string | undefined> {
  const extension = extname(proposed).slice(1);
  const filters = extension === '' ? {} : { [extension.toUpperCase()]: [extension] };
  const defaultUri = vscode.Uri.file(proposed);
  return (await vscode.window.showSaveDialog({ defaultUri, filters }))?.fsPath;
}

/** A file with values per layer; asks for it when none is given, `null` when the question is dismissed. */
export async function pickValues(given?: vscode.Uri): Promise<{ name: string; text: string } | null> {
  const title = vscode.l10n.t('Values per layer');
  const filters = { JSON: ['json'] };
  const [asked] = given === undefined ? ((await vscode.window.showOpenDialog({ title, filters })) ?? []) : [];
  const chosen = given ?? asked;
  if (chosen === undefined) return null;
  const { size } = await stat(chosen.fsPath);
  if (size > largestOverlay)
    throw new KerfError('bad-option', 'the file is too large for values per layer', { file: chosen.fsPath });
  return { name: basename(chosen.fsPath), text: await readFile(chosen.fsPath, 'utf8') };
}
