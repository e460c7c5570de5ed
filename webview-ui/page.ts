import type { Notice } from '../src/editor/page/protocol.ts';
import { type App } from './app.ts';
import { layerOf } from './loadedGraph.ts';
import { keepComparisonFresh, openComparison } from './compare/open.ts';
import { createSideBySide } from './compare/sideBySide.ts';
import { h } from './dom.ts';
import { createGraphPane } from './graph/graphPane.ts';
import { createBottom } from './panels/bottom.ts';
import { createDetails } from './panels/details.ts';
import { createMenu } from './panels/menu.ts';
import { type Room, createPane } from './panels/splitter.ts';
import { createStatus } from './panels/status.ts';
import { createStrip } from './panels/strip.ts';
import { addOverlayFile, keepOverlays } from './overlays.ts';
import { signal } from './signal.ts';

/** Puts the parts together and keeps them in step with the host. */
export function createPage(app: App, workerUri: string): HTMLElement {
  const menu = createMenu(app, () => show('layers', false));
  const graph = createGraphPane(app, workerUri, (place, item, scene) =>
    menu.open(place, item, scene, graph.model),
  );
  app.show.set((id) => graph.showLayer(id));
  const bottom = createBottom(app, graph);
  const room = signal<Room>({ width: window.innerWidth, height: window.innerHeight });
  const details = createPane(app, room, {
    id: 'details',
    label: 'Details',
    side: 'right',
    size: 340,
    least: 200,
    most: 0.5,
    drawerBelow: 720,
    content: createDetails(app, graph),
  });
  const below = createPane(app, room, {
    id: 'bottom',
    label: 'Layers and measurements',
    side: 'bottom',
    size: 240,
    least: 120,
    most: 0.45,
    content: bottom.element,
  });
  const show = (tab: Parameters<typeof app.tab.set>[0], run: boolean) => {
    below.setOpen(true);
    app.tab.set(tab);
    if (run) bottom.run(tab);
  };
  app.showTab.set((tab) => show(tab, false));
  const strip = createStrip(app, graph, { details, below, show });
  const status = createStatus(app);

  app.selection.onChange((selection) => {
    app.tell('select', { layer: layerForHost(app, selection) });
  });
  app.host.onNotice((notice) => onNotice(app, notice, show));
  app.graph.watch(({ value }) => {
    // A pass may have removed the selected layer.
    const selection = app.selection.get();
    if (value === undefined || selection?.kind !== 'layer') return;
    if (!value.indexOf.has(selection.id)) app.selection.set(undefined);
  });
  keepOverlays(app, () => show('benchmark', true));
  keepComparisonFresh(app);
  void greet(app);
  const element = h(
    'main',
    { class: 'page' },
    strip,
    h(
      'div',
      { class: 'room' },
      h('div', { class: 'middle' }, createSideBySide(app, graph, workerUri), details.element),
      below.element,
    ),
    status,
    menu.element,
  );
  // Observers are called before the picture is made, so a resize never shows the former layout.
  new ResizeObserver(([entry]) => {
    if (entry === undefined || entry.contentRect.width === 0) return;
    room.set({ width: entry.contentRect.width, height: entry.contentRect.height });
  }).observe(element);
  return element;
}

/** The host knows layers only; groups, inputs and outputs of the graph are the page's own. */
function layerForHost(app: App, selection: ReturnType<App['selection']['get']>): string | null {
  if (selection?.kind !== 'layer') return null;
  const loaded = app.graph.get().value;
  const index = loaded?.indexOf.get(selection.id);
  return index !== undefined && loaded?.view.kind[index] !== 0
    ? null
    : layerOf(app.graph.get(), selection.id);
}

/** The handshake; a page that comes back says it again. */
async function greet(app: App): Promise<void> {
  performance.mark('kerf:ready');
  try {
    takeState(app, await app.host.call('ready', {}));
  } catch (error) {
    app.failed.set(`The model cannot be opened: ${(error as Error).message}`);
  }
}

function takeState(app: App, state: NonNullable<ReturnType<App['document']['get']>>): void {
  const former = app.document.get();
  if (former !== undefined && former.model !== state.model) {
    app.measured.set(undefined);
    // What was said was about another model; who changed it speaks next.
    app.say('');
  }
  app.document.set(state);
  for (const part of [
    app.graph,
    app.inspect,
    app.layers,
    app.shipped,
    app.findings,
    app.estimate,
    app.passes,
    app.devices,
  ]) {
    part.refresh();
  }
  if (former === undefined && state.selection !== null) {
    app.selection.set({ kind: 'layer', id: state.selection });
  }
}

function onNotice(
  app: App,
  notice: Notice,
  show: (tab: ReturnType<App['tab']['get']>, run: boolean) => void,
): void {
  switch (notice.notice) {
    case 'changed':
      return takeState(app, notice.state);
    case 'select': {
      const now = app.selection.get();
      if (now?.kind === 'layer' && now.id === notice.layer) return;
      return app.selection.set(notice.layer === null ? undefined : { kind: 'layer', id: notice.layer });
    }
    case 'show':
      return show(notice.tab, notice.run);
    case 'values':
      return whenDrawn(app, () => addOverlayFile(app, notice.name, notice.text));
    case 'measured':
      if (notice.show) app.overlay.set('sensitivity');
      return app.make.get()?.recall();
    case 'compare':
      return void openComparison(app, notice.against);
    case 'job':
      return app.job.set(notice.job === null ? undefined : { ...notice.job, cancel: undefined });
  }
}

/** Runs at once, or as soon as there is a graph. */
function whenDrawn(app: App, run: () => void): void {
  if (app.graph.get().value !== undefined) return run();
  const stop = app.graph.watch(({ value }) => {
    if (value === undefined) return;
    stop();
    run();
  });
}
