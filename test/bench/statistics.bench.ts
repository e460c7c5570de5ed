// Weight statistics of a large file against reading the file, by processor time so that a busy machine disturbs less.
// Usage: npm run bench -- statistics [megabytes]
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { surveyWeights } from '../../src/analysis/weightSurvey.ts';
import { openFile, writeParts } from '../../src/formats/io/files.ts';
import { readModelFile } from '../../src/formats/io/models.ts';
import { encodeOnnx } from '../../src/formats/onnx/write.ts';
import type { DType } from '../../src/ir/dtype.ts';
import { bitsOf } from '../../src/ir/dtype.ts';
import { memoryBytes } from '../../src/ir/bytes.ts';
import type { Node, OnnxModel, Value } from '../../src/ir/model.ts';
import { encodeNumbers } from '../../src/ir/numbers.ts';
import { tensorType } from '../../src/ir/types.ts';

const megabytes = Number(process.argv[2] ?? 400);
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kerf-bench-'));
const side = 2048;

function stack(dtype: DType): OnnxModel {
  const bell = () => (Math.random() + Math.random() + Math.random() - 1.5) * (dtype === 'int8' ? 80 : 0.1);
  const layers = Math.max(1, Math.round((megabytes * 2 ** 20) / ((side * side * bitsOf(dtype)) / 8)));
  const values = new Map<string, Value>([
    ['x', { id: 'x', name: 'x', type: tensorType('float32', [1, side]) }],
  ]);
  const nodes: Node[] = [];
  for (let i = 0; i < layers; i += 1) {
    const numbers = Float64Array.from({ length: side * side }, () =>
      dtype === 'int8' ? Math.round(bell()) : bell(),
    );
    const data = memoryBytes(encodeNumbers(dtype, numbers));
    const dims = [side, side];
    values.set(`w${i}`, {
      id: `w${i}`,
      name: `w${i}`,
      type: tensorType(dtype, dims),
      constant: { dtype, dims, data },
    });
    const inputs = [i === 0 ? 'x' : `h${i - 1}`, `w${i}`];
    nodes.push({
      id: `n${i}`,
      name: '',
      op: 'MatMul',
      domain: '',
      inputs,
      outputs: [`h${i}`],
      attributes: new Map(),
    });
  }
  const main = { name: 'stack', inputs: ['x'], outputs: [`h${layers - 1}`], nodes, values };
  return {
    dialect: 'onnx',
    graphs: [main],
    irVersion: 8,
    opsets: new Map([['', 17]]),
    producerName: '',
    producerVersion: '',
    metadata: [],
    functions: [],
  };
}

async function milliseconds(work: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
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

for (const dtype of ['float32', 'float16', 'int8'] as const) {
  const file = path.join(folder, `${dtype}.onnx`);
  await writeParts(file, encodeOnnx(stack(dtype)));
  const best = { bare: Infinity, pieces: Infinity, statistics: Infinity };
  let grown = 0;
  for (let round = 0; round < 5; round += 1) {
    best.bare = Math.min(best.bare, await milliseconds(() => readBare(file)));
    best.pieces = Math.min(best.pieces, await milliseconds(() => readPieces(file)));
    const { model } = readModelFile(file);
    const before = process.memoryUsage().rss;
    best.statistics = Math.min(best.statistics, await milliseconds(() => surveyWeights(model)));
    grown = Math.max(grown, process.memoryUsage().rss - before);
  }
  const percent = (of: number) => `${((100 * of) / best.statistics).toFixed(0)} %`;
  const size = fs.statSync(file).size;
  console.log(
    `${dtype}, ${(size / 2 ** 20).toFixed(0)} MiB: read into one buffer ${best.bare.toFixed(0)} ms, ` +
      `read through the engine's files ${best.pieces.toFixed(0)} ms, statistics ${best.statistics.toFixed(0)} ms ` +
      `(${percent(best.pieces)} of the engine's reading speed, ${percent(best.bare)} of the bare one), ` +
      `memory grew by ${(grown / 2 ** 20).toFixed(0)} MiB`,
  );
}
fs.rmSync(folder, { recursive: true });
