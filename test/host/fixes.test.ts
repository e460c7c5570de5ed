import assert from 'node:assert/strict';
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import * as vscode from 'vscode';
import type { ApplyReport } from '../../src/engine/answers.ts';
import {
  closeEverything,
  eventually,
  freshModel,
  isDirty,
  openModel,
  textForm,
  textFormUri,
  workspaceFolder,
} from './support/models.ts';
import { documentOf, services } from './suite/support.ts';

const rows = (uri: vscode.Uri): readonly vscode.Diagnostic[] => vscode.languages.getDiagnostics(uri);
const rule = ({ code }: vscode.Diagnostic): unknown => (typeof code === 'object' ? code.value : code);
const isFold = (each: vscode.Diagnostic): boolean => rule(each) === 'batch-norm-not-folded';

/** The quick fixes on the first batch normalization of an open text form. */
async function quickFixes(uri: vscode.Uri): Promise<readonly vscode.CodeAction[]> {
  await vscode.commands.executeCommand('kerf.openText', uri);
  const line = (await textForm(uri)).split('\n').findIndex((text) => text.includes('= BatchNormalization'));
  return eventually('quick fixes', async () => {
    const actions = await vscode.commands.executeCommand<vscode.CodeAction[]>(
      'vscode.executeCodeActionProvider',
      textFormUri(uri),
      new vscode.Range(line, 4, line, 4),
      vscode.CodeActionKind.QuickFix.value,
    );
    return actions.some(({ title }) => title.includes('Fold')) ? actions : undefined;
  });
}

async function follow({ command }: vscode.CodeAction): Promise<unknown> {
  assert.ok(command);
  return vscode.commands.executeCommand(command.command, ...(command.arguments ?? []));
}

describe('fixes', () => {
  afterEach(closeEverything);

  it('say what they gain, and keep to it', async () => {
    const uri = await freshModel();
    await openModel(uri);
    const [fix] = await quickFixes(uri);
    assert.ok(fix);
    const promised = /, ([\d.]+) kB less/.exec(fix.title)?.[1];
    assert.ok(promised, fix.title);
    const report = (await follow(fix)) as ApplyReport;
    const saved = (report.before.fileBytes - report.after.fileBytes) / 1000;
    assert.ok(
      Math.abs(saved - Number(promised)) < 0.25 * saved,
      `${promised} kB promised, ${saved} kB saved`,
    );
  });

  it('are previewed as a diff, and change nothing by that', async () => {
    const uri = await freshModel();
    await openModel(uri);
    const preview = (await quickFixes(uri)).find(({ title }) => title.startsWith('Preview: Fold'));
    assert.ok(preview);
    await follow(preview);
    const tab = await eventually('the diff', () =>
      vscode.window.tabGroups.all
        .flatMap((group) => group.tabs)
        .find(
          ({ input }) => input instanceof vscode.TabInputTextDiff && input.original.path.startsWith(uri.path),
        ),
    );
    assert.ok(tab.input instanceof vscode.TabInputTextDiff);
    const after = (await vscode.workspace.openTextDocument(tab.input.modified)).getText();
    assert.doesNotMatch(after, /= BatchNormalization/);
    assert.match(await textForm(uri), /= BatchNormalization/);
    assert.ok(!isDirty(uri));
  });

  it('of one kind are applied together', async () => {
    const uri = await freshModel();
    await openModel(uri);
    await eventually('the rows', () => rows(uri).some(isFold));
    await vscode.commands.executeCommand('kerf.fixAllOfRule', uri, 'batch-norm-not-folded');
    await eventually('dirty', () => isDirty(uri));
    assert.equal(documentOf(uri).steps.length, 1);
    await eventually('no row', () => !rows(uri).some(isFold));
  });

  it('are measured afterwards without being asked', async () => {
    const uri = await freshModel();
    await openModel(uri);
    const before = services().runs.runs.length;
    const config = vscode.workspace.getConfiguration('kerf');
    const target = vscode.ConfigurationTarget.Workspace;
    await config.update('benchmark.runs', 3, target);
    try {
      const [fix] = await quickFixes(uri);
      assert.ok(fix);
      await follow(fix);
      const run = await eventually('a run', () => {
        const [newest] = services().runs.runs;
        return services().runs.runs.length > before && newest?.file === uri.fsPath ? newest : undefined;
      });
      assert.ok((run.report.against?.latencyMs.median ?? 0) > 0, 'measured in turns with the original');
      assert.deepEqual(run.steps, ['fuse']);
    } finally {
      await config.update('benchmark.runs', undefined, target);
    }
  });

  it('a finding can be suppressed for a layer and for a model, in kerf.json', async () => {
    const uri = await freshModel();
    await openModel(uri);
    const file = path.join(workspaceFolder(), 'kerf.json');
    try {
      const actions = await quickFixes(uri);
      const here = actions.find(({ title }) => /^Suppress .* for this layer$/.test(title));
      assert.ok(here);
      await follow(here);
      const text = textFormUri(uri);
      await eventually('one row less', () => rows(text).filter(isFold).length === 2);
      const everywhere = actions.find(({ title }) => /^Suppress .* in this model$/.test(title));
      assert.ok(everywhere);
      await follow(everywhere);
      await eventually('no row', () => !rows(text).some(isFold));
      const config: unknown = JSON.parse(await readFile(file, 'utf8'));
      assert.deepEqual(config, {
        suppress: [
          { rule: 'batch-norm-not-folded', model: path.basename(uri.path), layer: '/1/BatchNormalization' },
          { rule: 'batch-norm-not-folded', model: path.basename(uri.path) },
        ],
      });
    } finally {
      await rm(file, { force: true });
    }
    await eventually('the rows are back', () => rows(textFormUri(uri)).some(isFold));
  });

  it('a rule opens its page of the manual', async () => {
    await vscode.commands.executeCommand('kerf.showRule', 'delegate-cut');
    await eventually('the page', () =>
      vscode.window.tabGroups.all
        .flatMap((group) => group.tabs)
        .some(({ label }) => label.includes('The accelerator gets the model in pieces')),
    );
  });
});
