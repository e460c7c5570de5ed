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
    const { size } = await stat(uri.fsPath);
    const settings = vscode.workspace.getConfiguration('kerf');
    await settings.update('budget.fileBytes', Math.floor(size / 2), vscode.ConfigurationTarget.Workspace);
    try {
      await openModel(uri);
      const before = await textForm(uri);
      const [row] = await eventually('a row with a fix', () => {
        const rows = fixable(uri);
        return rows.length > 0 ? rows : undefined;
      });
      assert.ok(row);
      assert.equal(row.source, 'kerf');
      const link = target(row);
      assert.ok(link);
      const args: unknown = JSON.parse(decodeURIComponent(link.query));
      assert.ok(Array.isArray(args));
      // With an index given no question is asked, as when the row has one fix only.
      await vscode.commands.executeCommand('kerf.applyFix', ...args, 0);
      await eventually('the fix changed the model', () => isDirty(uri));
      await eventually('the text follows', async () => (await textForm(uri)) !== before);
    } finally {
      await settings.update('budget.fileBytes', undefined, vscode.ConfigurationTarget.Workspace);
    }
  });

  it('go with the editor that showed the model', async () => {
    const uri = await freshModel();
    await openModel(uri);
    await vscode.commands.executeCommand('workbench.action.closeActiveEditor');
    await eventually('no rows', () => vscode.languages.getDiagnostics(uri).length === 0);
  });
});
