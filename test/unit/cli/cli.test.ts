import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { bundleProcesses, runKerf } from '../support/bundle.ts';
import { runnersOf } from '../support/children.ts';
import { npy, npz } from '../support/npy.ts';
import { hasShared, modelFiles, samples, shared } from '../support/models.ts';

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
    // Without data the two are compared on made-up inputs, and the report says so.
    const madeUp = await json('eval', digits, '--reference', digits);
    expect(madeUp).toMatchObject({ data: 'seeded random inputs (seed 0)', reference: { agreement: 1 } });
    expect(madeUp.top1).toBeUndefined();
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

  it('optimises for a device as the README does, and writes the chosen model', async () => {
    const report = await json(
      'optimize',
      digits,
      '--device',
      'stm32h743',
      '--max-drop',
      '0.25',
      '--data',
      calibration,
      '-o',
      out('best.onnx'),
    );
    expect(report.candidates.length).toBeGreaterThan(2);
    const chosen = report.candidates[report.chosen];
    expect(fs.statSync(out('best.onnx')).size).toBe(chosen.fileBytes);
    expect(chosen.fileBytes * 3).toBeLessThan(report.baseline.fileBytes);
    const accuracyOf = async (file: string) => (await json('eval', file, '--data', test)).top1;
    expect(await accuracyOf(out('best.onnx'))).toBeGreaterThan((await accuracyOf(digits)) - 0.005);
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
    expect(sensitivity.naiveInferences).toBe(sensitivity.layers.length * sensitivity.samples);
    expect(sensitivity.inferences).toBeGreaterThan(sensitivity.samples);
    expect(sensitivity.layers[0].sqnrDb).toBeLessThan(sensitivity.layers.at(-1).sqnrDb);
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
    fs.writeFileSync(out('half.onnx'), fs.readFileSync(digits).subarray(0, 50_000));
    fs.writeFileSync(
      out('lost.kerf.json'),
      JSON.stringify({ kerf: 1, model: { sha256: '0'.repeat(64), bytes: 1 }, steps: [{ pass: 'shrink' }] }),
    );
  });

  it.each([
    ['a missing file', ['inspect', 'nowhere.onnx'], /nowhere\.onnx: no such file/],
    ['a name that no file can have', ['inspect', 'x'.repeat(5000)], /x: the name is too long/],
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
    ['an unknown scheme', ['sensitivity', digits, '--scheme', 'int17'], /no scheme 'int17'/],
    ['a plan without a budget', ['mixed', digits], /one of --size, --latency and --max-drop/],
    ['a budget without a unit', ['mixed', digits, '--size', 'small'], /'small' is no limit/],
    ['free dimensions that are none', ['sensitivity', digits, '--bind', 'T=3'], /no free dimension 'T'/],
    ['nothing to evaluate by', ['eval', digits], /--data with labels, or a --reference/],
    ['missing data', ['eval', digits, '--data', 'nowhere.npz'], /nowhere\.npz/],
    [
      'a text for a number',
      ['apply', digits, '--pass', 'prune-magnitude', '--set', 'sparsity=abc', '-o', out('x.onnx')],
      /from 0 to 1, not 'abc'/,
    ],
    [
      'a model of which only half is there',
      ['apply', out('half.onnx'), '--pass', 'simplify', '-o', out('x.onnx')],
      /half\.onnx: byte 20: the graph claims 116106 bytes.*not changed or written/,
    ],
    [
      'half a model for conversion',
      ['convert', out('half.onnx'), '-o', out('x.tflite')],
      /not changed or written/,
    ],
    [
      'half a model for the search',
      ['optimize', out('half.onnx'), '--device', 'pi4', '-o', out('x.onnx')],
      /not changed or written/,
    ],
    [
      'a name of the other format',
      ['apply', digits, '--pass', 'simplify', '-o', out('x.tflite')],
      /x\.tflite: the result is an onnx model/,
    ],
    [
      'an output without a folder, before the work is done',
      ['optimize', digits, '--device', 'pi4', '-o', out('no/where/x.onnx')],
      /x\.onnx: there is no folder/,
    ],
    [
      'a report without a folder',
      ['optimize', digits, '--device', 'pi4', '-o', out('x.onnx'), '--report', out('no/x.md')],
      /x\.md: there is no folder/,
    ],
    ['a folder as output', ['apply', digits, '--pass', 'fuse', '-o', folder], /is a folder/],
    ['a dimension that is not free', ['inspect', digits, '--bind', 'seq=3'], /no free dimension 'seq'/],
    [
      'a dimension that is not free, measured',
      ['bench', digits, '--runs', '1', '--bind', 'seq=3'],
      /no free dimension 'seq'/,
    ],
    [
      'less than nothing to lose',
      ['optimize', digits, '--device', 'pi4', '--max-drop', '-1', '-o', out('x.onnx')],
      /from 0 to 100/,
    ],
    ['an unknown provider', ['bench', digits, '--runs', '1', '--provider', 'toaster'], /provider 'toaster'/],
    ['a missing folder of devices', ['devices', '--folder', out('nowhere')], /nowhere: no such file/],
    [
      'a recipe with an unknown pass',
      ['apply', digits, '--recipe', out('lost.kerf.json'), '-o', out('x.onnx')],
      /lost\.kerf\.json: .*shrink/,
    ],
  ])('%s', async (_, args, expected) => {
    const { code, stdout, stderr } = await runKerf(cli, args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    // Progress goes to stderr as well.
    const [line, ...more] = stderr.split('\n').filter((each) => /^kerf: |^ {4}at /.test(each));
    expect(line).toMatch(expected);
    expect(more).toEqual([]);
  });
});

