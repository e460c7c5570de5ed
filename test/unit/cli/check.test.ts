import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundleProcesses, runKerf } from '../support/bundle.ts';
import { samples } from '../support/models.ts';

const digits = path.join(samples, 'digits.onnx');
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kerf-check-'));
const out = (name: string) => path.join(folder, name);
let cli = '';

beforeAll(async () => {
  ({ cli } = await bundleProcesses());
});
afterAll(() => fs.rmSync(folder, { recursive: true }));

async function check(...args: string[]) {
  return runKerf(cli, ['check', ...args]);
}

function config(value: object): string {
  const file = out(`${Math.random().toString(36).slice(2)}.json`);
  fs.writeFileSync(file, JSON.stringify(value));
  return file;
}

describe('kerf check', () => {
  it('fails with a table of the limits when a budget is broken, and passes when it is kept', async () => {
    const broken = await check(digits, '--budget', config({ budget: { fileBytes: '64 kB', macs: '5M' } }));
    expect(broken.code).toBe(1);
    expect(broken.stdout).toMatch(/budget +used +allowed +share/);
    expect(broken.stdout).toMatch(/model file +116 kB +64.0 kB +181 % +OVER BUDGET/);
    expect(broken.stdout).toMatch(/MACs +604 k +5.00 M +12 % +ok/);
    const kept = await check(digits, '--budget', config({ budget: { fileBytes: '1 MB' } }));
    expect([kept.code, /OVER/.test(kept.stdout)]).toEqual([0, false]);
  });

  it('follows severities and suppressions', async () => {
    const rules = { 'float32-weights-large': 'error', 'batch-norm-not-folded': 'off' };
    const strict = await check(
      digits,
      '--json',
      '--budget',
      config({ rules, suppress: [{ rule: 'layer-too-large' }] }),
    );
    expect(strict.code).toBe(1);
    const { findings } = JSON.parse(strict.stdout);
    expect(
      findings.map(({ rule, severity }: { rule: string; severity: string }) => [rule, severity]),
    ).toEqual([['float32-weights-large', 'error']]);
    const bad = await check(digits, '--budget', config({ rules: { a: 'loud' } }));
    expect([bad.code, bad.stderr]).toEqual([2, expect.stringContaining('rules.a')]);
  });

  it('speaks SARIF 2.1.0: rules with levels and help, results with files, layers and fingerprints', async () => {
    const { stdout } = await check(digits, path.join(samples, 'digits.tflite'), '--format', 'sarif');
    const log = JSON.parse(stdout);
    expect(log).toMatchObject({ version: '2.1.0', runs: [{ tool: { driver: { name: 'kerf' } } }] });
    const [{ tool, results, artifacts }] = log.runs;
    expect(artifacts).toHaveLength(2);
    expect(results.length).toBeGreaterThan(2);
    for (const result of results) {
      const rule = tool.driver.rules[result.ruleIndex];
      expect(rule.id).toBe(result.ruleId);
      expect(rule.help.markdown).toContain('**Remedy.**');
      expect(['error', 'warning', 'note']).toContain(result.level);
      const [{ physicalLocation }] = result.locations;
      expect(artifacts[physicalLocation.artifactLocation.index].location.uri).toBe(
        physicalLocation.artifactLocation.uri,
      );
      expect(physicalLocation.artifactLocation.uri).not.toContain('\\');
    }
    const fold = results.find(({ ruleId }: { ruleId: string }) => ruleId === 'batch-norm-not-folded');
    expect(fold.locations[0].logicalLocations).toHaveLength(3);
    const prints = results.map((each: { partialFingerprints: object }) =>
      JSON.stringify(each.partialFingerprints),
    );
    expect(new Set(prints).size).toBe(prints.length);
  });

  it('speaks GitHub annotations, escaped', async () => {
    const odd = out('a,b:c%.onnx');
    fs.copyFileSync(digits, odd);
    const { stdout } = await check(odd, '--format', 'github');
    const lines = stdout.trim().split('\n');
    expect(lines.length).toBeGreaterThan(2);
    for (const line of lines)
      expect(line).toMatch(/^::(error|warning|notice) file=[^:,]+,title=kerf [a-z0-9-]+::\S/);
    expect(lines[0]).toContain('a%2Cb%3Ac%25.onnx');
    expect(stdout).toContain('%0AFix: ');
  });

  it('fixes exactly, or all of it, and keeps the promise', async () => {
    const fixed = out('fixed.onnx');
    const exact = await check(digits, '--fix', '-o', fixed, '--json');
    const report = JSON.parse(exact.stdout);
    expect(report.fixed.steps.map(({ pass }: { pass: string }) => pass)).toEqual(['fuse']);
    const saved = fs.statSync(digits).size - fs.statSync(fixed).size;
    expect(Math.abs(report.fixed.predicted.fileBytes - saved)).toBeLessThan(0.25 * saved);
    expect(report.findings.some(({ rule }: { rule: string }) => rule === 'batch-norm-not-folded')).toBe(
      false,
    );
    const again = await check(fixed, '--fix', '-o', out('again.onnx'));
    expect(again.stdout).toContain('No fix applies');
    expect(fs.existsSync(out('again.onnx'))).toBe(false);
    const noOutput = await check(digits, '--fix');
    expect([noOutput.code, noOutput.stderr]).toEqual([2, expect.stringContaining('-o')]);
  });

  it('looks at chosen rules only', async () => {
    const { stdout } = await check(digits, '--rule', 'layer-too-large', '--json');
    expect(JSON.parse(stdout).findings.map(({ rule }: { rule: string }) => rule)).toEqual([
      'layer-too-large',
    ]);
    expect((await check(digits, '--rule', 'no-such-rule')).code).toBe(2);
  });
});

