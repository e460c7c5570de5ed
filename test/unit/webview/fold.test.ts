import { describe, expect, it } from 'vitest';
import { constantHosts } from '../../../webview-ui/graph/constants.ts';
import { buildFoldTree } from '../../../webview-ui/graph/foldTree.ts';
import { type Shown, everythingShown, nothingShown } from '../../../webview-ui/graph/hiding.ts';
import { segmentsOf } from '../../../webview-ui/graph/segments.ts';
import { openingLevel, unfoldedAt, visibleGraph } from '../../../webview-ui/graph/visible.ts';
import { type FakeNode, viewOf } from '../../webview/support/builder.ts';
import { largeNet, resnetLike, seeded, transformerLike } from '../../webview/support/graphs.ts';

const models: readonly (readonly [string, readonly FakeNode[]])[] = [
  ['residual network', resnetLike()],
  ['transformer', transformerLike(12)],
  ['transformer without names', transformerLike(12, false)],
  ['branching network', largeNet(1500)],
];

describe.each(models)('folds of a %s', (_, nodes) => {
  const view = viewOf(nodes);
  const tree = buildFoldTree(view);

  it('parents come before children, and groups count their layers', () => {
    const sizes = new Uint32Array(tree.groups.length);
    for (let v = 0; v < view.nodeCount; v++) {
      if (tree.host[v]! >= 0) continue;
      for (let g = tree.of[v]!; g >= 0; g = tree.groups[g]!.parent) sizes[g]!++;
    }
    tree.groups.forEach(({ parent, size, depth }, g) => {
      expect(parent).toBeLessThan(g);
      expect(size).toBe(sizes[g]);
      expect(depth).toBe(parent < 0 ? 0 : tree.groups[parent]!.depth + 1);
      expect(size).toBeGreaterThanOrEqual(3);
    });
    expect(new Set(tree.groups.map(({ key }) => key)).size).toBe(tree.groups.length);
  });

  it('every level shows every layer once, in a card or inside a tile', () => {
    for (let level = 0; level <= tree.depth; level++) {
      const visible = visibleGraph(view, tree, { unfolded: unfoldedAt(tree, level), show: everythingShown });
      const shown = new Set(visible.itemOf);
      expect(shown.size).toBe(visible.count);
      for (let e = 0; e < visible.from.length; e++) expect(visible.from[e]).not.toBe(visible.to[e]);
      const pairs = new Set(Array.from(visible.from, (from, e) => `${from} ${visible.to[e]}`));
      expect(pairs.size).toBe(visible.from.length);
    }
    const all = visibleGraph(view, tree, { unfolded: unfoldedAt(tree, tree.depth), show: everythingShown });
    expect(all.count).toBe(view.nodeCount);
  });

  it('each edge of the model is on the picture or inside a tile', () => {
    const visible = visibleGraph(view, tree, { unfolded: unfoldedAt(tree, 1), show: everythingShown });
    const outside = Array.from(view.edgeFrom, (from, e) => [from, view.edgeTo[e]!] as const).filter(
      ([from, to]) => visible.itemOf[from] !== visible.itemOf[to],
    );
    expect(visible.merged.reduce((a, b) => a + b, 0)).toBe(outside.length);
  });
});

describe('opening', () => {
  it('small models open unfolded, large ones with few boxes', () => {
    const small = viewOf(resnetLike());
    expect(openingLevel(small, buildFoldTree(small))).toBe(buildFoldTree(small).depth);
    for (const nodes of [transformerLike(12), transformerLike(12, false), largeNet(10_000)]) {
      const view = viewOf(nodes);
      const tree = buildFoldTree(view);
      const unfolded = unfoldedAt(tree, openingLevel(view, tree));
      const { count } = visibleGraph(view, tree, { unfolded, show: nothingShown });
      expect(count).toBeGreaterThan(5);
      expect(count).toBeLessThan(80);
    }
  });

  it('a transformer without names shows its blocks', () => {
    const view = viewOf(transformerLike(12, false));
    const titles = buildFoldTree(view).groups.map(({ title }) => title);
    expect(titles.filter((title) => /^Block \d+ of 1[12]$/.test(title)).length).toBeGreaterThanOrEqual(11);
  });
});

