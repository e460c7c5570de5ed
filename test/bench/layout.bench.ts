// Layout of synthetic networks against @dagrejs/dagre and elkjs on the same boxes and edges.
// Usage: npm run bench -- layout [limit of one run of a peer in seconds, default 120]
import { performance } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';
import { buildFoldTree } from '../../webview-ui/graph/foldTree.ts';
import { everythingShown, nothingShown } from '../../webview-ui/graph/hiding.ts';
import { layoutGraph } from '../../webview-ui/graph/layout.ts';
import type { LayoutInput } from '../../webview-ui/graph/layoutTypes.ts';
import { layoutInputOf } from '../../webview-ui/graph/scene.ts';
import { openingLevel, unfoldedAt, visibleGraph } from '../../webview-ui/graph/visible.ts';
import { viewOf } from '../webview/support/builder.ts';
import { largeNet } from '../webview/support/graphs.ts';

const limitMs = 1000 * Number(process.argv[2] ?? 120);
const sizes = [1000, 3000, 10_000, 100_000];

/** The peer in a worker of its own, so that it can be stopped and its stack may overflow. */
const dagreWorker = `
const { parentPort, workerData } = require('node:worker_threads');
const { Graph, layout } = require('@dagrejs/dagre');
const graph = new Graph();
graph.setGraph({ ranker: workerData.ranker });
graph.setDefaultEdgeLabel(() => ({}));
const { count, from, to, width, height } = workerData.input;
for (let v = 0; v < count; v++) graph.setNode(String(v), { width: width[v], height: height[v] });
for (let e = 0; e < from.length; e++) graph.setEdge(String(from[e]), String(to[e]));
const begin = performance.now();
layout(graph);
parentPort.postMessage(performance.now() - begin);
`;

/** elkjs's own bundle without a worker of its own, in ours; the layered algorithm with what it sets itself. */
const elkWorker = `
const { parentPort, workerData } = require('node:worker_threads');
const ELK = require('elkjs/lib/elk.bundled.js');
const { count, from, to, width, height } = workerData.input;
const graph = {
  id: 'root',
  layoutOptions: { 'elk.algorithm': 'layered', 'elk.direction': 'DOWN' },
  children: Array.from({ length: count }, (_, v) => ({ id: 'n' + v, width: width[v], height: height[v] })),
  edges: Array.from(from, (v, e) => ({ id: 'e' + e, sources: ['n' + v], targets: ['n' + to[e]] })),
};
const begin = performance.now();
new ELK().layout(graph).then(
  () => parentPort.postMessage(performance.now() - begin),
  (error) => parentPort.postMessage('failed: ' + error.message),
);
`;

const peers = { dagre: dagreWorker, elkjs: elkWorker } as const;

async function peerMs(peer: keyof typeof peers, input: LayoutInput): Promise<number | string> {
  const worker = new Worker(peers[peer], {
    eval: true,
    workerData: { input, ranker: 'longest-path' },
    resourceLimits: { maxOldGenerationSizeMb: 8192 },
  });
  const result = await new Promise<number | string>((resolve) => {
    const timer = setTimeout(() => resolve(`not done after ${limitMs / 1000} s`), limitMs);
    worker.on('message', (ms: number | string) => resolve(ms));
    worker.on('error', (error) => resolve(`failed: ${error.message}`));
    worker.on('exit', () => clearTimeout(timer));
  });
  await worker.terminate();
  return result;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!;
}

function timed<T>(work: () => T): { result: T; ms: number } {
  const begin = performance.now();
  const result = work();
  return { result, ms: performance.now() - begin };
}

/** The same graph without the edges that our layout draws as stubs: they cost the peer most. */
function withoutLongEdges(input: LayoutInput, stub: Uint8Array): LayoutInput {
  const kept = (column: Uint32Array) => column.filter((_, e) => stub[e] === 0);
  return { ...input, from: kept(input.from), to: kept(input.to) };
}

const stopped = new Set<string>();

async function compare(
  peer: keyof typeof peers,
  edges: string,
  input: LayoutInput,
  ours: number,
): Promise<void> {
  const title = `${peer}, ${edges}`;
  if (stopped.has(title)) return;
  const ms = await peerMs(peer, input);
  if (typeof ms === 'number') {
    console.log(`  ${title}: ${ms.toFixed(0)} ms, ratio ${(ms / ours).toFixed(0)}`);
  } else {
    console.log(`  ${title}: ${ms}; larger graphs are not tried`);
    stopped.add(title);
  }
}

for (const size of sizes) {
  const view = viewOf(largeNet(size));
  const { result: tree, ms: foldMs } = timed(() => buildFoldTree(view));
  const everything = { unfolded: unfoldedAt(tree, tree.depth), show: everythingShown };
  const visible = visibleGraph(view, tree, everything);
  const input = layoutInputOf(view, visible);
  const runs = size > 50_000 ? 3 : 7;
  for (let warm = 0; warm < 5; warm++) layoutGraph(input);
  const ours = median(Array.from({ length: runs }, () => timed(() => layoutGraph(input)).ms));
  const folded = { unfolded: unfoldedAt(tree, openingLevel(view, tree)), show: nothingShown };
  const opening = timed(() => layoutGraph(layoutInputOf(view, visibleGraph(view, tree, folded)))).ms;
  console.log(`\n${visible.count} boxes, ${input.from.length} edges`);
  console.log(
    `  everything unfolded: ${ours.toFixed(0)} ms (${((1000 * ours) / visible.count).toFixed(1)} µs a box)`,
  );
  console.log(`  as it opens: folds ${foldMs.toFixed(0)} ms, layout ${opening.toFixed(1)} ms`);
  const short = withoutLongEdges(input, layoutGraph(input).stub);
  for (const peer of ['dagre', 'elkjs'] as const) {
    await compare(peer, 'long edges left out', short, ours);
    await compare(peer, 'the same edges', input, ours);
  }
}