describe('what goes wrong on the way', () => {
  it('check tells that a file is damaged, and fails', async () => {
    const half = out('damaged.onnx');
    fs.writeFileSync(half, fs.readFileSync(digits).subarray(0, 50_000));
    const { code, stdout } = await runKerf(cli, ['check', half, '--json']);
    const { findings } = JSON.parse(stdout);
    expect(code).toBe(1);
    expect(findings[0]).toMatchObject({ rule: 'damaged-file', severity: 'error', layer: null, fixes: [] });
  });

  it('a model may be written over itself', async () => {
    const own = out('own.onnx');
    fs.copyFileSync(digits, own);
    const report = await json('apply', own, '--pass', 'fuse', '-o', own);
    expect(fs.statSync(own).size).toBe(report.after.fileBytes);
    expect((await json('inspect', own)).layers).toHaveLength(12);
  });

  it('a recipe made for another file is replayed with a remark', async () => {
    const [recipe, other] = [out('of-digits.kerf.json'), out('other.onnx')];
    const model = { name: 'trained.onnx', bytes: 1, sha256: '0'.repeat(64) };
    fs.writeFileSync(recipe, JSON.stringify({ kerf: 1, model, steps: [{ pass: 'fuse' }] }));
    const report = await json('apply', digits, '--recipe', recipe, '-o', other);
    expect(report.notes[0]).toBe('the recipe was made for another file (trained.onnx)');
    expect(report.after.params).toBeLessThan(report.before.params);
  });

  it('a failed calibration names the data or the model, not the copy that was run', async () => {
    const torn = out('torn.npz');
    fs.writeFileSync(torn, fs.readFileSync(calibration).subarray(0, 200));
    const bad = await runKerf(cli, [
      'apply',
      digits,
      '--pass',
      'quantize-static',
      '--data',
      torn,
      '-o',
      out('x.onnx'),
    ]);
    expect([bad.code, bad.stderr]).toEqual([2, expect.stringMatching(/^kerf: .*torn\.npz: /m)]);
    // The same file with an operator that no runtime knows.
    const unknown = fs.readFileSync(digits).toString('latin1').replaceAll('MaxPool', 'MaxPoo1');
    fs.writeFileSync(out('unknown.onnx'), unknown, 'latin1');
    const infinite = out('infinite.npz');
    for (const [value, problem] of [
      [Number.NaN, /infinite\.npz: image: holds a value that is not a number/],
      [Number.POSITIVE_INFINITY, /infinite\.npz: with these samples no value of the model stays finite/],
    ] as const) {
      fs.writeFileSync(infinite, npz({ image: npy('<f4', [1, 1, 8, 8], new Float32Array(64).fill(value)) }));
      const refused = await runKerf(cli, [
        'apply',
        digits,
        '--pass',
        'quantize-static',
        '--data',
        infinite,
        '-o',
        out('x.onnx'),
      ]);
      expect([refused.code, refused.stderr]).toEqual([2, expect.stringMatching(problem)]);
    }
    const { code, stderr } = await runKerf(cli, [
      'apply',
      out('unknown.onnx'),
      '--pass',
      'quantize-static',
      '-o',
      out('x.onnx'),
    ]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^kerf: .*unknown\.onnx: calibration: ONNX Runtime: /m);
    expect(stderr).not.toContain('kerf-calibration');
  });

  it.runIf(hasShared)('weights that are not there are the reason given for finding none', async () => {
    const skeleton = path.join(shared, 'models/skeletons/resnet18.onnx');
    for (const pass of ['fp16', 'quantize-dynamic', 'quantize-static', 'prune-magnitude']) {
      const { code, stderr } = await runKerf(cli, ['apply', skeleton, '--pass', pass, '-o', out('x.onnx')]);
      expect([pass, code]).toEqual([pass, 2]);
      expect(stderr).toMatch(/resnet18\.onnx: .*weights\.bin.*no such file/);
    }
  });

  it.runIf(hasShared)('a model without its weights is not run, and the reason names the file', async () => {
    const skeleton = path.join(shared, 'models/skeletons/resnet18.onnx');
    for (const [command, ...more] of [
      ['bench'],
      ['eval', '--data', test],
      ['audit'],
      ['sensitivity'],
      ['sensitivity', '--method', 'weights'],
      ['mixed', '--size', '0.3'],
    ] as const) {
      const { code, stderr } = await runKerf(cli, [command, skeleton, ...more]);
      expect([command, code]).toEqual([command, 2]);
      expect(stderr).toMatch(/resnet18\.onnx: .*weights\.bin.*no such file/);
    }
  });

  it.runIf(hasShared)('a run that free dimensions of 1 break names them', async () => {
    const silero = path.join(shared, 'models/onnx/silero_vad_16k_op15.onnx');
    for (const scheme of ['int8', 'prune50']) {
      const { stderr } = await runKerf(cli, ['sensitivity', silero, '--scheme', scheme]);
      expect(stderr).toContain('free dimensions are 1 unless bound: sequence');
      expect(stderr).toContain(`kerf: ${silero}: `);
      expect(stderr).not.toContain('kerf-sensitivity');
    }
    const bound = await runKerf(cli, ['sensitivity', silero, '--bind', 'sequence=1']);
    expect(bound.stderr).not.toContain('unless bound');
  });

  it('an estimate is for the dimensions that were bound', async () => {
    const one = await json('estimate', digits, '--device', 'pi4');
    const four = await json('estimate', digits, '--device', 'pi4', '--bind', 'image=4');
    expect(four.ramBytes - one.ramBytes).toBe(3 * 12_288);
    expect(four.latencyMs).toBeGreaterThan(one.latencyMs);
    const strange = await runKerf(cli, ['estimate', digits, '--device', 'pi4', '--bind', 'seq=4']);
    expect([strange.code, strange.stderr]).toEqual([2, expect.stringContaining("no free dimension 'seq'")]);
  });

  it('a reader that has had enough is no fault', async () => {
    const child = spawn(process.execPath, [cli, 'inspect', digits, '--json'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    child.stderr.on('data', (data: Buffer) => {
      said += data.toString();
    });
    child.stdout.destroy();
    expect([await ended(child), said]).toEqual([0, '']);
  });

  it.runIf(process.platform !== 'win32').each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)(
    '%s ends a search: no temporary files, no process, nothing written',
    async (signal, expected) => {
      const temporary = out(signal);
      fs.mkdirSync(temporary);
      const env = { ...process.env, TMPDIR: temporary };
      const args = ['optimize', digits, '--device', 'pi4', '-o', out(`${signal}.onnx`)];
      const child = spawn(process.execPath, [cli, ...args], { stdio: ['ignore', 'ignore', 'pipe'], env });
      const end = ended(child);
      // The first candidate lies in the temporary folder once its runner works.
      await vi.waitUntil(() => fs.readdirSync(temporary).length > 0, { timeout: 60_000, interval: 5 });
      child.kill(signal);
      expect(await end).toBe(expected);
      await vi.waitUntil(() => runnersOf(child.pid as number).length === 0, { timeout: 10_000 });
      expect(fs.readdirSync(temporary)).toEqual([]);
      expect(fs.readdirSync(folder).filter((name) => name.includes(`${signal}.`))).toEqual([]);
    },
  );
});

function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((settle) => {
    child.on('close', settle);
  });
}
