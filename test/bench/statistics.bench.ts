// Weight statistics of a large file against reading the file, side by side in one run: by the clock, as users wait, and by
// processor time, which a busy machine disturbs less. Usage: npm run bench -- statistics [megabytes]
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { build } from 'esbuild';
import { surveyWeights } from '../../src/analysis/weightSurvey.ts';
import { configureCounting, withLanes } from '../../src/engine/weights/countPool.ts';
import { openFile } from '../../src/formats/io/openFile.ts';
import { writeParts } from '../../src/formats/io/writeParts.ts';
import { readModelFile } from '../../src/formats/io/models.ts';
import { encodeOnnx } from '../../src/formats/onnx/write.ts';
import type { DType } from '../../src/ir/dtype.ts';
import { bitsOf } from '../../src/ir/dtype.ts';
import { memoryBytes } from '../../src/ir/bytes.ts';
import type { OnnxModel } from '../../src/ir/model.ts';
import { encodeNumbers } from '../../src/ir/numbers.ts';
import type { Tensor } from '../../src/ir/tensor.ts';
import { matmulStack } from './support/matmulStack.ts';

const megabytes = Number(process.argv[2] ?? 400);
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kerf-bench-'));
const side = 2048;

/** Square products whose weights are about normal. */
function stack(dtype: DType): OnnxModel {
  const bell = () => (Math.random() + Math.random() + Math.random() - 1.5) * (dtype === 'int8' ? 80 : 0.1);
  const number = () => (dtype === 'int8' ? Math.round(bell()) : bell());
  const layers = Math.max(1, Math.round((megabytes * 2 ** 20) / ((side * side * bitsOf(dtype)) / 8)));
  const weight = (): Tensor => {
    const numbers = Float64Array.from({ length: side * side }, number);
    return { dtype, dims: [side, side], data: memoryBytes(encodeNumbers(dtype, numbers)) };
  };
  return matmulStack(Array.from({ length: layers }, weight));
}

interface Spent {
  readonly clock: number;
  readonly processor: number;
}

/** Milliseconds. */
async function spent(work: () => unknown): Promise<Spent> {
  const before = process.cpuUsage();
  const start = performance.now();
  await work();
  const { user, system } = process.cpuUsage(before);
  return { clock: performance.now() - start, processor: (user + system) / 1000 };
}

/** One piece after another into the same memory: the least that reading takes. */
function readBare(file: string): void {
  const piece = Buffer.alloc(1 << 20);
  const fd = fs.openSync(file, 'r');
  while (fs.readSync(fd, piece, 0, piece.length, null) > 0);
  fs.closeSync(fd);
}

function readPieces(file: string): void {
  const bytes = openFile(file);
  for (let at = 0; at < bytes.length; at += 1 << 20) bytes.read(at, 1 << 20);
}

/** The thread's entry of this source tree. */
async function useCounter(): Promise<void> {
  const outfile = path.join(folder, 'counter.cjs');
  await build({
    entryPoints: [path.resolve('src/engine/weights/countWorker.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
  });
  configureCounting({ modulePath: outfile });
}

const rounds = 9;
await useCounter();
const available = os.availableParallelism();
console.log(`best of ${rounds} rounds, ${available} processors, load ${os.loadavg()[0]?.toFixed(1)}`);
for (const dtype of ['float32', 'float16', 'int8'] as const) {
  const file = path.join(folder, `${dtype}.onnx`);
  await writeParts(file, encodeOnnx(stack(dtype)));
  const { model } = readModelFile(file);
  const ways: Readonly<Record<string, () => unknown>> = {
    'read into one buffer': () => readBare(file),
    'read through the engine’s files': () => readPieces(file),
    'statistics, one thread': () => surveyWeights(model),
    statistics: () => withLanes((lanes) => surveyWeights(model, { lanes })),
  };
  const before = process.memoryUsage().rss;
  const runs = new Map<string, Spent[]>();
  for (let round = 0; round < rounds; round += 1)
    for (const [way, work] of Object.entries(ways))
      runs.set(way, [...(runs.get(way) ?? []), await spent(work)]);
  const best = (way: string, of: keyof Spent) => Math.min(...(runs.get(way) ?? []).map((each) => each[of]));
  const grown = process.memoryUsage().rss - before;
  const mebibytes = (bytes: number) => (bytes / 2 ** 20).toFixed(0);
  console.log(`${dtype}, ${mebibytes(fs.statSync(file).size)} MiB, memory grew by ${mebibytes(grown)} MiB`);
  for (const way of Object.keys(ways)) {
    const share = (of: keyof Spent, reading: string) =>
      `${((100 * best(reading, of)) / best(way, of)).toFixed(0)} %`;
    const [bare, pieces] = Object.keys(ways) as [string, string];
    console.log(
      `  ${way.padEnd(32)} clock ${best(way, 'clock').toFixed(0).padStart(4)} ms (${share('clock', pieces)} of the engine’s ` +
        `reading speed, ${share('clock', bare)} of the bare one), processor ${best(way, 'processor').toFixed(0)} ms, ` +
        `first time ${runs.get(way)?.[0]?.clock.toFixed(0)} ms`,
    );
  }
}
fs.rmSync(folder, { recursive: true });
