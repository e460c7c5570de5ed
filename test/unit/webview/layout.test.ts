import { describe, expect, it } from 'vitest';
import { layoutGraph } from '../../../webview-ui/graph/layout.ts';
import type { Layout, LayoutInput } from '../../../webview-ui/graph/layoutTypes.ts';
import { type FakeNode, viewOf } from '../../webview/support/builder.ts';
import { largeNet, resnetLike, seeded, transformerLike } from '../../webview/support/graphs.ts';

function inputOf(nodes: readonly FakeNode[], hint?: Float32Array): LayoutInput {
  const view = viewOf(nodes);
  return {
    count: view.nodeCount,
    width: new Float32Array(view.nodeCount).fill(180),
    height: Float32Array.from({ length: view.nodeCount }, (_, i) => (view.kind[i] === 0 ? 64 : 40)),
    ...distinctEdges(view.edgeFrom, view.edgeTo),
    ...(hint === undefined ? {} : { hint }),
  };
}

function distinctEdges(from: Uint32Array, to: Uint32Array): { from: Uint32Array; to: Uint32Array } {
  const seen = new Set<string>();
  const kept = [...from.keys()].filter((e) => {
    const key = `${from[e]} ${to[e]}`;
    return seen.has(key) || from[e] === to[e] ? false : seen.add(key) !== undefined;
  });
  return { from: Uint32Array.from(kept, (e) => from[e]!), to: Uint32Array.from(kept, (e) => to[e]!) };
}

function overlaps(input: LayoutInput, layout: Layout): number {
  const byRank = new Map<number, number[]>();
  for (let v = 0; v < input.count; v++) {
    const rank = layout.rank[v]!;
    byRank.set(rank, [...(byRank.get(rank) ?? []), v]);
  }
  let found = 0;
  for (const row of byRank.values()) {
    row.sort((a, b) => layout.x[a]! - layout.x[b]!);
    for (let k = 1; k < row.length; k++) {
      const [a, b] = [row[k - 1]!, row[k]!];
      if (layout.x[b]! - layout.x[a]! < (input.width[a]! + input.width[b]!) / 2 + 4) found++;
    }
  }
  return found;
}

function randomDag(count: number, seed: number): LayoutInput {
  const random = seeded(seed);
  const from: number[] = [];
  const to: number[] = [];
  for (let v = 1; v < count; v++) {
    const inputs = Math.floor(random() * 4);
    for (let k = 0; k < inputs; k++) {
      from.push(Math.max(0, v - 1 - Math.floor(random() * random() * v)));
      to.push(v);
    }
  }
  return {
    count,
    width: Float32Array.from({ length: count }, () => 40 + random() * 200),
    height: Float32Array.from({ length: count }, () => 20 + random() * 80),
    ...distinctEdges(Uint32Array.from(from), Uint32Array.from(to)),
  };
}

const pictures: readonly (readonly [string, LayoutInput])[] = [
  ['residual network', inputOf(resnetLike())],
  ['transformer', inputOf(transformerLike(6))],
  ['branching network', inputOf(largeNet(600))],
  ...Array.from({ length: 12 }, (_, k) => [`random graph ${k}`, randomDag(20 + 40 * k, k)] as const),
];

describe.each(pictures)('%s', (_, input) => {
  const layout = layoutGraph(input);

  it('has no overlaps', () => {
    expect(overlaps(input, layout)).toBe(0);
    for (const x of layout.x) expect(Number.isFinite(x)).toBe(true);
  });

  it('begins in the corner and ends at its size', () => {
    const lefts = Array.from(layout.x, (x, v) => x - input.width[v]! / 2);
    const routeX = layout.route.filter((_, k) => k % 2 === 0);
    expect(Math.min(...lefts, ...routeX)).toBeCloseTo(0, 1);
    expect(Math.max(...routeX)).toBeLessThanOrEqual(layout.width + 0.1);
    expect(Math.max(...Array.from(layout.y, (y, v) => y + input.height[v]! / 2))).toBeCloseTo(
      layout.height,
      1,
    );
  });

  it('runs downwards', () => {
    for (let e = 0; e < input.from.length; e++) {
      const [u, w] = [input.from[e]!, input.to[e]!];
      expect(layout.y[u]! + input.height[u]! / 2).toBeLessThan(layout.y[w]! - input.height[w]! / 2);
    }
  });

  it('routes from the bottom of one box to the top of the other, never upwards', () => {
    for (let e = 0; e < input.from.length; e++) {
      const points = layout.route.subarray(2 * layout.routeStart[e]!, 2 * layout.routeStart[e + 1]!);
      const [u, w] = [input.from[e]!, input.to[e]!];
      expect(points[1]).toBeCloseTo(layout.y[u]! + input.height[u]! / 2, 1);
      expect(points[points.length - 1]).toBeCloseTo(layout.y[w]! - input.height[w]! / 2, 1);
      expect(Math.abs(points[0]! - layout.x[u]!)).toBeLessThanOrEqual(input.width[u]! / 2);
      if (layout.stub[e] === 1) continue;
      for (let k = 3; k < points.length; k += 2) {
        expect(points[k]! + 0.01).toBeGreaterThanOrEqual(points[k - 2]!);
      }
    }
  });

  it('is the same every time', () => {
    expect(layoutGraph(input)).toEqual(layout);
  });
});

