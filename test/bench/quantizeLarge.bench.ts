// Weights of a large ONNX file in 8 or 4 bits: time against copying the file, and the memory it takes.
// Usage: npm run build && npm run bench -- quantizeLarge [gigabytes]
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { writeParts } from '../../src/formats/io/files.ts';
import { encodeOnnx } from '../../src/formats/onnx/write.ts';
import { memoryBytes } from '../../src/ir/bytes.ts';
import type { Node, OnnxModel, Value } from '../../src/ir/model.ts';
import { tensorType } from '../../src/ir/types.ts';

const gigabytes = Number(process.argv[2] ?? 1.5);
const width = 2048;
const rounds = 3;
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kerf-bench-'));
const file = path.join(folder, 'large.onnx');

/** A stack of square products; a few different weights, so that nothing is shared. */
function stack(): OnnxModel {
  const layers = Math.round((gigabytes * 1e9) / (4 * width * width));
  const values = new Map<string, Value>();
  const nodes: Node[] = [];
  const type = tensorType('float32', [1, width]);
  values.set('x', { id: 'x', name: 'x', type });
  let state = 1;
  for (let i = 0; i < layers; i += 1) {
    const floats = new Float32Array(width * width);
    for (let k = 0; k < floats.length; k += 1) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      floats[k] = state / 2 ** 31 - 1;
    }
    const constant = {
      dtype: 'float32',
      dims: [width, width],
      data: memoryBytes(new Uint8Array(floats.buffer)),
    } as const;
    values.set(`w${i}`, {
      id: `w${i}`,
      name: `w${i}`,
      type: tensorType('float32', [width, width]),
      constant,
    });
    const output = i === layers - 1 ? 'y' : `h${i}`;
    const inputs = [i === 0 ? 'x' : `h${i - 1}`, `w${i}`];
    nodes.push({
      id: `n${i}`,
      name: `n${i}`,
      op: 'MatMul',
      domain: '',
      inputs,
      outputs: [output],
      attributes: new Map(),
    });
  }
  values.set('y', { id: 'y', name: 'y', type });
  return {
    dialect: 'onnx',
    graphs: [{ name: 'stack', inputs: ['x'], outputs: ['y'], nodes, values }],
    irVersion: 10,
    opsets: new Map([['', 21]]),
    producerName: '',
    producerVersion: '',
    metadata: [],
    functions: [],
  };
}

/** Runs a command under GNU time; gives seconds of the wall clock and the largest memory of a process of it. */
function run(command: string, args: readonly string[]): { seconds: number; megabytes: number } {
  const start = performance.now();
  const done = spawnSync('/usr/bin/env', ['time', '-v', command, ...args], { encoding: 'utf8' });
  const seconds = (performance.now() - start) / 1000;
  if (done.status !== 0) throw new Error(done.stderr);
  const peak = /Maximum resident set size \(kbytes\): (\d+)/.exec(done.stderr)?.[1];
  return { seconds, megabytes: Number(peak) / 1000 };
}

try {
  await writeParts(file, encodeOnnx(stack()));
  for (const options of [['bits=8'], ['bits=4'], ['bits=4', 'block=32']]) {
    const ratios: number[] = [];
    let memory = 0;
    for (let round = 0; round < rounds; round += 1) {
      const copy = run('cp', [file, path.join(folder, 'copy.onnx')]);
      const set = options.flatMap((option) => ['--set', option]);
      const out = path.join(folder, 'out.onnx');
      const cli = ['dist/cli.cjs', 'apply', file, '--pass', 'quantize-weights', ...set, '-o', out];
      const apply = run(process.execPath, cli);
      ratios.push(apply.seconds / copy.seconds);
      memory = Math.max(memory, apply.megabytes);
      console.log(
        `${options.join(' ')}: copied in ${copy.seconds.toFixed(2)} s, quantized in ${apply.seconds.toFixed(2)} s, ${apply.megabytes.toFixed(0)} MB, ${(fs.statSync(out).size / 1e6).toFixed(0)} MB written`,
      );
    }
    ratios.sort((a, b) => a - b);
    console.log(
      `${options.join(' ')}: ${(ratios[rounds >> 1] as number).toFixed(2)} times the time of a copy, at most ${memory.toFixed(0)} MB`,
    );
  }
} finally {
  fs.rmSync(folder, { recursive: true });
}
