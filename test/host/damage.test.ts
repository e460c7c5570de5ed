import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import * as vscode from 'vscode';
import {
  apply,
  eventually,
  freshModel,
  isDirty,
  openModel,
  textForm,
  workspaceFolder,
} from './support/models.ts';

/** Child processes of this extension host that run `script`. Linux only; elsewhere there is no answer. */
function childrenRunning(script: string): number[] {
  const list = execFileSync('ps', ['-eo', 'pid=,ppid=,args='], { encoding: 'utf8' });
  return list
    .split('\n')
    .map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line))
    .filter((match) => match !== null && Number(match[2]) === process.pid && match[3]?.includes(script))
    .map((match) => Number(match?.[1]));
}

describe('damage', () => {
  for (const [what, bytes] of [
    ['an empty file', new Uint8Array(0)],
    ['random bytes', Uint8Array.from({ length: 4096 }, (_, i) => (i * 7919 + 13) & 255)],
  ] as const) {
    it(`${what} does not keep the next model from opening`, async () => {
      const uri = vscode.Uri.file(path.join(workspaceFolder(), `${what.replaceAll(' ', '-')}.onnx`));
      await writeFile(uri.fsPath, bytes);
      await vscode.commands
        .executeCommand('vscode.openWith', uri, 'kerf.model')
        .then(undefined, () => undefined);
      const good = await freshModel();
      await openModel(good);
      assert.match(await textForm(good), /Conv/);
    });
  }

  it('a truncated model opens as far as it can be read, and says so', async () => {
    const uri = await freshModel();
    const bytes = await readFile(uri.fsPath);
    await writeFile(uri.fsPath, bytes.subarray(0, Math.floor(bytes.length * 0.9)));
    await openModel(uri);
    await eventually('a finding names the damage', () => vscode.languages.getDiagnostics(uri).length > 0);
  });

  it('a killed engine comes back with the unsaved edits', async function () {
    if (process.platform !== 'linux') {
      this.skip();
    }
    const uri = await freshModel();
    await openModel(uri);
    await apply(uri, 'fuse');
    const fused = await textForm(uri);
    const [engine] = childrenRunning('engine.cjs');
    assert.ok(engine, 'the engine is a child of the extension host');
    process.kill(engine, 'SIGKILL');
    await eventually('another engine runs', () => {
      const [pid] = childrenRunning('engine.cjs');
      return pid !== undefined && pid !== engine;
    });
    assert.ok(isDirty(uri));
    await apply(uri, 'fp16');
    await eventually('an edit on top of the restored ones', async () => (await textForm(uri)) !== fused);
    await vscode.commands.executeCommand('undo');
    await eventually('the restored edit is there', async () => (await textForm(uri)) === fused);
  });
});
