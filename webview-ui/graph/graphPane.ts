import type { App } from '../app.ts';
import { h } from '../dom.ts';
import * as cameras from './camera.ts';
import { type Measures, measure } from './decor.ts';
import { describeItem } from './describe.ts';
import type { Decor } from './frame.ts';
import { type GraphModel, type Anchor, createGraphModel } from './graphModel.ts';
import { hitAt } from './hit.ts';
import { listenToKeys } from './keys.ts';
import { createLegend } from './legend.ts';
import { createMinimap } from './minimap.ts';
import { paintFrame } from './paint.ts';
import { listenToPointer } from './pointer.ts';
import { type Scene, boxOf } from './scene.ts';
import { onThemeChange, readTheme } from './theme.ts';
import { createTooltip } from './tooltip.ts';
import { type Walk, walkOf } from './walk.ts';

/** The graph as the rest of the page sees it. */
export interface GraphPane {
  readonly element: HTMLElement;
  readonly model: GraphModel;
  /** Marks boxes that hold these layers; the current one gets a stronger mark. */
  setMatches(layers: readonly number[], current: number): void;
  /** Brings a layer on screen, unfolding what hides it. */
  showLayer(id: string): void;
  focus(): void;
}

export type OpenMenu = (place: { x: number; y: number }, item: number, scene: Scene) => void;

