import type { App } from '../app.ts';
import type { LoadedGraph } from '../loadedGraph.ts';
import { afterPaint } from '../dom.ts';
import { grouped } from '../format.ts';
import { type Signal, signal } from '../signal.ts';
import { type FoldTree, buildFoldTree } from './foldTree.ts';
import { type HiddenKind, type Shown, countHidden, hiddenKinds } from './hiding.ts';
import { hintOf } from './hint.ts';
import { layoutClient } from './layoutClient.ts';
import { type Scene, buildScene, layoutInputOf } from './scene.ts';
import { openingLevel, unfoldedAt, visibleGraph } from './visible.ts';

/** What a new scene should keep in place on the screen. */
export type Anchor = { readonly key: string } | 'restore' | 'fit';

/** Level, kinds with cards of their own, and the keys of groups toggled against the level. */
export interface Folding {
  readonly level: number;
  readonly shown: Shown;
  readonly toggled: readonly string[];
}

export interface Levels {
  readonly current: number;
  readonly deepest: number;
  readonly shown: Shown;
  /** How many layers each kind holds. */
  readonly hidden: Readonly<Record<HiddenKind, number>>;
}

export interface GraphModel {
  readonly scene: Signal<{ readonly scene: Scene; readonly anchor: Anchor } | undefined>;
  /** Words about a layout under way, '' when there is none. */
  readonly working: Signal<string>;
  /** Level `deepest` shows every layer; `shown` says which kinds folded into cards have cards of their own. */
  readonly levels: Signal<Levels>;
  setLevel(level: number, shown?: Shown): void;
  /** Everything about folds, for a graph that follows another one. */
  readonly folds: Signal<Folding>;
  takeFolds(folds: Folding): void;
  toggle(group: number): void;
  /** Folds the group around an item. */
  foldAround(item: number): void;
  /** Unfolds whatever hides a layer. */
  unfoldTo(id: string): void;
  /** The item that stands for the selection: the layer itself or the tile around it; -1 for none. */
  itemOfSelection(scene: Scene): number;
  cancel(): void;
}

const none = new Int32Array(0);
const noTree: FoldTree = {
  groups: [],
  of: none,
  host: none,
  hosts: { constants: none, shapes: none, pairs: none },
  depth: 0,
};

