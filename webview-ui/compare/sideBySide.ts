import { type App } from '../app.ts';
import type { Selection } from '../loadedGraph.ts';
import { h } from '../dom.ts';
import type { Folding } from '../graph/graphModel.ts';
import { type GraphPane, createGraphPane } from '../graph/graphPane.ts';
import { settled } from '../resource.ts';
import { signal } from '../signal.ts';
import { forgetfulViewState } from '../viewState.ts';
import { type Alignment, alignmentOf } from './alignment.ts';
import { createCompareBar } from './compareBar.ts';
import type { Comparison } from './comparison.ts';

/** The graph with, on demand, another model's graph beside it: one selection, one camera, the same folds. */
export function createSideBySide(app: App, graph: GraphPane, workerUri: string): HTMLElement {
  const room = h('div', { class: 'other-side' });
  const bar = createCompareBar(app);
  let stop: (() => void) | undefined;
  app.comparison.watch((comparison) => {
    stop?.();
    stop = undefined;
    room.hidden = comparison === undefined;
    room.replaceChildren();
    if (comparison === undefined) return;
    const linked = linkedPane(app, graph, workerUri, comparison);
    stop = linked.stop;
    room.append(h('div', { class: 'side-title', text: `Before: ${comparison.title}` }), linked.element);
  });
  const after = h('div', { class: 'side-title' });
  app.comparison.watch((comparison) => {
    after.hidden = comparison === undefined;
    after.textContent = `After: ${app.document.get()?.file ?? 'this model'}`;
  });
  const here = h('div', { class: 'this-side' }, after, graph.element);
  return h('div', { class: 'graphs' }, bar, h('div', { class: 'graph-row' }, room, here));
}

function linkedPane(
  app: App,
  graph: GraphPane,
  workerUri: string,
  comparison: Comparison,
): { readonly element: HTMLElement; stop(): void } {
  const side: App = {
    ...app,
    // A signal of its own, so that a pane that is gone hears nothing any more.
    overlay: signal(app.overlay.get()),
    graph: settled(comparison.other),
    selection: signal<Selection>(translated(app.selection.get(), comparison.toOther)),
    changes: signal<App['changes'] extends { get(): infer C } ? C : never>(comparison.otherChanges),
    comparison: signal<Comparison | undefined>(undefined),
    measured: signal<ReadonlyMap<string, number> | undefined>(undefined),
    failed: signal<string | undefined>(undefined),
    viewState: forgetfulViewState(),
  };
  const pane = createGraphPane(side, workerUri, () => undefined, `Graph of ${comparison.title}`);
  const stops = [
    app.overlay.onChange((overlay) => side.overlay.set(overlay)),
    ...linkSelection(app, side, comparison),
    ...linkFolds(graph, pane),
    ...linkCameras(graph, pane, comparison),
  ];
  return { element: pane.element, stop: () => stops.forEach((stop) => stop()) };
}

function translated(selection: Selection, to: (id: string) => string | undefined): Selection {
  if (selection?.kind !== 'layer') return selection;
  const id = to(selection.id);
  return id === undefined ? undefined : { kind: 'layer', id };
}

function same(a: Selection, b: Selection): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function linkSelection(app: App, side: App, { toOther, toThis }: Comparison): readonly (() => void)[] {
  return [
    app.selection.onChange((selection) => {
      const next = translated(selection, toOther);
      if (!same(next, side.selection.get())) side.selection.set(next);
    }),
    side.selection.onChange((selection) => {
      const next = translated(selection, toThis);
      // A layer that is gone has no counterpart; what is selected here stays.
      if (selection !== undefined && next === undefined) return;
      if (!same(next, app.selection.get())) app.selection.set(next);
    }),
  ];
}

function linkFolds(graph: GraphPane, pane: GraphPane): readonly (() => void)[] {
  const tell = (to: GraphPane) => (folds: Folding) => {
    if (JSON.stringify(folds) !== JSON.stringify(to.model.folds.get())) to.model.takeFolds(folds);
  };
  tell(pane)(graph.model.folds.get());
  return [graph.model.folds.onChange(tell(pane)), pane.model.folds.onChange(tell(graph))];
}

function linkCameras(graph: GraphPane, pane: GraphPane, comparison: Comparison): readonly (() => void)[] {
  let forth: Alignment | undefined;
  let back: Alignment | undefined;
  const follow = (from: GraphPane, to: GraphPane, alignment: Alignment | undefined) => {
    if (alignment === undefined) return;
    const { stage } = from;
    const view = { camera: stage.camera(), screen: stage.screen(), selected: stage.selected() };
    to.stage.follow(alignment(view, to.stage.screen()));
  };
  const align = () => {
    const [here, there] = [graph.stage.scene(), pane.stage.scene()];
    if (here === undefined || there === undefined) return;
    forth = alignmentOf(here, there, comparison.toOther);
    back = alignmentOf(there, here, comparison.toThis);
    follow(graph, pane, forth);
  };
  // A pane that changes its width keeps its middle; the other model then follows this one again.
  const sizes = new ResizeObserver(() => follow(graph, pane, forth));
  sizes.observe(graph.element);
  sizes.observe(pane.element);
  const stops = [
    () => sizes.disconnect(),
    graph.model.scene.watch(align),
    pane.model.scene.watch(align),
    graph.stage.onCamera(() => follow(graph, pane, forth)),
    pane.stage.onCamera(() => follow(pane, graph, back)),
  ];
  return stops;
}
