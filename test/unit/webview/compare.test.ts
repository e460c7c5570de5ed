import { describe, expect, it } from 'vitest';
import type { OtherModel } from '../../../src/editor/page/protocol.ts';
import { alignmentOf } from '../../../webview-ui/compare/alignment.ts';
import { comparisonOf, differencesOf } from '../../../webview-ui/compare/comparison.ts';
import { loadedGraph } from '../../../webview-ui/loadedGraph.ts';
import { buildFoldTree } from '../../../webview-ui/graph/foldTree.ts';
import { nothingShown } from '../../../webview-ui/graph/hiding.ts';
import { layoutGraph } from '../../../webview-ui/graph/layout.ts';
import { buildScene, layoutInputOf } from '../../../webview-ui/graph/scene.ts';
import { unfoldedAt, visibleGraph } from '../../../webview-ui/graph/visible.ts';
import { type FakeNode, viewOf } from '../../webview/support/builder.ts';
import { resnetLike } from '../../webview/support/graphs.ts';

const before = resnetLike();
const gone = 'layer2/block1/relu1/Relu';
/** One layer renamed, one taken away, one new at the end of a branch. */
const after: readonly FakeNode[] = before
  .filter(({ id }) => id !== gone)
  .map((node) => ({
    ...node,
    id: node.id === 'stem/Relu' ? 'stem/Clip' : node.id,
    inputs: node.inputs.map((input) =>
      input === 'stem/Relu' ? 'stem/Clip' : input === gone ? 'layer2/block1/conv1/Conv' : input,
    ),
  }));

const headline = { fileBytes: 0, params: 0, macs: 0 };
const answer = {
  title: 'before.onnx',
  graph: viewOf(before),
  before: headline,
  after: headline,
  diff: {
    added: [],
    removed: [gone],
    changed: [
      { id: 'stem/Relu', classes: ['op'] },
      { id: 'fc/Gemm', classes: ['weights'] },
    ],
    renamed: [['stem/Relu', 'stem/Clip']],
    unchanged: 1,
    before: headline,
    after: headline,
    notCovered: [],
  },
} as unknown as OtherModel;
const comparison = comparisonOf({ kind: 'steps', count: 0 }, 'm', answer);

describe('a comparison', () => {
  it('finds counterparts both ways, also under other names', () => {
    expect(comparison.toThis('stem/Relu')).toBe('stem/Clip');
    expect(comparison.toOther('stem/Clip')).toBe('stem/Relu');
    expect(comparison.toThis('fc/Gemm')).toBe('fc/Gemm');
    expect(comparison.toThis(gone)).toBeUndefined();
  });

  it('marks each side', () => {
    expect([...comparison.changes]).toEqual([
      ['stem/Clip', 'changed'],
      ['fc/Gemm', 'changed'],
    ]);
    expect(comparison.otherChanges.get(gone)).toBe('removed');
    expect(comparison.otherChanges.get('stem/Relu')).toBe('changed');
  });

  it('lists differences in the order of this model, what is gone last', () => {
    const found = differencesOf(comparison, loadedGraph(viewOf(after)));
    expect(found.map(({ id, change }) => [id, change])).toEqual([
      ['stem/Clip', 'changed'],
      ['fc/Gemm', 'changed'],
      [gone, 'removed'],
    ]);
    expect(found[0]).toMatchObject({ classes: ['op'] });
    expect(found[2]!.after).toBe(-1);
  });
});

describe('cameras', () => {
  const sceneOf = (nodes: readonly FakeNode[]) => {
    const view = viewOf(nodes);
    const tree = buildFoldTree(view);
    const visible = visibleGraph(view, tree, { unfolded: unfoldedAt(tree, tree.depth), show: nothingShown });
    const input = layoutInputOf(view, visible);
    return buildScene(view, tree, visible, input, layoutGraph(input));
  };
  const [here, there] = [sceneOf(after), sceneOf(before)];
  const align = alignmentOf(here, there, comparison.toOther);
  const screen = { width: 500, height: 400 };
  const placeOf = (scene: typeof here, id: string) => {
    const item =
      scene.visible.itemOf[Array.from(scene.view.id, (text) => scene.view.strings[text]).indexOf(id)]!;
    return { item, x: scene.layout.x[item]!, y: scene.layout.y[item]! };
  };

  it('show the counterpart of the selected box at the same height', () => {
    for (const id of ['stem/Clip', 'layer3/block2/Add', 'fc/Gemm']) {
      const mine = placeOf(here, id);
      const theirs = placeOf(there, comparison.toOther(id)!);
      const camera = { x: 20, y: mine.y - 130, zoom: 1 };
      const other = align({ camera, screen, selected: mine.item }, screen);
      expect(theirs.y - other.y).toBeCloseTo(130, 3);
    }
  });

  it('move on without jumps', () => {
    let last: number | undefined;
    for (let y = 0; y < here.layout.height; y += 5) {
      const now = align({ camera: { x: 0, y, zoom: 1 }, screen, selected: -1 }, screen).y;
      if (last !== undefined) {
        expect(now).toBeGreaterThanOrEqual(last);
        // A layer that is missing here makes the other picture hurry, by the height of its row at most.
        expect(now - last).toBeLessThan(20);
      }
      last = now;
    }
  });
});
