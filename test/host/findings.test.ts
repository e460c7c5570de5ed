import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import * as vscode from 'vscode';
import { eventually, freshModel, isDirty, openModel, textForm } from './support/models.ts';

const target = (diagnostic: vscode.Diagnostic): vscode.Uri | undefined =>
  typeof diagnostic.code === 'object' ? diagnostic.code.target : undefined;

const fixable = (uri: vscode.Uri) =>
  vscode.languages.getDiagnostics(uri).filter((row) => target(row)?.path === 'kerf.applyFix');

describe('findings', () => {
  it('stand on the model file, and the link of a row runs its fix', async () => {
    const uri = await freshModel();
    await openModel(uri);
    const before = await textForm(uri);
    const unfolded = () =>
      fixable(uri).find(({ code }) => typeof code === 'object' && code.value === 'batch-norm-not-folded');
    const row = await eventually('the unfolded batch normalizations are found', unfolded);
    assert.equal(row.source, 'kerf');
    const link = target(row);
    assert.ok(link);
    const args: unknown = JSON.parse(decodeURIComponent(link.query));
    assert.ok(Array.isArray(args));
    await vscode.commands.executeCommand('kerf.applyFix', ...args);
    await eventually('the fix changed the model', () => isDirty(uri));
    await eventually('the text follows', async () => (await textForm(uri)) !== before);
    await eventually('the finding is gone', () => unfolded() === undefined);
    assert.ok(!/= BatchNormalization/.test(await textForm(uri)));
  });

  it('follow the budget of the workspace', async () => {
    const uri = await freshModel();
    const { size } = await stat(uri.fsPath);
    const settings = vscode.workspace.getConfiguration('kerf');
    await openModel(uri);
    const overBudget = () =>
      vscode.languages.getDiagnostics(uri).some(({ message }) => /budget/i.test(message));
    try {
      await settings.update('budget.fileBytes', Math.floor(size / 2), vscode.ConfigurationTarget.Workspace);
      await eventually('a broken budget is found', overBudget);
    } finally {
      await settings.update('budget.fileBytes', undefined, vscode.ConfigurationTarget.Workspace);
    }
    await eventually('no budget, no finding', () => !overBudget());
  });

  it('go with the editor that showed the model', async () => {
    const uri = await freshModel();
    await openModel(uri);
    await vscode.commands.executeCommand('workbench.action.closeActiveEditor');
    await eventually('no rows', () => vscode.languages.getDiagnostics(uri).length === 0);
  });
});