/** Canvas, minimap, legend and tooltip. Draws on demand only. */
export function createGraphPane(app: App, workerUri: string, openMenu: OpenMenu): GraphPane {
  const model = createGraphModel(app, workerUri);
  const canvas = h('canvas', {
    class: 'graph-canvas',
    attributes: {
      tabindex: 0,
      role: 'application',
      'aria-label': 'Model graph. Arrow keys follow edges, Enter opens a group.',
    },
  });
  const minimap = createMinimap((change) => moveTo(change(camera, screen)));
  const legend = createLegend();
  const tooltip = createTooltip();
  const notice = h('div', { class: 'graph-notice', attributes: { role: 'status' } });
  const element = h(
    'div',
    { class: 'graph-pane' },
    canvas,
    minimap.element,
    legend.element,
    tooltip.element,
    notice,
  );

  let theme = readTheme();
  let camera: cameras.Camera = { x: 0, y: 0, zoom: 1 };
  let screen: cameras.Size = { width: 0, height: 0 };
  let scene: Scene | undefined;
  let walk: Walk | undefined;
  let measures: Measures | undefined;
  let marks: { readonly layers: readonly number[]; readonly current: number } = { layers: [], current: -1 };
  let matches = new Uint8Array(0);
  let pointed: { item: number; edge: number } = { item: -1, edge: -1 };
  let scheduled = false;
  let staleMinimap = true;

  const world = () => ({ width: scene?.layout.width ?? 1, height: scene?.layout.height ?? 1 });

  const schedule = () => {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(draw);
  };

  const draw = () => {
    scheduled = false;
    const context = canvas.getContext('2d', { alpha: false });
    if (context === null || screen.width === 0) return;
    const decor = currentDecor();
    if (scene === undefined || decor === undefined) {
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.fillStyle = theme.background;
      context.fillRect(0, 0, canvas.width, canvas.height);
      return;
    }
    paintFrame({ context, scene, theme, camera, screen, decor });
    if (staleMinimap) {
      staleMinimap = false;
      minimap.draw(scene, theme, decor);
    }
    minimap.follow(camera, screen, theme);
  };

  const currentDecor = (): Decor | undefined => {
    if (scene === undefined || measures === undefined) return undefined;
    return {
      ...measures,
      selected: model.itemOfSelection(scene),
      hovered: pointed.item,
      hoveredEdge: pointed.edge,
      matches,
      currentMatch: marks.current < 0 ? -1 : (scene.visible.itemOf[marks.current] ?? -1),
      focused: document.activeElement === canvas,
    };
  };

  const moveTo = (next: cameras.Camera) => {
    camera = next;
    app.viewState.set('camera', camera);
    tooltip.hide();
    schedule();
  };

  const measureAll = () => {
    if (scene === undefined) return;
    const byId = app.measured.get();
    const times =
      byId === undefined
        ? undefined
        : Float64Array.from(scene.view.id, (s) => byId.get(scene!.view.strings[s]!) ?? Number.NaN);
    measures = measure(scene, app.overlay.get(), times);
    legend.show(app.overlay.get(), measures, theme);
    staleMinimap = true;
    schedule();
  };

  const markAll = () => {
    if (scene === undefined) return;
    matches = new Uint8Array(scene.visible.count);
    for (const v of marks.layers) matches[scene.visible.itemOf[v]!] = 1;
    schedule();
  };

  const settle = (next: Scene, anchor: Anchor) => {
    const before = scene === undefined ? undefined : anchorPlace(scene, anchor);
    scene = next;
    walk = walkOf(next);
    pointed = { item: -1, edge: -1 };
    measureAll();
    markAll();
    moveTo(cameraFor(next, anchor, before));
    element.dataset['boxes'] = String(next.visible.count);
  };

  /** Where on the screen the thing that should stay put is now. */
  const anchorPlace = (now: Scene, anchor: Anchor) => {
    const key = typeof anchor === 'object' ? anchor.key : middleKey(now);
    if (key === undefined) return undefined;
    const box = placeOf(now, key);
    if (box === undefined) return undefined;
    return { key, x: (box.left - camera.x) * camera.zoom, y: (box.top - camera.y) * camera.zoom };
  };

  const middleKey = (now: Scene): string | undefined => {
    const selected = model.itemOfSelection(now);
    const x = camera.x + screen.width / camera.zoom / 2;
    const y = camera.y + screen.height / camera.zoom / 2;
    let best = -1;
    let least = Infinity;
    for (let i = 0; i < now.visible.count; i++) {
      const distance = Math.hypot(now.layout.x[i]! - x, now.layout.y[i]! - y) - (i === selected ? 1000 : 0);
      if (distance < least) [best, least] = [i, distance];
    }
    return best < 0 ? undefined : model.keyOf(now, best);
  };

  const placeOf = (now: Scene, key: string): cameras.Box | undefined => {
    const g = now.tree.groups.findIndex((group) => group.key === key);
    const item = g >= 0 ? now.visible.group.indexOf(g) : itemOfId(now, key);
    if (item >= 0) return boxOf(now, item);
    // An unfolded group is anchored by its first box.
    const first = now.visible.node.findIndex((v) => isInside(now, now.tree.of[v]!, g));
    return g < 0 || first < 0 ? undefined : boxOf(now, first);
  };

  const cameraFor = (
    now: Scene,
    anchor: Anchor,
    before: { key: string; x: number; y: number } | undefined,
  ) => {
    const size = { width: now.layout.width, height: now.layout.height };
    const remembered = app.viewState.get('camera');
    if (before === undefined && anchor === 'restore' && remembered !== undefined) {
      return cameras.kept(remembered, size, screen);
    }
    const box = before === undefined || anchor === 'fit' ? undefined : placeOf(now, before.key);
    if (box === undefined || before === undefined) {
      return cameras.fittedToWidth(size, screen, now.layout.x[0] ?? 0);
    }
    return cameras.kept(
      { x: box.left - before.x / camera.zoom, y: box.top - before.y / camera.zoom, zoom: camera.zoom },
      size,
      screen,
    );
  };

  const select = (item: number) => {
    if (scene === undefined) return;
    const key = model.keyOf(scene, item);
    const folded = scene.visible.group[item]! >= 0;
    app.selection.set(folded ? { kind: 'group', key } : { kind: 'layer', id: key });
    app.heard.set(describeItem(scene, item, measures?.words[item] ?? '', walk));
  };

  const reveal = (item: number) => {
    if (scene !== undefined && item >= 0) moveTo(cameras.revealed(camera, boxOf(scene, item), screen));
  };

  const worldPoint = (point: { x: number; y: number }) => ({
    x: camera.x + point.x / camera.zoom,
    y: camera.y + point.y / camera.zoom,
  });

  const hitPoint = (point: { x: number; y: number }) => {
    const at = worldPoint(point);
    return scene === undefined ? undefined : hitAt(scene, at.x, at.y, 5 / camera.zoom);
  };

  const zoomBy = (point: { x: number; y: number }, factor: number) =>
    moveTo(cameras.kept(cameras.zoomedAt(camera, point, factor, world(), screen), world(), screen));

  listenToPointer(canvas, {
    pan: (dx, dy) => moveTo(cameras.kept(cameras.panned(camera, dx, dy), world(), screen)),
    zoom: zoomBy,
    hover(point) {
      const hit = point === undefined ? undefined : hitPoint(point);
      const next = {
        item: hit?.kind === 'item' ? hit.item : -1,
        edge: hit?.kind === 'edge' || hit?.kind === 'stub' ? hit.edge : -1,
      };
      canvas.style.cursor = hit === undefined || hit.kind === 'edge' ? '' : 'pointer';
      if (next.item !== pointed.item || next.edge !== pointed.edge) schedule();
      pointed = next;
      if (scene === undefined || point === undefined || measures === undefined) tooltip.hide();
      else tooltip.follow(point, scene, hit, { camera, words: measures.words });
    },
    click(point) {
      canvas.focus();
      const hit = hitPoint(point);
      if (hit === undefined) return app.selection.set(undefined);
      if (hit.kind === 'outline') return model.toggle(hit.group);
      if (hit.kind === 'stub') {
        select(hit.item);
        return reveal(hit.item);
      }
      if (hit.kind === 'item') select(hit.item);
    },
    doubleClick(point) {
      const hit = hitPoint(point);
      if (hit?.kind !== 'item' || scene === undefined) return;
      const group = scene.visible.group[hit.item]!;
      if (group >= 0) model.toggle(group);
    },
    menu(point) {
      const hit = hitPoint(point);
      if (hit?.kind !== 'item' || scene === undefined) return;
      select(hit.item);
      const { left, top } = canvas.getBoundingClientRect();
      openMenu({ x: left + point.x, y: top + point.y }, hit.item, scene);
    },
  });

  listenToKeys(canvas, {
    zoom: (factor) => zoomBy({ x: screen.width / 2, y: screen.height / 2 }, factor),
    fitWidth: () => moveTo(cameras.fittedToWidth(world(), screen, scene?.layout.x[0] ?? 0)),
    fitWhole: () => moveTo(cameras.fittedWhole(world(), screen)),
    step(way) {
      if (scene === undefined || walk === undefined || scene.visible.count === 0) return;
      const from = model.itemOfSelection(scene);
      const next = from < 0 ? 0 : walk.step(from, way);
      if (next === undefined) return app.heard.set('No box that way.');
      select(next);
      reveal(next);
    },
    end(last) {
      if (scene === undefined || scene.visible.count === 0) return;
      const item = last ? scene.visible.count - 1 : 0;
      select(item);
      reveal(item);
    },
    open() {
      const item = scene === undefined ? -1 : model.itemOfSelection(scene);
      const group = item < 0 ? -1 : scene!.visible.group[item]!;
      if (group >= 0) model.toggle(group);
    },
    fold() {
      const item = scene === undefined ? -1 : model.itemOfSelection(scene);
      if (item >= 0) model.foldAround(item);
    },
    clear: () => app.selection.set(undefined),
    menu() {
      const item = scene === undefined ? -1 : model.itemOfSelection(scene);
      if (item < 0 || scene === undefined) return;
      const box = boxOf(scene, item);
      const { left, top } = canvas.getBoundingClientRect();
      const x = left + (box.left + 20 - camera.x) * camera.zoom;
      openMenu({ x, y: top + (box.bottom - camera.y) * camera.zoom }, item, scene);
    },
  });

  model.scene.onChange((next) => next !== undefined && settle(next.scene, next.anchor));
  model.working.watch((words) => showNotice(app, model, notice, words));
  app.graph.watch(() => showNotice(app, model, notice, model.working.get()));
  app.overlay.onChange(measureAll);
  app.measured.onChange(measureAll);
  app.selection.onChange(() => {
    if (scene !== undefined && document.activeElement !== canvas) reveal(model.itemOfSelection(scene));
    schedule();
  });
  canvas.addEventListener('focus', schedule);
  canvas.addEventListener('blur', schedule);
  onThemeChange(() => {
    theme = readTheme();
    measureAll();
  });
  new ResizeObserver(() => {
    const first = screen.width === 0;
    screen = { width: canvas.clientWidth, height: canvas.clientHeight };
    canvas.width = Math.round(screen.width * window.devicePixelRatio);
    canvas.height = Math.round(screen.height * window.devicePixelRatio);
    staleMinimap = true;
    // The first size may come after the first scene, which could not be fitted then.
    if (first && scene !== undefined) moveTo(cameraFor(scene, 'restore', undefined));
    draw();
  }).observe(canvas);

  return {
    element,
    model,
    setMatches(layers, current) {
      marks = { layers, current };
      markAll();
    },
    showLayer(id) {
      model.unfoldTo(id);
      app.selection.set({ kind: 'layer', id });
      if (scene !== undefined) reveal(model.itemOfSelection(scene));
    },
    focus: () => canvas.focus(),
  };
}

function itemOfId(scene: Scene, id: string): number {
  const { view } = scene;
  for (let v = 0; v < view.nodeCount; v++) {
    if (view.strings[view.id[v]!] === id) return scene.visible.itemOf[v]!;
  }
  return -1;
}

function isInside(scene: Scene, group: number, outer: number): boolean {
  for (let g = group; g >= 0; g = scene.tree.groups[g]!.parent) if (g === outer) return true;
  return false;
}

/** Nothing spins without words: loading, an error, or a layout that takes long and can be stopped. */
function showNotice(app: App, model: GraphModel, notice: HTMLElement, words: string): void {
  const { loading, error, value } = app.graph.get();
  const first = loading && value === undefined;
  const text = error ?? (words !== '' ? words : first ? 'Reading the model' : '');
  const empty = text === '' && value !== undefined && value.view.nodeCount === 0;
  notice.hidden = text === '' && !empty;
  notice.replaceChildren(
    empty ? 'This model has no layers. The details list what was found in the file.' : text,
  );
  if (words !== '') {
    notice.append(' ', h('button', { class: 'link', text: 'Cancel', on: { click: () => model.cancel() } }));
  }
}
