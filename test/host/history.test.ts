import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import * as vscode from 'vscode';
import { apply, eventually, freshModel, isDirty, openModel, textForm } from './support/models.ts';

const saysWithin = (uri: vscode.Uri, expected: string, what: string) =>
  eventually(what, async () => (await textForm(uri)) === expected);

describe('history of a document', () => {
  it('goes back and forth through edits, and knows when it is at the saved state', async () => {
    const uri = await freshModel();
    await openModel(uri);
    const original = await textForm(uri);
    await apply(uri, 'fuse');
    await eventually('the edit makes the tab dirty', () => isDirty(uri));
    const fused = await eventually('the text follows the edit', async () => {
      const text = await textForm(uri);
      return text === original ? undefined : text;
    });
    await vscode.commands.executeCommand('undo');
    await saysWithin(uri, original, 'undo');
    await eventually('undo makes the tab clean', () => !isDirty(uri));
    await vscode.commands.executeCommand('redo');
    await saysWithin(uri, fused, 'redo');
    assert.ok(isDirty(uri));
  });

  it('leaves the file alone until it is saved, and undoes past the save', async () => {
    const uri = await freshModel();
    const bytes = await readFile(uri.fsPath);
    await openModel(uri);
    const original = await textForm(uri);
    await apply(uri, 'fuse');
    await eventually('dirty', () => isDirty(uri));
    assert.deepEqual(await readFile(uri.fsPath), bytes);
    await vscode.commands.executeCommand('workbench.action.files.save');
    await eventually('clean after the save', () => !isDirty(uri));
    const saved = await readFile(uri.fsPath);
    assert.notDeepEqual(saved, bytes);
    await vscode.commands.executeCommand('undo');
    await saysWithin(uri, original, 'undo past the save');
    await eventually('dirty past the save', () => isDirty(uri));
    await vscode.commands.executeCommand('workbench.action.files.save');
    await eventually('clean again', () => !isDirty(uri));
    assert.deepEqual(await readFile(uri.fsPath), bytes, 'the original comes back byte for byte');
  });

  it('survives undo, revert, undo: VS Code then undoes the same edit twice', async () => {
    const uri = await freshModel();
    await openModel(uri);
    await apply(uri, 'fuse');
    const fused = await textForm(uri);
    await apply(uri, 'fp16');
    const halved = await eventually('both edits', async () => {
      const text = await textForm(uri);
      return text === fused ? undefined : text;
    });
    await vscode.commands.executeCommand('workbench.action.files.save');
    await eventually('saved', () => !isDirty(uri));
    await vscode.commands.executeCommand('undo');
    await saysWithin(uri, fused, 'undo of the second edit');
    await vscode.commands.executeCommand('workbench.action.files.revert');
    await saysWithin(uri, halved, 'revert goes to what the file holds');
    await eventually('clean after revert', () => !isDirty(uri));
    await vscode.commands.executeCommand('undo');
    await saysWithin(uri, fused, 'undo after revert undoes the second edit, not the first');
    await vscode.commands.executeCommand('redo');
    await saysWithin(uri, halved, 'redo after that');
  });

  it('reverts to the file without touching it', async () => {
    const uri = await freshModel();
    await openModel(uri);
    const original = await textForm(uri);
    const before = await stat(uri.fsPath);
    await apply(uri, 'fuse');
    await eventually('dirty', () => isDirty(uri));
    await vscode.commands.executeCommand('workbench.action.files.revert');
    await eventually('clean', () => !isDirty(uri));
    await saysWithin(uri, original, 'revert');
    assert.equal((await stat(uri.fsPath)).mtimeMs, before.mtimeMs);
  });
});
