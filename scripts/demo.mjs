// `npm run demo`: optimises the digits sample for a device with the command line and prints before and after.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const device = process.argv[2] ?? 'stm32h743';
const original = 'samples/digits.onnx';
const optimized = 'demo/digits.optimized.onnx';
const calibration = 'samples/digits-calibration.npz';
const test = 'samples/digits-test.npz';
/** Percentage points of agreement on the calibration samples that may be lost. */
const maxDrop = '0.25';

function run(args) {
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

function kerf(...args) {
  const text = execFileSync(process.execPath, ['dist/cli.cjs', ...args, '--json'], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return JSON.parse(text);
}

const percent = (share) => `${(share * 100).toFixed(2)} %`;
const signed = (before, after) =>
  `${after <= before ? '-' : '+'}${Math.abs((1 - after / before) * 100).toFixed(1)} %`;

run(['scripts/build.mjs', '--quiet']);
mkdirSync(path.join(root, 'demo'), { recursive: true });
const search = ['optimize', original, '--device', device, '--data', calibration, '--max-drop', maxDrop];
console.log(`\nkerf ${search.join(' ')} -o ${optimized}\n`);
run(['dist/cli.cjs', ...search, '-o', optimized]);

const before = kerf('inspect', original);
const after = kerf('inspect', optimized);
const latency = kerf('bench', optimized, '--against', original, '--data', test);
const accuracy = (model) => kerf('eval', model, '--data', test);
const [there, thereAfter] = [original, optimized].map((model) => kerf('estimate', model, '--device', device));
const ms = (value) => (value === null ? 'unknown' : `${value.toPrecision(3)} ms`);
const [top1Before, top1After] = [accuracy(original), accuracy(optimized)];
const rows = [
  ['', 'before', 'after', ''],
  ['file size', `${before.fileBytes} B`, `${after.fileBytes} B`, signed(before.fileBytes, after.fileBytes)],
  ['MACs', `${before.macs}`, `${after.macs}`, signed(before.macs, after.macs)],
  [
    'latency, measured, this machine',
    `${latency.against.latencyMs.median.toFixed(4)} ms`,
    `${latency.latencyMs.median.toFixed(4)} ms`,
    `${latency.against.speedup.toFixed(2)} x as fast`,
  ],
  [
    `latency, estimated, ${device}`,
    ms(there.latencyMs),
    ms(thereAfter.latencyMs),
    signed(there.latencyMs, thereAfter.latencyMs),
  ],
  [
    `RAM, estimated, ${device}`,
    `${there.ramBytes} B`,
    `${thereAfter.ramBytes} B`,
    signed(there.ramBytes, thereAfter.ramBytes),
  ],
  [
    `accuracy, ${top1After.samples} test samples`,
    percent(top1Before.top1),
    percent(top1After.top1),
    `${((top1After.top1 - top1Before.top1) * 100).toFixed(2)} points`,
  ],
];
const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
console.log('\nThe digits model, measured on data that the optimisation did not see:\n');
for (const row of rows)
  console.log(
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('   '),
  );
