import assert from 'node:assert/strict';
import { copyFile, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import * as vscode from 'vscode';
import { KerfError } from '../../../src/ir/errors.ts';
import {
  apply,
  closeEverything,
  eventually,
  freshModel,
  isDirty,
  openModel,
  textForm,
  workspaceFolder,
} from '../support/models.ts';
import { documentOf, MemoryFiles, services, writeWithExternalData } from './support.ts';

const passes = (uri: vscode.Uri): readonly string[] => documentOf(uri).steps.map(({ pass }) => pass);

describe('a model document', () => {
  afterEach(closeEverything);

  for (const sample of ['digits.onnx', 'digits.tflite']) {
    it(`opens ${sample}, edits it and keeps the file as it is`, async () => {
      const uri = await freshModel(sample);
      const bytes = await readFile(uri.fsPath);
      await openModel(uri);
      assert.equal(documentOf(uri).format, path.extname(sample).slice(1));
      await apply(uri, 'prune-magnitude', { sparsity: 0.5 });
      await eventually('dirty', () => isDirty(uri));
      assert.deepEqual(passes(uri), ['prune-magnitude']);
      assert.deepEqual(await readFile(uri.fsPath), bytes);
    });
  }

  it('a step that changes nothing is no edit', async () => {
    const uri = await freshModel();
    await openModel(uri);
    await apply(uri, 'fuse');
    await eventually('dirty', () => isDirty(uri));
    await apply(uri, 'fuse');
    assert.deepEqual(passes(uri), ['fuse']);
  });

  it('an unsaved edit comes back from its backup, which is small', async () => {
    const uri = await freshModel();
    await openModel(uri);
    await apply(uri, 'fuse');
    const fused = await textForm(uri);
    const to = vscode.Uri.file(path.join(workspaceFolder(), '.backups', 'plain'));
    const { id } = await documentOf(uri).backup(to);
    assert.ok((await stat(to.fsPath)).size < 2000);
    await documentOf(uri).revert();
    assert.deepEqual(passes(uri), []);
    const restored = await services().store.acquire(uri, { backupId: id });
    assert.deepEqual(passes(uri), ['fuse']);
    assert.ok(restored.dirty);
    await eventually('the text follows', async () => (await textForm(uri)) === fused);
    await restored.revert();
    services().store.release(restored);
  });

  it('a backup made after a save reaches back past the save', async () => {
    const uri = await freshModel();
    await openModel(uri);
    await apply(uri, 'fuse');
    await eventually('dirty', () => isDirty(uri));
    await vscode.commands.executeCommand('workbench.action.files.save');
    await eventually('saved', () => !isDirty(uri));
    await apply(uri, 'fp16');
    const to = vscode.Uri.file(path.join(workspaceFolder(), '.backups', 'saved'));
    const { id } = await documentOf(uri).backup(to);
    await documentOf(uri).revert();
    assert.deepEqual(passes(uri), ['fuse']);
    const restored = await services().store.acquire(uri, { backupId: id });
    assert.deepEqual(passes(uri), ['fuse', 'fp16']);
    await restored.revert();
    assert.deepEqual(passes(uri), [], 'what was saved is the file itself now');
    services().store.release(restored);
  });

  it('a cancelled save leaves the file and the edit', async () => {
    const uri = await freshModel();
    const bytes = await readFile(uri.fsPath);
    await openModel(uri);
    await apply(uri, 'fuse');
    const cancelled = AbortSignal.abort();
    await assert.rejects(documentOf(uri).save({ signal: cancelled }), (error) =>
      KerfErrorLike(error, 'cancelled'),
    );
    assert.deepEqual(await readFile(uri.fsPath), bytes);
    assert.ok(documentOf(uri).dirty);
  });

  it('is written elsewhere without changing itself', async () => {
    const uri = await freshModel();
    await openModel(uri);
    await apply(uri, 'fuse');
    const copy = vscode.Uri.file(path.join(workspaceFolder(), 'copy-of.onnx'));
    await documentOf(uri).saveAs(copy);
    assert.ok(documentOf(uri).dirty);
    await openModel(copy);
    assert.equal(await textForm(copy), await textForm(uri));
  });

  it('follows another program when it is clean', async () => {
    const uri = await freshModel();
    await openModel(uri);
    await textForm(uri);
    const other = await freshModel();
    await openModel(other);
    await apply(other, 'fuse');
    const fused = await textForm(other);
    await eventually('dirty', () => isDirty(other));
    await vscode.commands.executeCommand('workbench.action.files.save');
    await eventually('saved', () => !isDirty(other));
    await copyFile(other.fsPath, uri.fsPath);
    await eventually('the replaced file is shown', async () => (await textForm(uri)) === fused);
    assert.ok(!documentOf(uri).dirty);
  });

  it('revert takes what another program wrote meanwhile', async () => {
    const uri = await freshModel();
    await openModel(uri);
    await apply(uri, 'fuse');
    await eventually('dirty', () => isDirty(uri));
    const bytes = await readFile(uri.fsPath);
    await writeFile(uri.fsPath, bytes);
    await utimes(uri.fsPath, new Date(), new Date(Date.now() + 5000));
    await documentOf(uri).revert();
    assert.ok(!documentOf(uri).dirty);
    assert.deepEqual(passes(uri), []);
  });

  it('undo survives a file that another program replaced, because the original was kept', async () => {
    const uri = await freshModel();
    await openModel(uri);
    const original = await textForm(uri);
    await apply(uri, 'fuse');
    await eventually('dirty', () => isDirty(uri));
    await vscode.commands.executeCommand('workbench.action.files.save');
    await eventually('saved', () => !isDirty(uri));
    await vscode.commands.executeCommand('undo');
    await eventually('the original', async () => (await textForm(uri)) === original);
    assert.deepEqual(passes(uri), []);
  });

  it('with external data: saves, undoes past the save, and leaves no file behind', async () => {
    const uri = vscode.Uri.file(path.join(workspaceFolder(), 'outside.onnx'));
    await writeWithExternalData(path.join(workspaceFolder(), 'digits.onnx'), uri.fsPath, 'outside.data');
    const files = (): Promise<string[]> => readdir(workspaceFolder());
    await openModel(uri);
    await apply(uri, 'fuse');
    await eventually('dirty', () => isDirty(uri));
    assert.ok((await files()).some((name) => name.endsWith('.kerf-original')));
    await vscode.commands.executeCommand('workbench.action.files.save');
    await eventually('saved', () => !isDirty(uri));
    // Reads every weight, those of the saved model and those of the original.
    await apply(uri, 'prune-magnitude', { sparsity: 0.5 });
    await documentOf(uri).revert();
    await eventually('clean', () => !isDirty(uri));
    await vscode.commands.executeCommand('undo');
    await eventually('the original', () => passes(uri).length === 0);
    await apply(uri, 'prune-magnitude', { sparsity: 0.5 });
    assert.deepEqual(passes(uri), ['prune-magnitude']);
    await vscode.commands.executeCommand('workbench.action.revertAndCloseActiveEditor');
    await eventually(
      'no file behind',
      async () => !(await files()).some((name) => name.endsWith('.kerf-original')),
    );
  });

  it('lives on another file system too', async () => {
    const files = new MemoryFiles();
    const registration = vscode.workspace.registerFileSystemProvider('kerf-test', files);
    const uri = vscode.Uri.parse('kerf-test:/far/away.onnx');
    const bytes = await readFile(path.join(workspaceFolder(), 'digits.onnx'));
    await files.writeFile(uri, bytes);
    await openModel(uri);
    await apply(uri, 'fuse');
    await eventually('dirty', () => isDirty(uri));
    await vscode.commands.executeCommand('workbench.action.files.save');
    await eventually('saved', () => !isDirty(uri));
    assert.notDeepEqual(Buffer.from(await files.readFile(uri)), bytes);
    await vscode.commands.executeCommand('undo');
    await eventually('undone past the save', () => isDirty(uri));
    await vscode.commands.executeCommand('workbench.action.files.save');
    await eventually('saved again', () => !isDirty(uri));
    assert.deepEqual(Buffer.from(await files.readFile(uri)), bytes);
    await closeEverything();
    registration.dispose();
  });
});

/** The extension's own copy of the class throws; its instances are told by their reason. */
function KerfErrorLike(error: unknown, reason: string): boolean {
  if (KerfError.is(error)) return error.reason === reason;
  return error instanceof Error && 'reason' in error && error.reason === reason;
}
