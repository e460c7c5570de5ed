import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { localEngine } from '../../../src/engine/local.ts';
import { readRecipe } from '../../../src/engine/recipeFiles.ts';
import { samples } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { temporaryFolder } from '../support/temporary.ts';

const engine = localEngine();
const folder = temporaryFolder();
const file = path.join(samples, 'digits.onnx');
const data = path.join(samples, 'digits-calibration.npz');
beforeAll(async () => {
  await useSourceRunner();
});
afterAll(() => engine.dispose());

describe('mixed precision', () => {
  it('fits the budget, says what it measured, and its recipe gives the same file', {
    timeout: 180_000,
  }, async () => {
    const { handle } = await engine.call('open', { path: file });
    const out = path.join(folder, 'mixed.onnx');
    const budget = { kind: 'size', bytes: 30_000 } as const;
    const report = await engine.call('mixed', {
      handle,
      data,
      schemes: ['int8', 'int4'],
      budget,
      samples: 24,
      out,
    });
    expect(report.exact).toBe(true);
    expect(report.measured?.fileBytes).toBeLessThanOrEqual(budget.bytes);
    expect(report.measured?.fileBytes).toBe(fs.statSync(out).size);
    expect(report.measured?.agreement).toBeGreaterThan(0.95);
    const sizes = report.frontier.map(({ fileBytes }) => fileBytes);
    expect([...sizes].sort((a, b) => a - b)).toEqual(sizes);
    let again = handle;
    for (const step of readRecipe(path.join(folder, 'mixed.kerf.json')).steps)
      again = (await engine.call('apply', { handle: again, step })).handle;
    const replayed = path.join(folder, 'replayed.onnx');
    await engine.call('save', { handle: again, path: replayed });
    expect(fs.readFileSync(replayed).equals(fs.readFileSync(out))).toBe(true);
  });

  it('static steps for some layers follow static steps for others', { timeout: 120_000 }, async () => {
    const { handle } = await engine.call('open', { path: file });
    const first = {
      pass: 'quantize-static',
      options: { scheme: 'w8a8' },
      layers: ['/3/Conv', '/12/Gemm'],
      data,
    };
    const second = { pass: 'quantize-static', options: { scheme: 'w4a8' }, layers: ['/7/Conv'], data };
    const half = await engine.call('apply', { handle, step: first });
    const whole = await engine.call('apply', { handle: half.handle, step: second });
    const report = await engine.call('evaluate', {
      handle: whole.handle,
      reference: handle,
      data,
      samples: 64,
    });
    expect(report.reference?.sqnrDb).toBeGreaterThan(30);
    const everything = { pass: 'quantize-static', data };
    await expect(engine.call('apply', { handle: whole.handle, step: everything })).rejects.toThrow(/already/);
  });
});