interface Reply {
  readonly id?: unknown;
  readonly method?: string;
  readonly result?: {
    readonly structuredContent?: Record<string, unknown>;
    readonly isError?: boolean;
    readonly content?: readonly { text: string }[];
    readonly [key: string]: unknown;
  };
  readonly error?: { readonly code: number };
}

/** A client of `kerf mcp`; `ask` answers the server's own questions. */
function connect(ask: (message: string) => boolean = () => true) {
  const child = spawn(process.execPath, [cli, 'mcp'], { stdio: ['pipe', 'pipe', 'ignore'] });
  const waiting = new Map<unknown, (reply: Reply) => void>();
  const questions: string[] = [];
  const send = (message: object) => child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  createInterface({ input: child.stdout }).on('line', (line) => {
    const message = JSON.parse(line) as Reply & { params?: { message?: string } };
    if (message.method === 'elicitation/create') {
      const question = message.params?.message ?? '';
      questions.push(question);
      send({ id: message.id, result: { action: ask(question) ? 'accept' : 'decline' } });
    } else waiting.get(message.id)?.(message);
  });
  let count = 0;
  const request = (method: string, params: object = {}): Promise<Reply> => {
    const id = ++count;
    send({ id, method, params });
    return new Promise((resolve) => waiting.set(id, resolve));
  };
  const call = (name: string, args: object) => request('tools/call', { name, arguments: args });
  return {
    request,
    call,
    questions,
    send,
    end: () => child.stdin.end(),
    closed: new Promise((resolve) => child.on('close', resolve)),
  };
}

describe('kerf mcp', () => {
  it('shakes hands, lists its tools, answers calls, and ends with its input', async () => {
    const client = connect();
    const hello = await client.request('initialize', { protocolVersion: '2025-03-26', capabilities: {} });
    expect(hello.result).toMatchObject({ protocolVersion: '2025-03-26', serverInfo: { name: 'kerf' } });
    client.send({ method: 'notifications/initialized' });
    const { result } = await client.request('tools/list');
    const listed = result?.['tools'] as { name: string; annotations: { readOnlyHint: boolean } }[];
    expect(listed.map(({ name }) => name)).toEqual([
      'inspect',
      'check',
      'apply',
      'passes',
      'benchmark',
      'compare',
      'optimize',
    ]);
    expect(listed.filter(({ annotations }) => !annotations.readOnlyHint).map(({ name }) => name)).toEqual([
      'apply',
      'optimize',
    ]);
    const inspected = await client.call('inspect', { path: digits, layers: 2 });
    expect(inspected.result?.structuredContent).toMatchObject({ format: 'onnx', layerCount: 15 });
    const checked = await client.call('check', { path: digits, device: 'pi4' });
    expect(JSON.stringify(checked.result?.structuredContent)).toContain('Raspberry Pi 4');
    const missing = await client.call('inspect', { path: 'no-such.onnx' });
    expect(missing.result).toMatchObject({ isError: true });
    expect((await client.request('nope')).error?.code).toBe(-32601);
    expect((await client.call('nope', {})).error?.code).toBe(-32602);
    client.end();
    expect(await client.closed).toBe(0);
  });

  it('writes new files only, and asks first where it can', async () => {
    const answers = [false, true];
    const client = connect(() => answers.shift() ?? false);
    await client.request('initialize', { protocolVersion: '2025-06-18', capabilities: { elicitation: {} } });
    const file = out('agent.onnx');
    const args = { path: digits, pass: 'fuse', output: file };
    expect((await client.call('apply', args)).result?.isError).toBe(true);
    expect(fs.existsSync(file)).toBe(false);
    const done = await client.call('apply', args);
    expect(done.result?.structuredContent).toMatchObject({ before: { fileBytes: 116_133 }, output: file });
    expect(client.questions).toEqual([`Write ${file}?`, `Write ${file}?`]);
    const onto = await client.call('apply', { ...args, output: digits });
    expect(onto.result?.content?.[0]?.text).toContain('choose another file');
    const again = await client.call('apply', args);
    expect(again.result?.content?.[0]?.text).toContain('exists');
    const compared = await client.call('compare', { path: digits, other: file });
    expect(compared.result?.structuredContent).toMatchObject({ notCovered: expect.anything() });
    client.end();
    await client.closed;
  });
});
