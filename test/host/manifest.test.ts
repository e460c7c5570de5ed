import assert from 'node:assert/strict';
import * as vscode from 'vscode';

describe('the extension', () => {
  it('activates and registers every command of its manifest', async () => {
    const extension = vscode.extensions.getExtension('kerf.kerf');
    assert.ok(extension);
    await extension.activate();
    const manifest: { contributes: { commands: readonly { command: string }[] } } = extension.packageJSON;
    const registered = new Set(await vscode.commands.getCommands(true));
    const missing = manifest.contributes.commands
      .map((entry) => entry.command)
      .filter((id) => !registered.has(id));
    assert.deepEqual(missing, []);
  });
});
