// Opening a large ONNX file against reading that file once, and the memory it takes.
// Usage: npm run bench -- open [gigabytes]
// The picture of an opened model, by the clock: `npm run build && npm run bench -- firstPicture`.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { analyse } from '../../src/analysis/analyse.ts';
import { graphView } from '../../src/engine/graphView.ts';
import { writeParts } from '../../src/formats/io/writeParts.ts';
import { readModelFile } from '../../src/formats/io/models.ts';
import { encodeOnnx } from '../../src/formats/onnx/write.ts';
import { memoryBytes } from '../../src/ir/bytes.ts';
import type { OnnxModel } from '../../src/ir/model.ts';
import { matmulStack } from './support/matmulStack.ts';

const gigabytes = Number(process.argv[2] ?? 1.5);
const layers = 384;
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kerf-bench-'));
const file = path.join(folder, 'large.onnx');

/** Square products whose weights, all the same, make up the wanted size. */
function stack(bytes: number): OnnxModel {
  const width = Math.round(Math.sqrt(bytes / layers / 4));
  const data = memoryBytes(new Uint8Array(width * width * 4).fill(1));
  const weight = { dtype: 'float32', dims: [width, width], data } as const;
  return matmulStack(Array.from({ length: layers }, () => weight));
}

function seconds(work: () => void): number {
  const start = performance.now();
  work();
  return (performance.now() - start) / 1000;
}

function readOnce(): void {
  const fd = fs.openSync(file, 'r');
  const piece = Buffer.alloc(8 << 20);
  while (fs.readSync(fd, piece, 0, piece.length, null) > 0);
  fs.closeSync(fd);
}

/** The graph as the page gets it: typed arrays as they are, the rest as JSON. */
function pageBytes(): number {
  const { model } = readModelFile(file);
  const view = graphView(model, analyse(model), [], undefined);
  let arrays = 0;
  const text = JSON.stringify(view, (_, value: unknown) => {
    if (!ArrayBuffer.isView(value)) return value;
    arrays += value.byteLength;
    return 0;
  });
  return arrays + text.length;
}

try {
  await writeParts(file, encodeOnnx(stack(gigabytes * 1e9)));
  readOnce();
  const read = Math.min(seconds(readOnce), seconds(readOnce));
  const before = process.memoryUsage().rss;
  const open = [0, 1, 2].map(() => seconds(() => void readModelFile(file)));
  const grown = process.memoryUsage().rss - before;
  const best = Math.min(...open);
  console.log(`file                    ${(fs.statSync(file).size / 1e9).toFixed(2)} GB, ${layers} weights`);
  console.log(`read once (page cache)  ${(read * 1000).toFixed(0)} ms`);
  console.log(
    `open                    ${(best * 1000).toFixed(1)} ms = ${((best / read) * 100).toFixed(2)} % of reading it`,
  );
  console.log(`memory while opening    ${(grown / 1e6).toFixed(1)} MB`);
  console.log(
    `crosses to the page     ${(pageBytes() / 1e3).toFixed(0)} kB: columns and strings of the graph`,
  );
} finally {
  fs.rmSync(folder, { recursive: true, force: true });
}
