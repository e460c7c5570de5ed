import { beforeAll, describe, expect, it } from 'vitest';
import { analyse } from '../../../src/analysis/analyse.ts';
import { executionOrder } from '../../../src/analysis/order.ts';
import type { Part } from '../../../src/analysis/scheduleSearch.ts';
import { peakOf, searchPart } from '../../../src/analysis/scheduleSearch.ts';
import { betterOrder } from '../../../src/analysis/schedule.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import { attr } from '../../../src/ir/attribute.ts';
import type { Model, TfliteModel } from '../../../src/ir/model.ts';
import { withMainGraph } from '../../../src/ir/model.ts';
import { reorder } from '../../../src/passes/reorder/reorder.ts';
import { networkOf } from '../../zoo/rows.ts';
import { generator } from '../analysis/random.ts';
import { constant, graphOf, modelOf, node, value } from '../formats/tflite/support.ts';
import { floatTensor } from '../../../src/ir/numbers.ts';
import { modelFiles } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { OnnxBuilder } from './build.ts';
import { onnxFeeds, relativeError, runOnnx } from './runtime.ts';
import { runTflite } from './tflite.ts';

const context = { seed: 1, step: async () => {} };
const run = (model: Model) => reorder.run(model, {}, context);
const peak = (model: Model) => analyse(model).memory?.peakBytes as number;

beforeAll(async () => {
  await useSourceRunner();
});

/** Branches that widen and narrow again, stored level by level: all of them are wide at once. */
function branchingOnnx() {
  const g = new OnnxBuilder(7);
  const x = g.input('x', [1, 4, 16, 16]);
  const branches = [0, 1, 2, 3];
  for (const i of branches) g.node('Conv', [x, g.floats(`w${i}`, [32, 4, 1, 1])], `wide${i}`);
  for (const i of branches) g.node('Relu', [`wide${i}`], `act${i}`);
  for (const i of branches) g.node('Conv', [`act${i}`, g.floats(`v${i}`, [2, 32, 1, 1])], `narrow${i}`);
  g.node(
    'Concat',
    branches.map((i) => `narrow${i}`),
    'y',
    { axis: 1 },
  );
  g.output('y');
  return g.model();
}

function branchingTflite(): TfliteModel {
  const next = generator(3);
  const weights = (id: string, dims: readonly number[]) =>
    constant(
      id,
      floatTensor(
        dims,
        Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => next(200) / 100 - 1),
      ),
    );
  const branches = [0, 1, 2];
  const same = {
    padding: { kind: 'enum', value: 0, name: 'SAME' },
    stride_w: attr.int(1),
    stride_h: attr.int(1),
  } as const;
  const nodes = [
    ...branches.map((i) => node('CONV_2D', ['x', `w${i}`, `b${i}`], [`wide${i}`], same)),
    ...branches.map((i) => node('CONV_2D', [`wide${i}`, `v${i}`, `c${i}`], [`narrow${i}`], same)),
    node(
      'CONCATENATION',
      branches.map((i) => `narrow${i}`),
      ['y'],
      { axis: attr.int(3) },
    ),
  ];
  const values = [
    value('x', [1, 8, 8, 2]),
    value('y', [1, 8, 8, 3]),
    ...branches.flatMap((i) => [
      value(`wide${i}`, [1, 8, 8, 24]),
      value(`narrow${i}`, [1, 8, 8, 1]),
      weights(`w${i}`, [24, 1, 1, 2]),
      weights(`b${i}`, [24]),
      weights(`v${i}`, [1, 1, 1, 24]),
      weights(`c${i}`, [1]),
    ]),
  ];
  return modelOf(graphOf(nodes, values, ['x'], ['y']));
}

