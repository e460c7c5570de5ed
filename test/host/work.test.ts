import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import * as vscode from 'vscode';
import { freshModel, openModel, workspaceFolder } from './support/models.ts';

interface Bench {
  readonly runs: number;
  readonly latencyMs: { readonly min: number; readonly median: number; readonly p99: number };
  readonly layers: readonly unknown[];
}

interface Optimized {
  readonly model: string;
  readonly recipe: string;
  readonly fileBytes: number;
  readonly report: {
    readonly candidates: readonly unknown[];
    readonly baseline: { readonly fileBytes: number };
  };
}

describe('work on a model', () => {
  it('measures it', async () => {
    const uri = await freshModel();
    await openModel(uri);
    const report = await vscode.commands.executeCommand<Bench>('kerf.benchmark', uri, 'quiet');
    const { min, median, p99 } = report.latencyMs;
    assert.ok(min > 0 && min <= median && median <= p99, JSON.stringify(report.latencyMs));
    assert.ok(report.runs > 0 && report.layers.length > 0);
  });

  it('optimizes it for a device and writes model and recipe beside it', async function () {
    // The search tries and measures a score of candidates.
    this.timeout(240_000);
    const uri = await freshModel();
    const answers = {
      device: 'stm32h743',
      data: path.join(workspaceFolder(), 'digits-test.npz'),
      take: 'chosen',
    };
    const written = await vscode.commands.executeCommand<Optimized>('kerf.optimize', uri, answers);
    assert.ok(existsSync(written.model));
    assert.equal(path.dirname(written.model), path.dirname(uri.fsPath));
    assert.equal((await stat(written.model)).size, written.fileBytes);
    assert.ok(written.fileBytes < (await stat(uri.fsPath)).size / 2, `${written.fileBytes} bytes`);
    assert.ok(written.report.candidates.length > 1);
    const recipe: unknown = JSON.parse(await readFile(written.recipe, 'utf8'));
    assert.ok(typeof recipe === 'object' && recipe !== null && 'steps' in recipe);

    const again = await freshModel();
    await openModel(again);
    await vscode.commands.executeCommand('kerf.applyRecipe', again, vscode.Uri.file(written.recipe));
    await vscode.commands.executeCommand('workbench.action.files.save');
    assert.deepEqual(
      await readFile(again.fsPath),
      await readFile(written.model),
      'a recipe replays to the same bytes',
    );
  });
});
