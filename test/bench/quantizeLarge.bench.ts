// Weights of a large ONNX file in fewer bits, pruned or clustered: time against copying the file, and the memory it takes.
// Usage: npm run build && npm run bench -- quantizeLarge [gigabytes [part of a name]]
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { writeParts } from '../../src/formats/io/writeParts.ts';
import { encodeOnnx } from '../../src/formats/onnx/write.ts';
import type { OnnxModel } from '../../src/ir/model.ts';
import { floatTensor } from '../../src/ir/numbers.ts';
import { matmulStack } from './support/matmulStack.ts';

const gigabytes = Number(process.argv[2] ?? 1.5);
const only = process.argv[3] ?? '';
const width = 2048;
const rounds = 3;
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kerf-bench-'));
const file = path.join(folder, 'large.onnx');

/** Square products; their weights differ, so that nothing is shared. */
function stack(): OnnxModel {
  let state = 1;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  const layers = Math.round((gigabytes * 1e9) / (4 * width * width));
  const weight = () => floatTensor([width, width], Float32Array.from({ length: width * width }, next));
  return matmulStack(Array.from({ length: layers }, weight), 21);
}

interface Spent {
  /** By the clock, and of the processor. */
  readonly seconds: number;
  readonly processor: number;
  /** Largest resident memory. */
  readonly megabytes: number;
}

/** Runs a command under GNU time. */
function run(command: string, args: readonly string[]): Spent {
  const done = spawnSync('/usr/bin/env', ['time', '-f', '%e %U %S %M', command, ...args], {
    encoding: 'utf8',
  });
  if (done.status !== 0) throw new Error(done.stderr);
  const [seconds, user, system, peak] = (done.stderr.trim().split('\n').at(-1) ?? '').split(' ').map(Number);
  return {
    seconds: seconds as number,
    processor: (user as number) + (system as number),
    megabytes: (peak as number) / 1000,
  };
}

const ways: readonly (readonly [name: string, pass: string, options: readonly string[]])[] = [
  ['int8', 'quantize-weights', ['bits=8']],
  ['int8, blocks of 32', 'quantize-weights', ['bits=8', 'block=32']],
  ['int4', 'quantize-weights', ['bits=4']],
  ['int4, blocks of 32', 'quantize-weights', ['bits=4', 'block=32']],
  ['float16', 'fp16', []],
  ['bfloat16', 'bf16', []],
  ['dynamic int8', 'quantize-dynamic', []],
  ['a third pruned', 'prune-magnitude', []],
  ['half pruned by magnitude', 'prune-magnitude', ['sparsity=0.5', 'scope=global']],
  ['2 of 4 pruned', 'prune-magnitude', ['pattern=2:4']],
  ['clustered', 'cluster', []],
  ['compact', 'compact', []],
];

/** What is written is brought to the disk, as Kerf does with a file it saves. */
const copies = {
  copying: () => run('cp', [file, path.join(folder, 'copy.onnx')]),
  'copying to the disk': () =>
    run('dd', [`if=${file}`, `of=${path.join(folder, 'copy.onnx')}`, 'bs=8M', 'conv=fsync', 'status=none']),
};

const middle = (numbers: readonly number[]) =>
  numbers.toSorted((a, b) => a - b)[numbers.length >> 1] as number;

try {
  await writeParts(file, encodeOnnx(stack()));
  const size = fs.statSync(file).size;
  console.log(
    `${(size / 1e6).toFixed(0)} MB; median of ${rounds} rounds, each after a copy; load ${os.loadavg()[0]?.toFixed(1)}`,
  );
  const out = path.join(folder, 'out.onnx');
  for (const [name, pass, options] of ways) {
    if (!`${name} ${pass}`.includes(only)) continue;
    const set = options.flatMap((option) => ['--set', option]);
    const rows: { copy: Spent; synced: Spent; made: Spent }[] = [];
    for (let round = 0; round < rounds; round += 1) {
      rows.push({
        copy: copies['copying'](),
        synced: copies['copying to the disk'](),
        made: run(process.execPath, ['dist/cli.cjs', 'apply', file, '--pass', pass, ...set, '-o', out]),
      });
    }
    const of = (which: 'copy' | 'synced' | 'made', what: keyof Spent) =>
      middle(rows.map((row) => row[which][what]));
    const times = (which: 'copy' | 'synced') =>
      middle(rows.map((row) => row.made.seconds / row[which].seconds)).toFixed(2);
    console.log(
      `${name}: ${of('made', 'seconds').toFixed(2)} s (processor ${of('made', 'processor').toFixed(2)} s), ` +
        `${times('copy')} times copying (${of('copy', 'seconds').toFixed(2)} s, processor ${of('copy', 'processor').toFixed(2)} s), ` +
        `${times('synced')} times copying to the disk (${of('synced', 'seconds').toFixed(2)} s), ` +
        `at most ${Math.max(...rows.map((row) => row.made.megabytes)).toFixed(0)} MB of memory, ` +
        `${(fs.statSync(out).size / 1e6).toFixed(0)} MB written`,
    );
  }
} finally {
  fs.rmSync(folder, { recursive: true });
}