describe('reorder', () => {
  it('runs branches one after another, and ONNX Runtime computes the same', async () => {
    const model = branchingOnnx();
    const { model: after, changed } = await run(model);
    expect(changed.length).toBeGreaterThan(0);
    // All four wide maps lived together; now one does, beside the input and what is narrow already.
    expect(peak(model)).toBeGreaterThan(4 * 32 * 256 * 4);
    expect(peak(after)).toBeLessThan(0.4 * peak(model));
    const feeds = onnxFeeds(model, 5);
    expect(relativeError(await runOnnx(model, feeds), await runOnnx(after as typeof model, feeds))).toBe(0);
  });

  it('does so for TFLite, and LiteRT computes the same', async () => {
    const model = branchingTflite();
    const { model: after } = await run(model);
    expect(peak(after)).toBeLessThan(0.55 * peak(model));
    expect(relativeError(await runTflite(model), await runTflite(after))).toBe(0);
  });

  it('lowers the peak of a Swin transformer', async () => {
    const model = networkOf('Swin_T.', 224) as Model;
    const { model: after } = await run(model);
    expect(peak(after)).toBeLessThan(0.95 * peak(model));
  });

  it('keeps the order of what keeps state, and of files with a plan of their own', async () => {
    const model = branchingTflite();
    const [graph] = model.graphs;
    const custom = graph.nodes.map((each) =>
      each.op === 'CONV_2D' ? { ...each, op: 'mine', domain: 'custom' } : each,
    );
    const { changed } = await run(withMainGraph(model, { ...graph, nodes: custom }));
    expect(changed).toEqual([]);
  });

  for (const file of [...modelFiles('.onnx'), ...modelFiles('.tflite')]) {
    it(`never raises the peak: ${file.split('/').at(-1)}`, () => {
      const { model } = readModelFile(file);
      const graph = model.graphs[0];
      const bind = { sequence: 512, sr: 1 };
      const { types, memory } = analyse(model, { bind });
      if (memory === undefined) return;
      const order = betterOrder(model, executionOrder(graph).nodes, types.get(graph) ?? new Map());
      if (order === undefined) return;
      expect(new Set(order)).toEqual(new Set(graph.nodes));
      const after = analyse(withMainGraph(model, { ...graph, nodes: order }), { bind });
      expect(after.unresolved).toEqual(analyse(model, { bind }).unresolved);
      expect(after.memory?.lowerBoundBytes).toBeLessThanOrEqual(memory.lowerBoundBytes);
      // The order stays one in which producers come first.
      expect(executionOrder({ ...graph, nodes: order }).nodes).toEqual(order);
    });
  }
});

/** The lowest peak over all orders, by trying them all. */
function bruteForce(part: Part): number {
  const count = part.nodes.length;
  let best = Number.POSITIVE_INFINITY;
  const waiting = Array<number>(count).fill(0);
  for (const list of part.successors) for (const next of list) waiting[next] = (waiting[next] as number) + 1;
  const order: number[] = [];
  const extend = () => {
    if (order.length === count) {
      best = Math.min(best, peakOf(part, order));
      return;
    }
    for (let each = 0; each < count; each += 1) {
      if (waiting[each] !== 0 || order.includes(each)) continue;
      order.push(each);
      for (const next of part.successors[each] ?? []) waiting[next] = (waiting[next] as number) - 1;
      extend();
      for (const next of part.successors[each] ?? []) waiting[next] = (waiting[next] as number) + 1;
      order.pop();
    }
  };
  extend();
  return best;
}

describe('the search', () => {
  it.each(Array.from({ length: 60 }, (_, seed) => seed + 1))(
    'finds the best order of random graph %d',
    (seed) => {
      const choose = generator(seed);
      const count = 3 + choose(5);
      const bytes = Array.from({ length: count }, () => 1 + choose(20));
      const reads = bytes.map((_, each) =>
        [...new Set(Array.from({ length: choose(3) }, () => choose(Math.max(1, each))))].filter(
          (group) => group < each,
        ),
      );
      const part: Part = {
        nodes: bytes.map((_, index) => index),
        reads,
        makes: bytes.map((_, index) => [index]),
        successors: bytes.map((_, from) =>
          bytes.flatMap((__, to) => (reads[to]?.includes(from) ? [to] : [])),
        ),
        inPlace: bytes.map(() => choose(3) === 0),
        bytes,
        readers: bytes.map((_, group) => reads.filter((list) => list.includes(group)).length),
        held: bytes.map(() => choose(4) === 0),
        entering: 0,
      };
      const found = searchPart(part, 0, 1_000_000);
      expect(found.peak).toBe(peakOf(part, found.order));
      expect(found.peak).toBe(bruteForce(part));
    },
  );
});
