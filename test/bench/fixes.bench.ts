// What fixes promise against what they do: every fix of every finding on every model here, applied by itself.
// Usage: npm run bench -- fixes [device] [MACs up to which models are pruned, 1e8]
import path from 'node:path';
import { localEngine } from '../../src/engine/local.ts';
import type { Fix, Handle } from '../../src/engine/protocol.ts';
import { modelFiles } from '../unit/support/models.ts';
import { useSourceRunner } from '../unit/support/runner.ts';

const device = process.argv[2] ?? 'pi4';
/** Pruning refits layers to calibration data: minutes for a large network. */
const prunedMacs = Number(process.argv[3] ?? 1e8);

await useSourceRunner();
const engine = localEngine();

type Kind = 'fileBytes' | 'ramBytes' | 'macs';
const kinds: readonly Kind[] = ['fileBytes', 'ramBytes', 'macs'];
type Measures = Readonly<Record<Kind, number | null>>;

/** What rules count, by way of a budget that names every limit. */
async function measured(handle: Handle): Promise<Measures> {
  const limits = { fileBytes: 1, ramBytes: 1, macs: 1 };
  const { budget = [] } = await engine.call('check', { handle, budget: limits });
  const used = (kind: Kind) => budget.find(({ limit }) => limit === kind)?.used ?? null;
  return { fileBytes: used('fileBytes'), ramBytes: used('ramBytes'), macs: used('macs') };
}

const errors: Record<Kind, number[]> = { fileBytes: [], ramBytes: [], macs: [] };
const byPass = new Map<string, number[]>();
const least: boolean[] = [];
const lingering: string[] = [];
const failures: string[] = [];

for (const file of [...modelFiles('.onnx'), ...modelFiles('.tflite')]) {
  const { handle } = await engine.call('open', { path: file });
  const before = await measured(handle);
  // Limits that are broken, so that as many fixes as possible are offered.
  const budget = { fileBytes: 1, ramBytes: 1, ...(before.macs !== null && { macs: before.macs * 0.7 }) };
  const { findings } = await engine.call('check', { handle, device, budget });
  // Without its weights a model's size on disk says nothing.
  if (findings.some(({ rule }) => rule === 'missing-weights')) continue;
  const seen = new Set<string>();
  for (const { rule, fixes } of findings) {
    for (const fix of fixes) {
      const key = JSON.stringify([fix.pass, fix.options, fix.layers ?? fix.gain]);
      if (seen.has(key) || fix.gain === undefined) continue;
      seen.add(key);
      if (fix.pass !== 'prune-channels' || (before.macs ?? 0) <= prunedMacs)
        await one(file, handle, before, rule, fix);
    }
  }
  await engine.call('release', { handle });
}
engine.dispose();

async function one(file: string, handle: Handle, before: Measures, rule: string, fix: Fix): Promise<void> {
  const { pass, options, layers } = fix;
  const step = { pass, options, ...(layers && { layers }) };
  const applied = await engine.call('apply', { handle, step }).catch((error: unknown) => {
    failures.push(
      `${path.basename(file)} ${rule} ${pass}: ${error instanceof Error ? error.message : error}`,
    );
    return undefined;
  });
  if (applied === undefined) return;
  const after = await measured(applied.handle);
  const cells = kinds.flatMap((kind) => compared(kind, before, after, fix));
  const what = `${path.basename(file)} ${rule} ${pass}${layers === undefined ? '' : ' (layers)'}`;
  console.log(`${what}: ${cells.join('; ')}`);
  const { findings } = await engine.call('check', { handle: applied.handle });
  const left = findings.some((each) => each.rule === rule && each.fixes.some((again) => again.pass === pass));
  if (/^(simplify|fuse)$/.test(pass) && left) lingering.push(`${path.basename(file)} ${rule}`);
  await engine.call('release', { handle: applied.handle });
}

function compared(kind: Kind, before: Measures, after: Measures, fix: Fix): readonly string[] {
  const promised = fix.gain?.[kind];
  const [from, to] = [before[kind], after[kind]];
  if (promised === undefined || from === null || to === null) return [];
  const saved = from - to;
  // What "at least" promises is kept or not; there is no error to it.
  if (fix.pass === 'simplify' || fix.pass === 'remove-dead-channels') {
    least.push(saved >= 0.75 * promised);
    return [`${kind} at least ${promised.toFixed(0)} promised, ${saved.toFixed(0)} done`];
  }
  const error = Math.min(Math.abs(promised - saved) / Math.max(Math.abs(saved), 1e-9), 10);
  errors[kind].push(error);
  byPass.set(fix.pass, [...(byPass.get(fix.pass) ?? []), error]);
  return [
    `${kind} ${promised.toFixed(0)} promised, ${saved.toFixed(0)} done (${(100 * error).toFixed(0)} %)`,
  ];
}

const median = (values: readonly number[]): string => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted[Math.floor(sorted.length / 2)];
  return middle === undefined ? 'none' : `${(100 * middle).toFixed(1)} % over ${sorted.length}`;
};
console.log('\nmedian error of predictions');
for (const [kind, values] of Object.entries(errors)) console.log(`  ${kind.padEnd(10)} ${median(values)}`);
for (const [pass, values] of byPass) console.log(`  ${pass.padEnd(20)} ${median(values)}`);
console.log(`promises of "at least" that were kept: ${least.filter(Boolean).length} of ${least.length}`);
console.log(`fixes that failed: ${failures.length === 0 ? 'none' : ''}`);
for (const failure of failures) console.log(`  ${failure}`);
console.log(`findings that an exact fix left: ${lingering.length === 0 ? 'none' : lingering.join(', ')}`);