describe('lines', () => {
  it('chains are straight', () => {
    const count = 40;
    const from = Uint32Array.from({ length: count - 1 }, (_, k) => k);
    const layout = layoutGraph({
      count,
      width: Float32Array.from({ length: count }, (_, k) => 100 + (k % 5) * 30),
      height: new Float32Array(count).fill(50),
      from,
      to: from.map((v) => v + 1),
    });
    for (const x of layout.x) expect(x).toBe(layout.x[0]);
  });

  it('the trunk of a residual network bends nowhere inside a block', () => {
    const nodes = resnetLike();
    const layout = layoutGraph(inputOf(nodes));
    const at = (id: string) => layout.x[nodes.findIndex((node) => node.id === id)]!;
    for (const stage of [1, 2, 3]) {
      for (const block of [0, 1, 2]) {
        const s = `layer${stage}/block${block}`;
        expect(at(`${s}/relu1/Relu`)).toBeCloseTo(at(`${s}/conv1/Conv`), 1);
        expect(at(`${s}/conv2/Conv`)).toBeCloseTo(at(`${s}/conv1/Conv`), 1);
        expect(at(`${s}/relu2/Relu`)).toBeCloseTo(at(`${s}/Add`), 1);
      }
    }
  });

  it('a tree and a residual network have no crossings', () => {
    expect(layoutGraph(inputOf(resnetLike())).crossings).toBe(0);
    const from = Uint32Array.from({ length: 62 }, (_, k) => k >> 1);
    const tree = { count: 63, width: new Float32Array(63).fill(50), height: new Float32Array(63).fill(50) };
    expect(layoutGraph({ ...tree, from, to: from.map((_, k) => k + 1) }).crossings).toBe(0);
  });

  it('edges over many ranks are stubs', () => {
    const nodes = largeNet(3000);
    const input = inputOf(nodes);
    const layout = layoutGraph(input);
    const spans = [...input.from.keys()].map(
      (e) => layout.rank[input.to[e]!]! - layout.rank[input.from[e]!]!,
    );
    expect(Math.max(...spans)).toBeGreaterThan(40);
    spans.forEach((span, e) => expect(layout.stub[e]).toBe(span > 40 ? 1 : 0));
  });
});

describe('bad graphs', () => {
  it('an empty graph has an empty picture', () => {
    const none = new Uint32Array(0);
    const empty = new Float32Array(0);
    expect(layoutGraph({ count: 0, width: empty, height: empty, from: none, to: none }).height).toBe(0);
  });

  it('cycles are cut, and every box is still placed', () => {
    const input = {
      count: 4,
      width: new Float32Array(4).fill(50),
      height: new Float32Array(4).fill(50),
      from: Uint32Array.of(0, 1, 2, 3),
      to: Uint32Array.of(1, 2, 1, 2),
    };
    const layout = layoutGraph(input);
    expect(overlaps(input, layout)).toBe(0);
    expect(layout.routeStart[4]! * 2).toBe(layout.route.length);
  });
});

describe('stability', () => {
  /** Puts a layer between two others, as a pass does. */
  function insertAfter(nodes: readonly FakeNode[], id: string): FakeNode[] {
    return nodes.flatMap((node) => {
      const rewired = { ...node, inputs: node.inputs.map((input) => (input === id ? 'new' : input)) };
      return node.id === id ? [node, { ...node, id: 'new', inputs: [id], op: 'Cast' }] : [rewired];
    });
  }

  it.each([
    ['residual network', resnetLike(), 'layer2/block1/conv1/Conv'],
    ['transformer', transformerLike(4), 'encoder/layer.2/attention/key/MatMul'],
  ])('an insertion into a %s keeps the order of everything else', (_, nodes, id) => {
    const before = layoutGraph(inputOf(nodes));
    const old = new Map(nodes.map((node, i) => [node.id, before.x[i]!]));
    const edited = insertAfter(nodes, id);
    const hint = Float32Array.from(edited, (node) => old.get(node.id) ?? Number.NaN);
    const after = layoutGraph(inputOf(edited, hint));
    const rows = new Map<number, number[]>();
    edited.forEach((node, i) => {
      if (old.has(node.id)) rows.set(after.rank[i]!, [...(rows.get(after.rank[i]!) ?? []), i]);
    });
    const oldRank = new Map(nodes.map((node, i) => [node.id, before.rank[i]!]));
    for (const row of rows.values()) {
      for (const a of row) {
        for (const b of row) {
          const [ida, idb] = [edited[a]!.id, edited[b]!.id];
          if (oldRank.get(ida) !== oldRank.get(idb)) continue;
          expect(Math.sign(after.x[a]! - after.x[b]!)).toBe(Math.sign(old.get(ida)! - old.get(idb)!));
        }
      }
    }
  });
});

describe('size', () => {
  it('ten thousand layers are laid out without overlaps', () => {
    const input = inputOf(largeNet(10_000));
    expect(overlaps(input, layoutGraph(input))).toBe(0);
  });
});
