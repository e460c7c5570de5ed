// Crossings and length of lines of our layout against @dagrejs/dagre on real models, counted in the same way for both.
// Usage: npm run bench -- quality [model files; the samples and, where it is there, the collection beside the checkout]
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';
import { analyse } from '../../src/analysis/analyse.ts';
import { graphView } from '../../src/engine/graphView.ts';
import { readModelFile } from '../../src/formats/io/models.ts';
import { buildFoldTree } from '../../webview-ui/graph/foldTree.ts';
import { nothingShown } from '../../webview-ui/graph/hiding.ts';
import { layoutGraph } from '../../webview-ui/graph/layout.ts';
import type { LayoutInput } from '../../webview-ui/graph/layoutTypes.ts';
import { layoutInputOf } from '../../webview-ui/graph/scene.ts';
import { unfoldedAt, visibleGraph } from '../../webview-ui/graph/visible.ts';

const limitMs = 60_000;

/** Lines as chains of points; what leaves one box together is drawn once and counts once. */
type Lines = readonly (readonly (readonly [number, number])[])[];

const dagreWorker = `
const { parentPort, workerData } = require('node:worker_threads');
const { Graph, layout } = require('@dagrejs/dagre');
const graph = new Graph();
graph.setGraph({ nodesep: 28, edgesep: 14, ranksep: 42 });
graph.setDefaultEdgeLabel(() => ({}));
const { count, from, to, width, height } = workerData;
for (let v = 0; v < count; v++) graph.setNode(String(v), { width: width[v], height: height[v] });
for (let e = 0; e < from.length; e++) graph.setEdge(String(from[e]), String(to[e]));
const begin = performance.now();
layout(graph);
const lines = Array.from(from, (v, e) => graph.edge(String(v), String(to[e])).points.map(({ x, y }) => [x, y]));
parentPort.postMessage({ ms: performance.now() - begin, lines });
`;

function dagre(input: LayoutInput): Promise<{ ms: number; lines: Lines } | string> {
  const worker = new Worker(dagreWorker, {
    eval: true,
    workerData: input,
    resourceLimits: { stackSizeMb: 64, maxOldGenerationSizeMb: 4096 },
  });
  return new Promise((resolve) => {
    const end = (result: { ms: number; lines: Lines } | string) => {
      clearTimeout(timer);
      void worker.terminate();
      resolve(result);
    };
    const timer = setTimeout(() => end(`not done after ${limitMs / 1000} s`), limitMs);
    worker.on('message', end);
    worker.on('error', (error: Error) => end(error.message));
  });
}

function ours(input: LayoutInput): { ms: number; lines: Lines; stubs: number } {
  const begin = performance.now();
  const { route, routeStart, stub } = layoutGraph(input);
  const ms = performance.now() - begin;
  const lines = Array.from(input.from, (_, e) => {
    const points: (readonly [number, number])[] = [];
    for (let k = routeStart[e]!; k < routeStart[e + 1]!; k++) points.push([route[2 * k]!, route[2 * k + 1]!]);
    return points;
  });
  return { ms, lines: lines.filter((_, e) => stub[e] === 0), stubs: stub.reduce((a, b) => a + b, 0) };
}

function length(lines: Lines): number {
  let total = 0;
  for (const line of lines)
    for (let i = 1; i < line.length; i++)
      total += Math.hypot(line[i]![0] - line[i - 1]![0], line[i]![1] - line[i - 1]![1]);
  return total;
}

/** Pairs of lines without a common end that cross, sweeping over pieces by height. */
function crossings(lines: Lines, from: Uint32Array, to: Uint32Array): number {
  const pieces = lines.flatMap((line, e) =>
    line.slice(1).map((b, i) => {
      const a = line[i]!;
      return { e, a, b, top: Math.min(a[1], b[1]), bottom: Math.max(a[1], b[1]) };
    }),
  );
  pieces.sort((p, q) => p.top - q.top);
  const pairs = new Set<number>();
  let open: typeof pieces = [];
  const side = (p: readonly [number, number], q: readonly [number, number], r: readonly [number, number]) =>
    Math.sign((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]));
  for (const piece of pieces) {
    open = open.filter(({ bottom }) => bottom > piece.top);
    for (const other of open) {
      const [e, f] = [piece.e, other.e];
      if (from[e] === from[f] || to[e] === to[f] || from[e] === to[f] || to[e] === from[f]) continue;
      const across =
        side(piece.a, piece.b, other.a) * side(piece.a, piece.b, other.b) < 0 &&
        side(other.a, other.b, piece.a) * side(other.a, other.b, piece.b) < 0;
      if (across) pairs.add(Math.min(e, f) * lines.length + Math.max(e, f));
    }
    open.push(piece);
  }
  return pairs.size;
}

function modelFiles(): readonly string[] {
  if (process.argv.length > 2) return process.argv.slice(2);
  const folders = [
    'samples',
    ...['own', 'onnx', 'skeletons', 'tflite'].map((each) => `../shared/models/${each}`),
  ];
  return folders
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder).map((name) => path.join(folder, name)))
    .filter((file) => /\.(onnx|tflite)$/.test(file));
}

const sums = { ours: { crossings: 0, length: 0, ms: 0 }, dagre: { crossings: 0, length: 0, ms: 0 } };
console.log(
  'model                              boxes  edges  stubs | crossings ours dagre | length ratio | time ratio',
);
for (const file of modelFiles()) {
  const { model } = readModelFile(file);
  const view = graphView(model, analyse(model), [], undefined);
  const tree = buildFoldTree(view);
  const visible = visibleGraph(view, tree, { unfolded: unfoldedAt(tree, tree.depth), show: nothingShown });
  const input = layoutInputOf(view, visible);
  ours(input);
  const mine = ours(input);
  // Stubs are left out of both, or the comparison would favour who does not draw them.
  const drawn = layoutGraph(input).stub;
  const fair = {
    ...input,
    from: input.from.filter((_, e) => drawn[e] === 0),
    to: input.to.filter((_, e) => drawn[e] === 0),
  };
  const peer = await dagre(fair);
  const name = path.basename(file).padEnd(34);
  const size = `${String(visible.count).padStart(5)} ${String(input.from.length).padStart(6)} ${String(mine.stubs).padStart(6)}`;
  if (typeof peer === 'string') {
    console.log(`${name} ${size} | dagre: ${peer}`);
    continue;
  }
  const [a, b] = [crossings(mine.lines, fair.from, fair.to), crossings(peer.lines, fair.from, fair.to)];
  const [la, lb] = [length(mine.lines), length(peer.lines)];
  sums.ours.crossings += a;
  sums.dagre.crossings += b;
  sums.ours.length += la;
  sums.dagre.length += lb;
  console.log(
    `${name} ${size} | ${String(a).padStart(14)} ${String(b).padStart(5)} | ${(la / lb).toFixed(2).padStart(12)} | ${(peer.ms / mine.ms).toFixed(0).padStart(6)}`,
  );
}
console.log(
  `\nall together: crossings ${sums.ours.crossings} against ${sums.dagre.crossings} (${(sums.ours.crossings / Math.max(1, sums.dagre.crossings)).toFixed(2)}), length of lines ${(sums.ours.length / sums.dagre.length).toFixed(2)} of dagre's`,
);
