import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundleProcesses, runKerf } from '../support/bundle.ts';
import { modelFiles, samples } from '../support/models.ts';

const digits = path.join(samples, 'digits.onnx');
const calibration = path.join(samples, 'digits-calibration.npz');
const test = path.join(samples, 'digits-test.npz');
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kerf-cli-'));
const out = (name: string) => path.join(folder, name);
let cli = '';

beforeAll(async () => {
  ({ cli } = await bundleProcesses());
});
afterAll(() => fs.rmSync(folder, { recursive: true }));

/** Runs a command that must succeed and print one JSON document. */
async function json(...args: string[]) {
  const { code, stdout, stderr } = await runKerf(cli, [...args, '--json']);
  expect([code, stderr.includes('kerf:') ? stderr : '']).toEqual([0, '']);
  return JSON.parse(stdout);
}

describe('inspect', () => {
  it("tells the sample's size and cost", async () => {
    const report = await json('inspect', digits);
    expect(report).toMatchObject({ format: 'onnx', opset: 13, fileBytes: 116133, unresolved: [] });
    // 3x3 convolutions 1->16 and 16->32 on 8x8, 32->64 on 4x4, then 64->64 and 64->10.
    expect(report.macs).toBe(8 * 8 * 9 * (16 + 16 * 32) + 4 * 4 * 9 * 32 * 64 + 64 * 64 + 64 * 10);
    expect(report.layers).toHaveLength(15);
  });

  it.each([...modelFiles('.onnx'), ...modelFiles('.tflite')].map((file) => [path.basename(file), file]))(
    '%s is read, or refused in one line',
    async (_, file) => {
      const { code, stdout, stderr } = await runKerf(cli, ['inspect', file, '--json']);
      if (code === 0) expect(JSON.parse(stdout).layers.length).toBeGreaterThan(0);
      else expect([code, stderr.trim().split('\n').length]).toEqual([2, 1]);
    },
  );
});

describe('the loop on the sample', () => {
  it('quantizes with calibration data, keeps accuracy and shrinks the file', async () => {
    const report = await json(
      'apply',
      digits,
      '--pass',
      'quantize-static',
      '--data',
      calibration,
      '-o',
      out('int8.onnx'),
    );
    expect(report.after.fileBytes).toBeLessThan(report.before.fileBytes / 2);
    const evaluation = await json('eval', out('int8.onnx'), '--data', test, '--reference', digits);
    expect(evaluation.samples).toBe(500);
    expect(evaluation.top1).toBeGreaterThan(0.979);
    expect(evaluation.reference.agreement).toBeGreaterThan(0.99);
  });

  it('measures both models in turn', async () => {
    const report = await json('bench', digits, '--against', digits, '--runs', '20');
    expect(report.latencyMs.median).toBeGreaterThan(0);
    expect(report.against.speedup).toBeGreaterThan(0);
    expect(report.layers.length).toBeGreaterThan(0);
  });

  it('replays a recipe to the same bytes', async () => {
    const recipe = out('recipe.kerf.json');
    fs.writeFileSync(recipe, JSON.stringify({ kerf: 1, steps: [{ pass: 'simplify' }, { pass: 'fuse' }] }));
    await json('apply', digits, '--recipe', recipe, '-o', out('a.onnx'));
    await json('apply', digits, '--recipe', recipe, '-o', out('b.onnx'));
    expect(fs.readFileSync(out('a.onnx')).equals(fs.readFileSync(out('b.onnx')))).toBe(true);
  });

  it('optimises for a device and writes the chosen model', async () => {
    const report = await json(
      'optimize',
      digits,
      '--device',
      'pi4',
      '--data',
      calibration,
      '-o',
      out('best.onnx'),
    );
    expect(report.candidates.length).toBeGreaterThan(2);
    const chosen = report.candidates[report.chosen];
    expect(fs.statSync(out('best.onnx')).size).toBe(chosen.fileBytes);
    expect(chosen.fileBytes * 3).toBeLessThan(report.baseline.fileBytes);
  });

  it('converts to TFLite and back', async () => {
    await json('convert', digits, '-o', out('digits.tflite'));
    const there = await json('eval', out('digits.tflite'), '--data', test, '--reference', digits);
    expect(there.reference).toMatchObject({ agreement: 1 });
    await json('convert', out('digits.tflite'), '-o', out('again.onnx'));
    expect((await json('eval', out('again.onnx'), '--data', test)).top1).toBe(there.top1);
  });

  it('says what differs, what each layer costs elsewhere and how sensitive it is', async () => {
    await json('apply', digits, '--pass', 'fuse', '-o', out('fused.onnx'));
    const diff = await json('diff', digits, out('fused.onnx'));
    expect(diff.removed.length).toBe(3);
    const estimate = await json('estimate', digits, '--device', 'pi4');
    expect(estimate.latencyMs).toBeGreaterThan(0);
    const sensitivity = await json('sensitivity', digits, '--data', calibration);
    expect(sensitivity.layers.length).toBeGreaterThan(0);
    await json('export', digits, '--to', 'csv', '-o', out('layers.csv'));
    expect(fs.readFileSync(out('layers.csv'), 'utf8').split('\r\n')).toHaveLength(17);
  });

  it('lists passes, rules, devices and findings', async () => {
    expect((await json('passes')).passes.map((pass: { id: string }) => pass.id)).toContain('quantize-static');
    expect((await json('rules')).rules.length).toBeGreaterThan(5);
    expect((await json('devices')).devices.length).toBeGreaterThanOrEqual(12);
    const { stdout } = await runKerf(cli, ['check', digits, '--device', 'stm32h743', '--json']);
    expect(JSON.parse(stdout).findings.length).toBeGreaterThan(0);
    expect((await runKerf(cli, ['print', digits])).stdout).toContain('Conv');
  });
});

describe('bad requests exit with 2 and one clear line', () => {
  const truncated = out('truncated.onnx');
  const random = out('random.tflite');
  beforeAll(() => {
    fs.writeFileSync(truncated, fs.readFileSync(digits).subarray(0, 10));
    fs.writeFileSync(
      random,
      Uint8Array.from({ length: 300 }, (_, i) => (i * 7919) % 251),
    );
    fs.writeFileSync(out('empty.onnx'), '');
  });

  it.each([
    ['a missing file', ['inspect', 'nowhere.onnx'], /nowhere\.onnx: no such file/],
    ['an empty file', ['inspect', out('empty.onnx')], /empty\.onnx: the file is empty/],
    ['ten bytes', ['inspect', truncated], /truncated\.onnx.*no ONNX graph/],
    ['random bytes', ['inspect', random], /random\.tflite.*neither/],
    ['an unknown pass', ['apply', digits, '--pass', 'shrink', '-o', out('x.onnx')], /no pass 'shrink'/],
    [
      'an unknown option',
      ['apply', digits, '--pass', 'fuse', '--set', 'a=1', '-o', out('x.onnx')],
      /no option 'a'/,
    ],
    ['an unknown device', ['estimate', digits, '--device', 'toaster'], /no device 'toaster'/],
    [
      'an unknown layer',
      ['apply', digits, '--pass', 'fuse', '--layer', 'nope', '-o', out('x.onnx')],
      /no layer 'nope'/,
    ],
    ['an unknown command', ['shrink', digits], /unknown command/],
    ['missing data', ['eval', digits, '--data', 'nowhere.npz'], /nowhere\.npz/],
  ])('%s', async (_, args, expected) => {
    const { code, stdout, stderr } = await runKerf(cli, args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr.trim()).toMatch(expected);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });
});