describe('segments', () => {
  it('cover everything once, in order', () => {
    const random = seeded(3);
    for (let trial = 0; trial < 30; trial++) {
      const tokens = Uint32Array.from({ length: 20 + trial * 15 }, () => Math.floor(random() * 4));
      const crossing = tokens.map(() => 1 + Math.floor(random() * 3));
      let at = 0;
      for (const { begin, end } of segmentsOf(tokens, crossing)) {
        expect(begin).toBe(at);
        expect(end).toBeGreaterThan(begin);
        at = end;
      }
      expect(at).toBe(tokens.length);
    }
  });

  it('one operator again and again is no block', () => {
    const tokens = new Uint32Array(30).fill(7);
    expect(segmentsOf(tokens, new Uint32Array(30).fill(1))).toEqual([
      { begin: 0, end: 30, title: 'Layers 1 to 30' },
    ]);
  });
});

describe('constants', () => {
  const nodes: FakeNode[] = [
    { kind: 1, id: 'x', op: 'Input', family: 'other', shape: [1], inputs: [] },
    { id: 'c', op: 'Constant', family: 'constant', shape: [1], inputs: [] },
    { id: 'scaled', op: 'Mul', family: 'elementwise', shape: [1], inputs: ['c'] },
    { id: 'a', op: 'Add', family: 'elementwise', shape: [1], inputs: ['x', 'scaled'] },
    { id: 'b', op: 'Add', family: 'elementwise', shape: [1], inputs: ['a', 'c'] },
    { kind: 2, id: 'y', op: 'Output', family: 'other', shape: [1], inputs: ['b'] },
  ];

  it('hide in the first layer they feed, with what they are made from', () => {
    expect([...constantHosts(viewOf(nodes))]).toEqual([-1, 3, 3, -1, -1, -1]);
  });

  it('leave no edge between the layers they feed', () => {
    const view = viewOf(nodes);
    const visible = visibleGraph(view, buildFoldTree(view), { unfolded: new Set(), show: nothingShown });
    expect(visible.count).toBe(4);
    expect([...visible.itemOf]).toEqual([0, 1, 1, 1, 2, 3]);
    expect(Array.from(visible.from, (from, e) => [from, visible.to[e]])).toEqual([
      [0, 1],
      [1, 2],
      [2, 3],
    ]);
  });

  it('a graph without inputs keeps all its cards', () => {
    const view = viewOf(nodes.filter(({ id }) => id === 'c' || id === 'scaled'));
    expect([...constantHosts(view)]).toEqual([-1, -1]);
  });
});

describe('shape arithmetic and quantization pairs', () => {
  const layer = (id: string, op: string, inputs: readonly string[], family = 'elementwise'): FakeNode => ({
    id,
    op,
    family: family as FakeNode['family'],
    shape: [1],
    inputs,
  });
  const view = viewOf([
    { kind: 1, id: 'x', op: 'Input', family: 'other', shape: [1], inputs: [] },
    layer('conv', 'Conv', ['x']),
    layer('q', 'QuantizeLinear', ['conv'], 'quantization'),
    layer('dq', 'DequantizeLinear', ['q'], 'quantization'),
    layer('shape', 'Shape', ['dq'], 'shape'),
    layer('slice', 'Slice', ['shape']),
    layer('two', 'Constant', [], 'constant'),
    layer('mul', 'Mul', ['slice', 'two']),
    layer('reshape', 'Reshape', ['dq', 'mul']),
    layer('edge', 'QuantizeLinear', ['reshape'], 'quantization'),
    { kind: 2, id: 'y', op: 'Output', family: 'other', shape: [1], inputs: ['edge'] },
  ]);
  const tree = buildFoldTree(view);
  const shownAs = (show: Shown) => {
    const visible = visibleGraph(view, tree, { unfolded: new Set(), show });
    const name = (i: number) => view.strings[view.id[visible.node[i]!]!]!;
    return Array.from(visible.from, (from, e) => `${name(from)} ${name(visible.to[e]!)}`);
  };

  it('fold into the layer they serve and leave the flow of data', () => {
    expect(shownAs(nothingShown)).toEqual(['x conv', 'conv reshape', 'reshape edge', 'edge y']);
  });

  it('come out one kind at a time', () => {
    expect(shownAs({ ...nothingShown, pairs: true })).toEqual([
      'x conv',
      'conv q',
      'q dq',
      'dq reshape',
      'reshape edge',
      'edge y',
    ]);
    expect(shownAs({ ...nothingShown, shapes: true })).toEqual(
      expect.arrayContaining(['conv shape', 'shape slice', 'slice mul', 'mul reshape', 'conv reshape']),
    );
    expect(shownAs(everythingShown)).toHaveLength(view.edgeFrom.length);
  });
});
