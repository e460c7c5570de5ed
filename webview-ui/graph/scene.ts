import type { GraphView } from '../../src/engine/view.ts';
import { count, macs, plural } from '../format.ts';
import type { Box } from './camera.ts';
import type { FoldTree } from './foldTree.ts';
import { type Grid, buildGrid } from './grid.ts';
import type { Layout, LayoutInput } from './layoutTypes.ts';
import type { Visible } from './visible.ts';

const cardWidth = 188;
const cardHeight = 64;
const portHeight = 44;
const tileHeight = 78;

/** The words on a box. */
interface Label {
  readonly title: string;
  readonly second: string;
  readonly third: string;
}

/** Everything the painter needs of one picture; rebuilt when the graph or the folds change. */
export interface Scene {
  readonly view: GraphView;
  readonly tree: FoldTree;
  readonly visible: Visible;
  readonly input: LayoutInput;
  readonly layout: Layout;
  readonly boxes: Grid;
  readonly lines: Grid;
  readonly labels: readonly Label[];
  /** Layers behind each item. */
  readonly members: readonly (readonly number[])[];
  /** Families inside a tile, largest share of work first. */
  readonly mixes: readonly (readonly { readonly family: string; readonly share: number }[] | undefined)[];
  /** Findings and worst severity behind each item. */
  readonly findings: Uint32Array;
  readonly severity: Uint8Array;
  readonly outlines: readonly Outline[];
  /** Edges drawn as stubs. */
  readonly stubs: readonly number[];
}

/** The frame around an unfolded group. */
export interface Outline extends Box {
  readonly group: number;
  readonly title: string;
}

export function layoutInputOf(view: GraphView, visible: Visible, hint: Partial<Hint> = {}): LayoutInput {
  const height = Float32Array.from(visible.node, (v, i) =>
    visible.group[i]! >= 0 ? tileHeight : view.kind[v] === 0 ? cardHeight : portHeight,
  );
  return {
    count: visible.count,
    width: new Float32Array(visible.count).fill(cardWidth),
    height,
    from: visible.from,
    to: visible.to,
    ...hint,
  };
}

export function boxOf(scene: { input: LayoutInput; layout: Layout }, i: number): Box {
  const { x, y } = scene.layout;
  const { width, height } = scene.input;
  return {
    left: x[i]! - width[i]! / 2,
    top: y[i]! - height[i]! / 2,
    right: x[i]! + width[i]! / 2,
    bottom: y[i]! + height[i]! / 2,
  };
}

export function buildScene(
  view: GraphView,
  tree: FoldTree,
  visible: Visible,
  input: LayoutInput,
  layout: Layout,
): Scene {
  const members: number[][] = Array.from({ length: visible.count }, () => []);
  for (let v = 0; v < view.nodeCount; v++) members[visible.itemOf[v]!]!.push(v);
  const placed = { input, layout };
  const boxes = new Float32Array(visible.count * 4);
  for (let i = 0; i < visible.count; i++) {
    const { left, top, right, bottom } = boxOf(placed, i);
    boxes.set([left, top, right, bottom], 4 * i);
  }
  const scene: Scene = {
    view,
    tree,
    visible,
    input,
    layout,
    boxes: buildGrid(boxes, 480),
    lines: buildGrid(lineBoxes(layout, input.from.length), 640),
    labels: members.map((list, i) => labelOf(view, tree, visible, list, i)),
    members,
    mixes: members.map((list, i) => (visible.group[i]! < 0 ? undefined : mixOf(view, list))),
    findings: new Uint32Array(visible.count),
    severity: new Uint8Array(visible.count),
    outlines: outlinesOf(tree, visible, placed, boxes),
    stubs: [...layout.stub.keys()].filter((e) => layout.stub[e] === 1),
  };
  markItems(scene);
  return scene;
}

/** Sums up the findings of the layers behind each item. */
export function markItems({ view, visible, findings, severity }: Scene): void {
  findings.fill(0);
  severity.fill(0);
  for (let v = 0; v < view.nodeCount; v++) {
    const i = visible.itemOf[v]!;
    findings[i]! += view.findings[v]!;
    severity[i] = Math.max(severity[i]!, view.severity[v]!);
  }
}

