import { describe, expect, it } from 'vitest';
import { buildFoldTree } from '../../../webview-ui/graph/foldTree.ts';
import { nothingShown } from '../../../webview-ui/graph/hiding.ts';
import { hintOf } from '../../../webview-ui/graph/hint.ts';
import { layoutGraph } from '../../../webview-ui/graph/layout.ts';
import { motionOf } from '../../../webview-ui/graph/motion.ts';
import { type Scene, buildScene, layoutInputOf } from '../../../webview-ui/graph/scene.ts';
import { unfoldedAt, visibleGraph } from '../../../webview-ui/graph/visible.ts';
import { type FakeNode, viewOf } from '../../webview/support/builder.ts';
import { largeNet, resnetLike, transformerLike } from '../../webview/support/graphs.ts';

function sceneOf(nodes: readonly FakeNode[], former?: Scene): Scene {
  const view = viewOf(nodes);
  const tree = buildFoldTree(view);
  const visible = visibleGraph(view, tree, { unfolded: unfoldedAt(tree, tree.depth), show: nothingShown });
  const input = layoutInputOf(view, visible, former === undefined ? {} : hintOf(former, view, visible));
  return buildScene(view, tree, visible, input, layoutGraph(input));
}

/** The network without one layer; whoever read it reads what it read. */
function without(nodes: readonly FakeNode[], id: string): readonly FakeNode[] {
  const gone = nodes.find((node) => node.id === id)!;
  return nodes
    .filter((node) => node !== gone)
    .map((node) => ({
      ...node,
      inputs: node.inputs.flatMap((input) => (input === id ? gone.inputs : [input])),
    }));
}

const placesOf = (scene: Scene) =>
  new Map(
    Array.from(scene.visible.node, (v, i) => [
      scene.view.strings[scene.view.id[v]!]!,
      { x: scene.layout.x[i]!, y: scene.layout.y[i]! },
    ]),
  );

const networks: readonly (readonly [string, readonly FakeNode[]])[] = [
  ['residual network', resnetLike()],
  ['transformer', transformerLike(4)],
  ['branching network', largeNet(600)],
];

describe.each(networks)('an edit of a %s', (_, nodes) => {
  const before = sceneOf(nodes, sceneOf(nodes));

  it('that changes nothing moves nothing', () => {
    const is = placesOf(sceneOf(nodes, before));
    for (const [id, { x, y }] of placesOf(before)) {
      expect(is.get(id)!.x).toBeCloseTo(x, 2);
      expect(is.get(id)!.y).toBe(y);
    }
  });

  it('that takes a layer away leaves the others where they are beside one another', () => {
    const inner = nodes.filter(
      ({ id, kind, inputs }) =>
        (kind ?? 0) === 0 &&
        inputs.length === 1 &&
        nodes.filter((other) => other.inputs.includes(id)).length === 1,
    );
    for (const gone of [inner[3]!, inner[Math.floor(inner.length / 2)]!]) {
      const after = sceneOf(without(nodes, gone.id), before);
      const [was, is] = [placesOf(before), placesOf(after)];
      // The corner of the picture may move, which the camera follows.
      const shifts = [...is].map(([id, { x }]) => x - was.get(id)!.x);
      const usual = shifts.toSorted((a, b) => a - b)[shifts.length >> 1]!;
      const strayed = shifts.filter((shift) => Math.abs(shift - usual) > 1);
      expect(strayed.length).toBeLessThan(0.03 * shifts.length + 2);
    }
  });

  it('keeps boxes apart', () => {
    const gone = nodes.filter(({ kind, inputs }) => (kind ?? 0) === 0 && inputs.length === 1)[7]!;
    const { layout, input, visible } = sceneOf(without(nodes, gone.id), before);
    const byRank = new Map<number, number[]>();
    for (const i of visible.node.keys())
      byRank.set(layout.rank[i]!, [...(byRank.get(layout.rank[i]!) ?? []), i]);
    for (const row of byRank.values()) {
      row.sort((a, b) => layout.x[a]! - layout.x[b]!);
      for (let k = 1; k < row.length; k++) {
        const [a, b] = [row[k - 1]!, row[k]!];
        const gap = layout.x[b]! - layout.x[a]! - (input.width[a]! + input.width[b]!) / 2;
        expect(gap).toBeGreaterThan(13.9);
      }
    }
  });
});

describe('motion', () => {
  const camera = { x: 0, y: 0, zoom: 1 };
  const nodes = resnetLike();
  const before = sceneOf(nodes);
  const after = sceneOf(without(nodes, 'layer2/block1/relu1/Relu'), before);

  it('starts where the boxes were and ends where they are', () => {
    const motion = motionOf({ scene: before, camera }, { scene: after, camera }, false)!;
    const [was, first] = [placesOf(before), placesOf(motion.at(100)!.scene)];
    for (const [id, place] of first) expect(place.y).toBeCloseTo(was.get(id)!.y, 3);
    const late = motion.at(270)!;
    const goal = placesOf(after);
    for (const [id, place] of placesOf(late.scene))
      expect(Math.abs(place.y - goal.get(id)!.y)).toBeLessThan(2);
    expect(motion.at(281)).toBeUndefined();
  });

  it('is none when it is unwanted or when nothing moves', () => {
    expect(motionOf({ scene: before, camera }, { scene: after, camera }, true)).toBeUndefined();
    expect(motionOf({ scene: before, camera }, { scene: before, camera }, false)).toBeUndefined();
  });
});
