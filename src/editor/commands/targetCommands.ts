import * as vscode from 'vscode';
import { KerfError } from '../../ir/errors.ts';
import type { Budget } from '../../rules/rule.ts';
import type { CommandParts, CommandTable } from './command.ts';
import { askForDataset } from '../dataset.ts';
import { pick, pickDevice } from './quickForms.ts';
import { parseQuantity } from '../support/quantity.ts';
import { budgetKeys } from '../settings.ts';
import { activeModelUri, openEditor, targetUri, uriOf, withDocument } from '../targets.ts';

type TargetCommand =
  | 'kerf.openText'
  | 'kerf.copyOnnxText'
  | 'kerf.selectDevice'
  | 'kerf.useDevice'
  | 'kerf.setBudget'
  | 'kerf.selectDataset'
  | 'kerf.showRule'
  | 'kerf.openSample'
  | 'kerf.showLog'
  | 'kerf.revealLayer';

/** Commands that choose a target or show something; none of them changes a model. */
export function targetCommands(parts: CommandParts): Pick<CommandTable, TargetCommand> {
  const { services, texts, reports } = parts;
  const { store, settings, catalog, selection, log } = services;
  return {
    'kerf.openText': async (argument, layer) =>
      withDocument(store, await targetUri(argument), (document) =>
        texts.show(document, typeof layer === 'string' ? layer : undefined),
      ),
    'kerf.copyOnnxText': async (argument, chosen) =>
      withDocument(store, await targetUri(argument), async (document) => {
        const layers = Array.isArray(chosen)
          ? chosen.filter((id) => typeof id === 'string')
          : selectedLayers(parts);
        const { text } = await document.ask('onnxText', layers.length === 0 ? {} : { layers });
        await vscode.env.clipboard.writeText(text);
        return text;
      }),
    'kerf.selectDevice': async (argument) => {
      const uri = uriOf(argument) ?? activeModelUri();
      const format = uri === undefined ? undefined : store.find(uri)?.format;
      const title = vscode.l10n.t('Target Device');
      const how = { current: settings.device(uri), title, ...(format === undefined ? {} : { format }) };
      const device = await pickDevice(await catalog.devices(), how);
      await settings.setDevice(device.id);
      return device.id;
    },
    'kerf.useDevice': async (argument) => {
      const id = typeof argument === 'string' ? argument : deviceOfItem(argument);
      await settings.setDevice(id);
    },
    'kerf.setBudget': () => setBudget(parts),
    'kerf.selectDataset': async (argument, path) =>
      withDocument(store, await targetUri(argument), async (document) => {
        if (typeof path !== 'string') return askForDataset(settings, document);
        await settings.setData(document.uri, path);
        return path;
      }),
    'kerf.showRule': async (argument) => {
      const rules = await catalog.rules();
      const id = typeof argument === 'string' ? argument : undefined;
      const rule =
        rules.find((each) => each.id === id) ??
        (
          await pick(
            rules.map((each) => ({ label: each.title, description: each.id, rule: each })),
            { title: vscode.l10n.t('Rule') },
          )
        ).rule;
      await reports.show(
        rule.title,
        `# ${rule.title}\n\n\`${rule.id}\`, ${rule.severity}\n\n${rule.manual}\n`,
      );
    },
    'kerf.openSample': () => openSample(parts),
    'kerf.showLog': async () => log.show(),
    'kerf.revealLayer': async (argument, layer) => {
      const document = await openEditor(store, await targetUri(argument));
      if (typeof layer === 'string') selection.select({ document, layer, from: undefined });
    },
  };
}

/** The layers whose lines are selected in the active text form; none when the selection is empty. */
function selectedLayers({ texts }: CommandParts): readonly string[] {
  const editor = vscode.window.activeTextEditor;
  const shown = editor === undefined ? undefined : texts.shown(editor.document.uri);
  if (editor === undefined || shown === undefined || editor.selection.isEmpty) return [];
  const layers: string[] = [];
  for (let { line } = editor.selection.start; line <= editor.selection.end.line; line++) {
    const layer = shown.index.layerAt(line);
    if (layer !== undefined) layers.push(layer);
  }
  return layers;
}

function deviceOfItem(item: unknown): string {
  const id = typeof item === 'object' && item !== null && 'device' in item ? item.device : undefined;
  if (typeof id !== 'string') throw new KerfError('bad-option', 'no device was given');
  return id;
}

const limits: Readonly<Record<keyof Budget, { title: () => string; unit: string }>> = {
  fileBytes: { title: () => vscode.l10n.t('Model file'), unit: 'bytes' },
  flashBytes: { title: () => vscode.l10n.t('Flash'), unit: 'bytes' },
  ramBytes: { title: () => vscode.l10n.t('RAM'), unit: 'bytes' },
  macs: { title: () => vscode.l10n.t('Multiply-accumulates'), unit: 'MACs' },
  latencyMs: { title: () => vscode.l10n.t('Latency'), unit: 'ms' },
  accuracyDrop: { title: () => vscode.l10n.t('Accuracy drop'), unit: 'percentage points' },
};

async function setBudget({ services: { settings } }: CommandParts): Promise<void> {
  const uri = activeModelUri();
  const budget = settings.budget(uri);
  const items = budgetKeys.map((key) => ({
    label: limits[key].title(),
    description:
      budget[key] === undefined ? vscode.l10n.t('no limit') : `${String(budget[key])} ${limits[key].unit}`,
    key,
  }));
  const { key, label } = await pick(items, { title: vscode.l10n.t('Budget') });
  const text = await vscode.window.showInputBox({
    title: label,
    prompt: vscode.l10n.t('Limit in {0}, for example 500k or 1.5M; empty removes it', limits[key].unit),
    value: budget[key] === undefined ? '' : String(budget[key]),
    validateInput: (input) =>
      input.trim() === '' || parseQuantity(input) !== undefined
        ? undefined
        : vscode.l10n.t('a number is needed'),
  });
  if (text === undefined) throw new KerfError('cancelled', 'dismissed');
  await settings.setBudget(uri, key, parseQuantity(text));
}

/** The extension's own folder is read-only in spirit: the sample is copied to where the person works. */
async function openSample({ services: { extensionUri, store } }: CommandParts): Promise<string> {
  const sample = vscode.Uri.joinPath(extensionUri, 'samples', 'digits.onnx');
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
  if (folder?.scheme !== 'file') {
    await openEditor(store, sample);
    return sample.fsPath;
  }
  for (const name of sampleFiles) {
    const to = vscode.Uri.joinPath(folder, name);
    // What the person already has under these names stays.
    if (!(await isFree(to))) continue;
    // Its content alone: an installed file may be write-protected.
    const content = await vscode.workspace.fs.readFile(vscode.Uri.joinPath(extensionUri, 'samples', name));
    await vscode.workspace.fs.writeFile(to, content);
  }
  const copy = vscode.Uri.joinPath(folder, 'digits.onnx');
  await openEditor(store, copy);
  return copy.fsPath;
}

/** The model, what calibrates it and what tests it. */
const sampleFiles = ['digits.onnx', 'digits-calibration.npz', 'digits-test.npz'] as const;

function isFree(uri: vscode.Uri): Promise<boolean> {
  return Promise.resolve(vscode.workspace.fs.stat(uri)).then(
    () => false,
    () => true,
  );
}
