import { basename, dirname } from 'node:path';
import * as vscode from 'vscode';
import { KerfError } from '../ir/errors.ts';
import type { ModelDocument } from './document/document.ts';
import type { Settings } from './settings.ts';
import { byLikeness } from './support/fileNames.ts';

/** Which dataset a document uses; null is the person's choice of seeded random inputs. */
interface DataItem extends vscode.QuickPickItem {
  readonly action: 'none' | 'file' | 'browse';
  readonly path?: string;
}

/** Choices of "no dataset" last for the session; a chosen file is remembered for the workspace. */
const declined = new Set<string>();

/** The document's dataset; asks when none was chosen yet. A dismissed question is `cancelled`. */
export async function datasetFor(settings: Settings, document: ModelDocument): Promise<string | null> {
  const known = settings.data(document.uri);
  if (known !== null || declined.has(document.uri.toString())) return known;
  return askForDataset(settings, document);
}

/** Asks for a dataset and keeps the answer. */
export async function askForDataset(
  settings: Settings,
  document: ModelDocument,
  { allowNone = true }: { allowNone?: boolean } = {},
): Promise<string | null> {
  const path = await pickDataset(document.fileName, settings.data(document.uri), allowNone);
  if (path === null) declined.add(document.uri.toString());
  await settings.setData(document.uri, path);
  return path;
}

async function pickDataset(
  model: string,
  current: string | null,
  allowNone: boolean,
): Promise<string | null> {
  const none: DataItem = {
    action: 'none',
    label: vscode.l10n.t('No data'),
    description: vscode.l10n.t('seeded random inputs; every number says so'),
  };
  const browse: DataItem = { action: 'browse', label: vscode.l10n.t('Browse…') };
  const likely = byLikeness(await findDatasets(), model, (uri) => basename(uri.path));
  const found = likely.map(
    (uri): DataItem => ({
      action: 'file',
      path: uri.fsPath,
      label: basename(uri.fsPath),
      description: dirname(vscode.workspace.asRelativePath(uri)).replace(/^\.$/, ''),
      picked: uri.fsPath === current,
    }),
  );
  const items = [...found, ...(allowNone ? [none] : []), browse];
  const title = vscode.l10n.t('Dataset for {0}', model);
  const placeHolder = vscode.l10n.t('Samples that calibrate and evaluate the model');
  const picked = await vscode.window.showQuickPick(items, { title, placeHolder });
  if (picked === undefined) throw new KerfError('cancelled', 'no dataset was chosen');
  if (picked.action === 'browse') return browseForDataset();
  return picked.path ?? null;
}

/** `.npz` files, and JSON files that are datasets (a `source` at the top). */
async function findDatasets(): Promise<readonly vscode.Uri[]> {
  const exclude = '**/{node_modules,.git,dist}/**';
  const arrays = await vscode.workspace.findFiles('**/*.npz', exclude, 100);
  const texts = await vscode.workspace.findFiles('**/*.json', exclude, 200);
  const datasets = await Promise.all(texts.map(async (uri) => ((await isDataset(uri)) ? [uri] : [])));
  return [...arrays, ...datasets.flat()];
}

const largestDatasetFile = 65_536;

async function isDataset(uri: vscode.Uri): Promise<boolean> {
  const { size } = await vscode.workspace.fs.stat(uri);
  if (size > largestDatasetFile) return false;
  const text = new TextDecoder().decode(await vscode.workspace.fs.readFile(uri));
  return /^\s*\{/.test(text) && /"source"\s*:\s*"/.test(text);
}

async function browseForDataset(): Promise<string> {
  const [uri] =
    (await vscode.window.showOpenDialog({
      title: vscode.l10n.t('Dataset'),
      filters: { [vscode.l10n.t('Datasets')]: ['json', 'npz'] },
    })) ?? [];
  if (uri === undefined) throw new KerfError('cancelled', 'no dataset was chosen');
  return uri.fsPath;
}