/** The graph without its canvas: folds, layouts and what stays where. */
export function createGraphModel(app: App, workerUri: string): GraphModel {
  const client = layoutClient(workerUri);
  const scene: GraphModel['scene'] = signal(undefined);
  const working = signal('');
  const levels = signal<Levels>({
    current: 0,
    deepest: 0,
    shown: app.viewState.get('shown'),
    hidden: { constants: 0, shapes: 0, pairs: 0 },
  });
  const folds = signal<Folding>({
    level: 0,
    shown: levels.get().shown,
    toggled: app.viewState.get('toggled'),
  });
  let loaded: LoadedGraph | undefined;
  let tree: FoldTree = noTree;
  let toggled = new Set(app.viewState.get('toggled'));

  const unfolded = () => {
    const set = unfoldedAt(tree, levels.get().current);
    tree.groups.forEach(({ key }, g) => {
      if (!toggled.has(key)) return;
      if (set.has(g)) set.delete(g);
      else set.add(g);
    });
    return set;
  };

  const relayout = async (anchor: Anchor) => {
    if (loaded === undefined) return;
    const now = loaded;
    const { view } = now;
    const base = tree;
    const visible = visibleGraph(view, base, { unfolded: unfolded(), show: levels.get().shown });
    const former = scene.get()?.scene;
    const hint = former === undefined ? {} : hintOf(former, view, visible);
    const input = layoutInputOf(view, visible, hint);
    const slow = setTimeout(() => working.set(`Laying out ${grouped(visible.count)} boxes`), 150);
    try {
      const layout = await client.layout(input);
      if (layout !== undefined) scene.set({ scene: buildScene(view, base, visible, input, layout), anchor });
    } catch (error) {
      app.say(`The graph cannot be laid out: ${(error as Error).message}`, { error: true });
    } finally {
      clearTimeout(slow);
      working.set('');
      // Without a layout there is nothing to wait for.
      afterPaint(() => app.drawn.set(now));
    }
  };

  const remember = () => {
    app.viewState.set('toggled', [...toggled]);
    folds.set({ level: levels.get().current, shown: levels.get().shown, toggled: [...toggled] });
  };

  const flip = (group: number) => {
    const { key } = tree.groups[group]!;
    if (!toggled.delete(key)) toggled.add(key);
  };

  /** Gives a layer that is folded into another card its own; answers whether it had none. */
  const showKindOf = (v: number): boolean => {
    const { shown } = levels.get();
    const kind = hiddenKinds.find((each) => !shown[each] && tree.hosts[each][v]! >= 0);
    if (kind === undefined) return false;
    const now = { ...shown, [kind]: true };
    levels.set({ ...levels.get(), shown: now });
    app.viewState.set('shown', now);
    return true;
  };

  const model: GraphModel = {
    scene,
    working,
    levels,
    folds,
    takeFolds({ level, shown, toggled: keys }) {
      toggled = new Set(keys);
      levels.set({ ...levels.get(), current: Math.min(level, tree.depth), shown });
      void relayout(selectionAnchor());
    },
    setLevel(level, shown = levels.get().shown) {
      if (level !== levels.get().current) toggled = new Set();
      levels.set({ ...levels.get(), current: level, shown });
      app.viewState.set('level', level);
      app.viewState.set('shown', shown);
      remember();
      void relayout(selectionAnchor());
    },
    toggle(group) {
      flip(group);
      remember();
      void relayout({ key: tree.groups[group]!.key });
    },
    foldAround(item) {
      const now = scene.get()?.scene;
      if (now === undefined) return;
      const own = now.visible.group[item]!;
      const around = own >= 0 ? tree.groups[own]!.parent : tree.of[now.visible.node[item]!]!;
      if (around < 0) return app.heard.set('Nothing around this layer to fold.');
      app.selection.set({ kind: 'group', key: tree.groups[around]!.key });
      model.toggle(around);
    },
    unfoldTo(id) {
      const v = loaded?.indexOf.get(id);
      if (v === undefined) return;
      const open = unfolded();
      let changed = showKindOf(v);
      for (let g = tree.of[v]!; g >= 0; g = tree.groups[g]!.parent) {
        if (open.has(g)) continue;
        flip(g);
        changed = true;
      }
      if (!changed) return;
      remember();
      void relayout({ key: id });
    },
    itemOfSelection(now) {
      const selection = app.selection.get();
      if (selection === undefined || loaded === undefined) return -1;
      if (selection.kind === 'layer') {
        const v = loaded.indexOf.get(selection.id);
        return v === undefined || v >= now.view.nodeCount ? -1 : now.visible.itemOf[v]!;
      }
      const g = now.tree.groups.findIndex(({ key }) => key === selection.key);
      return g < 0 ? -1 : now.visible.group.indexOf(g);
    },
    cancel() {
      client.cancel();
      // A picture that never came: the folded one is small.
      if (scene.get() === undefined) model.setLevel(0);
    },
  };

  const selectionAnchor = (): Anchor => {
    const now = scene.get()?.scene;
    if (now === undefined) return 'restore';
    const item = model.itemOfSelection(now);
    return item < 0 ? 'fit' : { key: keyOf(now, item) };
  };

  app.graph.watch(({ value }) => {
    if (value === undefined || value === loaded) return;
    const first = loaded === undefined;
    loaded = value;
    tree = buildFoldTree(value.view);
    const former = levels.get();
    // Who saw every layer sees every layer of the new graph, which may nest deeper.
    const current = first
      ? (app.viewState.get('level') ?? openingLevel(value.view, tree))
      : former.current === former.deepest
        ? tree.depth
        : former.current;
    levels.set({
      ...former,
      current: Math.min(current, tree.depth),
      deepest: tree.depth,
      hidden: countHidden(tree.hosts),
    });
    remember();
    void relayout('restore');
  });

  return model;
}

/** What an item is remembered by: its group's key or its layer's id. */
export function keyOf(scene: Scene, item: number): string {
  const group = scene.visible.group[item]!;
  if (group >= 0) return scene.tree.groups[group]!.key;
  return scene.view.strings[scene.view.id[scene.visible.node[item]!]!]!;
}
