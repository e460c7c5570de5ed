// What fixes promise against what they do: every fix of every finding on every model here, applied by itself.
// Usage: npm run build && npm run bench -- fixes [device]
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { modelFiles } from '../unit/support/models.ts';

interface Fix {
  readonly pass: string;
  readonly options: Readonly<Record<string, string | number | boolean>>;
  readonly layers?: readonly string[];
  readonly title: string;
  readonly gain?: { readonly fileBytes?: number; readonly ramBytes?: number; readonly macs?: number };
}
interface Checked {
  readonly findings: readonly { readonly rule: string; readonly fixes: readonly Fix[] }[];
  readonly budget?: readonly { readonly limit: string; readonly used: number | null }[];
}

const cli = path.resolve('dist/cli.cjs');
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kerf-fixes-'));
const device = process.argv[2] ?? 'pi4';

function kerf(...args: readonly string[]): unknown {
  const options = { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 1 << 28 } as const;
  try {
    return JSON.parse(execFileSync(process.execPath, [cli, ...args, '--json'], options));
  } catch (error) {
    // A broken budget is an answer with exit code 1.
    const { stdout } = error as { stdout?: string };
    if (stdout !== undefined && stdout.startsWith('{')) return JSON.parse(stdout);
    return undefined;
  }
}

/** Limits that are always broken, so that their fixes are offered and what the model takes is told. */
const budget = path.join(folder, 'kerf.json');
fs.writeFileSync(budget, JSON.stringify({ budget: { fileBytes: 1, ramBytes: 1 } }));

function measured(
  file: string,
): { fileBytes: number; ramBytes: number | null; macs: number | null } | undefined {
  const checked = kerf('check', file, '--budget', budget) as Checked | undefined;
  const inspected = kerf('inspect', file) as { fileBytes: number; macs: number | null } | undefined;
  if (checked === undefined || inspected === undefined) return undefined;
  const ram = checked.budget?.find(({ limit }) => limit === 'ramBytes')?.used ?? null;
  return { fileBytes: inspected.fileBytes, ramBytes: ram, macs: inspected.macs };
}

const errors: Record<'fileBytes' | 'ramBytes' | 'macs', number[]> = { fileBytes: [], ramBytes: [], macs: [] };
const byPass = new Map<string, number[]>();
const lingering: string[] = [];
let failed = 0;

for (const file of [...modelFiles('.onnx'), ...modelFiles('.tflite')]) {
  const before = measured(file);
  if (before === undefined) continue;
  const share = before.macs === null ? [] : [before.macs * 0.7];
  fs.writeFileSync(budget, JSON.stringify({ budget: { fileBytes: 1, ramBytes: 1, macs: share[0] ?? 1e15 } }));
  const checked = kerf('check', file, '--device', device, '--budget', budget) as Checked;
  const seen = new Set<string>();
  for (const { rule, fixes } of checked.findings) {
    for (const fix of fixes) {
      const key = JSON.stringify([
        fix.pass,
        fix.options,
        fix.layers ?? (fix.gain === undefined ? rule : fix.gain),
      ]);
      if (seen.has(key) || fix.gain === undefined) continue;
      seen.add(key);
      one(file, before, rule, fix);
    }
  }
}

function one(file: string, before: NonNullable<ReturnType<typeof measured>>, rule: string, fix: Fix): void {
  const out = path.join(folder, `out${path.extname(file)}`);
  const set = Object.entries(fix.options).flatMap(([name, value]) => ['--set', `${name}=${String(value)}`]);
  const layers = (fix.layers ?? []).flatMap((layer) => ['--layer', layer]);
  const done = kerf('apply', file, '--pass', fix.pass, ...set, ...layers, '-o', out);
  const after = done === undefined ? undefined : measured(out);
  if (after === undefined) {
    failed += 1;
    return;
  }
  const cells: string[] = [];
  for (const kind of ['fileBytes', 'ramBytes', 'macs'] as const) {
    const promised = fix.gain?.[kind];
    const [from, to] = [before[kind], after[kind]];
    if (promised === undefined || from === null || to === null) continue;
    const saved = from - to;
    const error = Math.abs(promised - saved) / Math.max(Math.abs(saved), 1e-9);
    // Exact passes remove all that they can, also what other findings are about: those are compared as a whole below.
    errors[kind].push(Math.min(error, 10));
    const list = byPass.get(fix.pass) ?? [];
    byPass.set(fix.pass, [...list, Math.min(error, 10)]);
    cells.push(
      `${kind} ${promised.toFixed(0)} promised, ${saved.toFixed(0)} done (${(100 * error).toFixed(0)} %)`,
    );
  }
  console.log(
    `${path.basename(file)} ${rule} ${fix.pass}${fix.layers === undefined ? '' : ' (layers)'}: ${cells.join('; ')}`,
  );
  const left = (kerf('check', out) as Checked | undefined)?.findings ?? [];
  if (/^(simplify|fuse)$/.test(fix.pass) && left.some((each) => each.rule === rule && each.fixes.length > 0))
    lingering.push(`${path.basename(file)} ${rule}`);
}

const median = (values: readonly number[]): string => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted[Math.floor(sorted.length / 2)];
  return middle === undefined ? 'none' : `${(100 * middle).toFixed(1)} % over ${sorted.length}`;
};
console.log('\nmedian error of predictions');
for (const [kind, values] of Object.entries(errors)) console.log(`  ${kind.padEnd(10)} ${median(values)}`);
for (const [pass, values] of byPass) console.log(`  ${pass.padEnd(20)} ${median(values)}`);
console.log(`fixes that failed: ${failed}`);
console.log(`findings that an exact fix left: ${lingering.length === 0 ? 'none' : lingering.join(', ')}`);
fs.rmSync(folder, { recursive: true });
