// A graph of 10,000 nodes: read, analysed and laid out, against @dagrejs/dagre laying out the same graph.
// Usage: npm run bench -- graph [nodes]
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { analyse } from '../../src/analysis/analyse.ts';
import { graphView } from '../../src/engine/graphView.ts';
import { readModelFile, writeModelFile } from '../../src/formats/io/models.ts';
import { layoutGraph } from '../../webview-ui/graph/layout.ts';
import { residualNetwork } from './support/residualNetwork.ts';

const wanted = Number(process.argv[2] ?? 10_000);
const dagreLimitMs = 180_000;

function best(work: () => void, times = 3): number {
  let least = Infinity;
  for (let i = 0; i < times; i += 1) {
    const start = performance.now();
    work();
    least = Math.min(least, performance.now() - start);
  }
  return least;
}

/** dagre in a thread of its own with a large stack, so that it may fail or take too long. */
function dagreMs(count: number, from: Uint32Array, to: Uint32Array): Promise<number | string> {
  const code = `
    const { workerData, parentPort } = require('node:worker_threads');
    const dagre = require('@dagrejs/dagre');
    const g = new dagre.graphlib.Graph({ multigraph: true });
    g.setGraph({ ranker: 'longest-path' });
    g.setDefaultEdgeLabel(() => ({}));
    for (let i = 0; i < workerData.count; i++) g.setNode(String(i), { width: 180, height: 60 });
    workerData.from.forEach((v, i) => g.setEdge(String(v), String(workerData.to[i]), {}, String(i)));
    const start = performance.now();
    try { dagre.layout(g); parentPort.postMessage(performance.now() - start); }
    catch (error) { parentPort.postMessage(error.message); }`;
  return new Promise((resolve) => {
    const worker = new Worker(code, {
      eval: true,
      workerData: { count, from, to },
      resourceLimits: { stackSizeMb: 64, maxOldGenerationSizeMb: 8192 },
    });
    const timer = setTimeout(() => {
      void worker.terminate();
      resolve(`no result within ${dagreLimitMs / 1000} s`);
    }, dagreLimitMs);
    worker.on('message', (result: number | string) => {
      clearTimeout(timer);
      void worker.terminate();
      resolve(result);
    });
    worker.on('error', (error: Error) => resolve(error.message));
  });
}

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kerf-bench-'));
const file = path.join(folder, 'graph.onnx');
try {
  await writeModelFile(residualNetwork(wanted), file);
  const read = best(() => void readModelFile(file));
  let model = readModelFile(file).model;
  const analysed =
    best(() => {
      ({ model } = readModelFile(file));
      analyse(model);
    }) - read;
  const view = graphView(model, analyse(model), [], undefined);
  const { nodeCount, edgeFrom, edgeTo } = view;
  const width = new Float32Array(nodeCount).fill(180);
  const height = new Float32Array(nodeCount).fill(60);
  const laidOut = best(
    () => void layoutGraph({ count: nodeCount, from: edgeFrom, to: edgeTo, width, height }),
  );
  const total = read + analysed + laidOut;
  console.log(`${nodeCount} nodes, ${edgeFrom.length} edges`);
  console.log(
    `read ${read.toFixed(0)} ms, analyse ${analysed.toFixed(0)} ms, lay out ${laidOut.toFixed(0)} ms, together ${total.toFixed(0)} ms`,
  );
  const dagre = await dagreMs(nodeCount, edgeFrom, edgeTo);
  if (typeof dagre === 'string') console.log(`@dagrejs/dagre, layout alone: ${dagre}`);
  else
    console.log(
      `@dagrejs/dagre, layout alone: ${dagre.toFixed(0)} ms: layout ${(dagre / laidOut).toFixed(0)} times, everything ${(dagre / total).toFixed(0)} times faster`,
    );
} finally {
  fs.rmSync(folder, { recursive: true, force: true });
}