function lineBoxes(layout: Layout, edges: number): Float32Array {
  const boxes = new Float32Array(edges * 4);
  for (let e = 0; e < edges; e++) {
    let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
    // A stub would fill all the cells between its ends; its grid box is the outgoing end, the other is found with its item.
    const last = layout.stub[e] === 1 ? layout.routeStart[e]! + 2 : layout.routeStart[e + 1]!;
    for (let k = layout.routeStart[e]!; k < last; k++) {
      const x = layout.route[2 * k]!;
      const y = layout.route[2 * k + 1]!;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y);
    }
    boxes.set([left, top, right, bottom], 4 * e);
  }
  return boxes;
}

/** Sum over layers; what a body costs is part of the layer that runs it. */
function sum(view: GraphView, values: Float64Array, members: readonly number[]): number {
  let total = 0;
  for (const v of members) if (view.nested[v] === 0) total += values[v]!;
  return total;
}

function labelOf(
  view: GraphView,
  tree: FoldTree,
  visible: Visible,
  members: readonly number[],
  i: number,
): Label {
  const text = (column: Uint32Array) => view.strings[column[visible.node[i]!]!]!;
  const group = visible.group[i]!;
  if (group >= 0) {
    const { title } = tree.groups[group]!;
    const totals = `${count(sum(view, view.params, members))} params · ${macs(sum(view, view.macs, members))}`;
    return { title, second: plural(members.length, 'layer'), third: totals };
  }
  const kind = view.kind[visible.node[i]!];
  const name = text(view.name);
  if (kind !== 0)
    return { title: name, second: `${kind === 1 ? 'Input' : 'Output'} ${text(view.shape)}`, third: '' };
  return { title: text(view.op), second: text(view.shape), third: name };
}

/** What a tile's bar shows: the share of each family in the group's work, or in its layers when no work is known. */
function mixOf(view: GraphView, members: readonly number[]): readonly { family: string; share: number }[] {
  const work = sum(view, view.flops, members);
  const byWork = work > 0 && !Number.isNaN(work);
  const parts = new Map<string, number>();
  for (const v of members) {
    if (byWork && view.nested[v] === 1) continue;
    const family = view.strings[view.family[v]!]!;
    parts.set(family, (parts.get(family) ?? 0) + (byWork ? view.flops[v]! : 1));
  }
  const total = byWork ? work : members.length;
  return [...parts]
    .map(([family, part]) => ({ family, share: part / total }))
    .sort((a, b) => b.share - a.share);
}

/** Frames of unfolded groups, two levels of them; a frame that would hold a stranger is left out. */
function outlinesOf(
  tree: FoldTree,
  visible: Visible,
  placed: { input: LayoutInput; layout: Layout },
  boxes: Float32Array,
): readonly Outline[] {
  const around = new Map<number, { box: Box; items: number; level: number }>();
  for (let i = 0; i < visible.count; i++) {
    const own = visible.group[i]!;
    let g = own >= 0 ? tree.groups[own]!.parent : tree.of[visible.node[i]!]!;
    const box = boxOf(placed, i);
    for (let level = 0; g >= 0; level++, g = tree.groups[g]!.parent) {
      const former = around.get(g);
      around.set(g, {
        box: former === undefined ? box : union(former.box, box),
        items: (former?.items ?? 0) + 1,
        level: Math.max(level, former?.level ?? 0),
      });
    }
  }
  const grid = buildGrid(boxes, 480);
  return [...around].flatMap(([group, { box, items, level }]) => {
    if (level > 1) return [];
    let inside = 0;
    grid.query(box.left, box.top, box.right, box.bottom, (i) => {
      const own = boxOf(placed, i);
      const meets =
        own.left < box.right && own.right > box.left && own.top < box.bottom && own.bottom > box.top;
      if (meets) inside++;
    });
    if (inside !== items) return [];
    const pad = 9 + 6 * level;
    return [
      {
        group,
        title: tree.groups[group]!.title,
        left: box.left - pad,
        // Room for the title of the frame inside.
        top: box.top - 13 - 13 * level,
        right: box.right + pad,
        bottom: box.bottom + 5 + 4 * level,
      },
    ];
  });
}

function union(a: Box, b: Box): Box {
  return {
    left: Math.min(a.left, b.left),
    top: Math.min(a.top, b.top),
    right: Math.max(a.right, b.right),
    bottom: Math.max(a.bottom, b.bottom),
  };
}

/** What a new picture should take over from the former one, by item; NaN for what is new. */
export interface Hint {
  /** Former centres. A box that was inside a tile, or a tile made of boxes, starts where those were. */
  readonly hint: Float32Array;
  /** Former centres of what was a box of its own. */
  readonly keep: Float32Array;
}
