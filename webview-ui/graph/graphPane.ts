import type { App } from '../app.ts';
import { step as stepDifference } from '../compare/compareBar.ts';
import { h } from '../dom.ts';
import { acceptDrops } from '../overlays.ts';
import * as cameras from './camera.ts';
import { describeItem } from './describe.ts';
import { type GraphModel, createGraphModel, keyOf } from './graphModel.ts';
import { type Hit, hitAt } from './hit.ts';
import { createKeyHelp } from './keyHelp.ts';
import { type KeyActions, listenToKeys } from './keys.ts';
import { createLegend } from './legend.ts';
import { createMinimap } from './minimap.ts';
import { type Gestures, listenToPointer } from './pointer.ts';
import { type Scene, boxOf } from './scene.ts';
import { type Stage, createStage } from './stage.ts';
import { type Tooltip, createTooltip } from './tooltip.ts';

/** The graph as the rest of the page sees it. */
export interface GraphPane {
  readonly element: HTMLElement;
  readonly model: GraphModel;
  readonly stage: Stage;
  /** Marks boxes that hold these layers; the current one gets a stronger mark. */
  setMatches(layers: readonly number[], current: number): void;
  /** Brings a layer on screen, unfolding what hides it. */
  showLayer(id: string): void;
  focus(): void;
}

type OpenMenu = (place: { x: number; y: number }, item: number, scene: Scene) => void;

interface Context {
  readonly app: App;
  readonly model: GraphModel;
  readonly stage: Stage;
  readonly canvas: HTMLCanvasElement;
  readonly tooltip: Tooltip;
  readonly openMenu: OpenMenu;
  readonly help: () => void;
}

/** Canvas, minimap, legend and tooltip, with mouse and keyboard. */
export function createGraphPane(
  app: App,
  workerUri: string,
  openMenu: OpenMenu,
  name = 'Model graph',
): GraphPane {
  const model = createGraphModel(app, workerUri);
  const canvas = h('canvas', {
    class: 'graph-canvas',
    attributes: {
      tabindex: 0,
      role: 'application',
      'aria-label': `${name}. Arrow keys follow edges, Enter opens a group, Backspace folds it, the question mark lists all keys. The Layers table holds the same as text.`,
    },
  });
  const minimap = createMinimap((change) => stage.moveTo(change(stage.camera(), stage.screen())));
  const legend = createLegend(app);
  const tooltip = createTooltip();
  const help = createKeyHelp(() => canvas.focus());
  const notice = h('div', { class: 'graph-notice', attributes: { role: 'status' } });
  const element = h(
    'div',
    { class: 'graph-pane' },
    canvas,
    minimap.element,
    legend.element,
    tooltip.element,
    help.element,
    notice,
  );
  let moved = () => undefined as void;
  const stage = createStage(app, model, {
    canvas,
    minimap,
    legend,
    onMove: () => {
      tooltip.hide();
      moved();
    },
    onScene: (scene) => void (element.dataset['boxes'] = String(scene.visible.count)),
  });
  // What tests and assistive scripts can ask of a canvas.
  const reflect = () => {
    const { x, y, zoom } = stage.camera();
    element.dataset['camera'] = `${x.toFixed(1)} ${y.toFixed(1)} ${zoom.toFixed(3)}`;
  };
  moved = reflect;
  app.selection.watch((selection) => {
    element.dataset['selected'] =
      selection === undefined ? '' : selection.kind === 'layer' ? selection.id : selection.key;
  });
  const context: Context = { app, model, stage, canvas, tooltip, openMenu, help: help.toggle };
  acceptDrops(app, element);
  listenToPointer(canvas, gesturesOf(context));
  listenToKeys(canvas, keyActionsOf(context));
  app.selection.onChange(() => {
    // The canvas moves its own camera.
    if (document.activeElement !== canvas) stage.reveal(stage.selected());
  });
  model.working.watch(() => showNotice(app, model, notice));
  app.graph.watch(() => showNotice(app, model, notice));
  app.failed.onChange(() => showNotice(app, model, notice));
  return {
    element,
    model,
    stage,
    setMatches: stage.mark,
    showLayer(id) {
      model.unfoldTo(id);
      app.selection.set({ kind: 'layer', id });
      stage.reveal(stage.selected());
    },
    focus: () => canvas.focus(),
  };
}

function select({ app, stage }: Context, scene: Scene, item: number): void {
  const key = keyOf(scene, item);
  const folded = scene.visible.group[item]! >= 0;
  app.selection.set(folded ? { kind: 'group', key } : { kind: 'layer', id: key });
  app.heard.set(describeItem(scene, item, stage.words()[item] ?? '', stage.walk()));
}

function zoom({ stage }: Context, point: { x: number; y: number }, factor: number): void {
  const zoomed = cameras.zoomedAt(stage.camera(), point, factor, stage.world(), stage.screen());
  stage.moveTo(cameras.kept(zoomed, stage.world(), stage.screen()));
}

function hitPoint({ stage }: Context, point: { x: number; y: number }): Hit | undefined {
  const scene = stage.scene();
  const camera = stage.camera();
  if (scene === undefined) return undefined;
  return hitAt(scene, camera.x + point.x / camera.zoom, camera.y + point.y / camera.zoom, 5 / camera.zoom);
}

function gesturesOf(context: Context): Gestures {
  const { app, model, stage, canvas, tooltip, openMenu } = context;
  return {
    pan: (dx, dy) =>
      stage.moveTo(cameras.kept(cameras.panned(stage.camera(), dx, dy), stage.world(), stage.screen())),
    zoom: (point, factor) => zoom(context, point, factor),
    hover(point) {
      const scene = stage.scene();
      const hit = point === undefined ? undefined : hitPoint(context, point);
      stage.point({
        item: hit?.kind === 'item' ? hit.item : -1,
        edge: hit?.kind === 'edge' || hit?.kind === 'stub' ? hit.edge : -1,
      });
      canvas.style.cursor = hit === undefined || hit.kind === 'edge' ? '' : 'pointer';
      if (scene === undefined || point === undefined) tooltip.hide();
      else tooltip.follow(point, scene, hit, { camera: stage.camera(), words: stage.words() });
    },
    click(point) {
      canvas.focus();
      const scene = stage.scene();
      const hit = hitPoint(context, point);
      if (scene === undefined || hit === undefined || hit.kind === 'edge')
        return app.selection.set(undefined);
      if (hit.kind === 'outline') return model.toggle(hit.group);
      select(context, scene, hit.item);
      if (hit.kind === 'stub') stage.reveal(hit.item);
    },
    doubleClick(point) {
      const hit = hitPoint(context, point);
      const group = hit?.kind === 'item' ? (stage.scene()?.visible.group[hit.item] ?? -1) : -1;
      if (group >= 0) model.toggle(group);
    },
    menu(point) {
      const scene = stage.scene();
      const hit = hitPoint(context, point);
      if (hit?.kind !== 'item' || scene === undefined) return;
      canvas.focus();
      select(context, scene, hit.item);
      const { left, top } = canvas.getBoundingClientRect();
      openMenu({ x: left + point.x, y: top + point.y }, hit.item, scene);
    },
  };
}

function keyActionsOf(context: Context): KeyActions {
  const { app, model, stage, canvas, openMenu } = context;
  const go = (item: number | undefined, otherwise = 'No box that way.') => {
    const scene = stage.scene();
    if (scene === undefined || scene.visible.count === 0) return;
    if (item === undefined) return app.heard.set(otherwise);
    select(context, scene, item);
    stage.reveal(item);
  };
  const middle = () => ({ x: stage.screen().width / 2, y: stage.screen().height / 2 });
  return {
    zoom: (factor) => zoom(context, middle(), factor),
    fitWidth: () =>
      stage.moveTo(cameras.fittedToWidth(stage.world(), stage.screen(), stage.scene()?.layout.x[0] ?? 0)),
    fitWhole: () => stage.moveTo(cameras.fittedWhole(stage.world(), stage.screen())),
    step: (way) => go(stage.selected() < 0 ? 0 : stage.walk()?.step(stage.selected(), way)),
    end: (last) => go(last ? (stage.scene()?.visible.count ?? 1) - 1 : 0),
    open() {
      const scene = stage.scene();
      const item = stage.selected();
      const group = scene?.visible.group[item] ?? -1;
      if (scene === undefined || group < 0) return;
      // A layer that was selected behind the tile stays it.
      if (app.selection.get()?.kind === 'group') {
        const first = scene.visible.node[item]!;
        app.selection.set({ kind: 'layer', id: scene.view.strings[scene.view.id[first]!]! });
      }
      model.toggle(group);
    },
    fold() {
      if (stage.selected() >= 0) model.foldAround(stage.selected());
    },
    clear: () => app.selection.set(undefined),
    finding(way) {
      const scene = stage.scene();
      const order = [...(scene?.findings.keys() ?? [])].filter((i) => scene!.findings[i]! > 0);
      go(nextOf(order, stage.selected(), way), 'No findings.');
    },
    hotSpot(way) {
      const heat = stage.shown()?.decor.bar ?? new Float32Array(0);
      const hot = [...heat.keys()].filter((i) => heat[i]! > 0).sort((a, b) => heat[b]! - heat[a]! || a - b);
      const at = hot.indexOf(stage.selected());
      go(
        hot[(at < 0 ? (way === 1 ? 0 : hot.length - 1) : at + way + hot.length) % Math.max(1, hot.length)],
        'No costs are known.',
      );
    },
    difference: (way) => stepDifference(app, way),
    help: () => context.help(),
    menu() {
      const scene = stage.scene();
      const item = stage.selected();
      if (item < 0 || scene === undefined) return;
      const box = boxOf(scene, item);
      const camera = stage.camera();
      const { left, top } = canvas.getBoundingClientRect();
      const x = left + (box.left + 20 - camera.x) * camera.zoom;
      openMenu({ x, y: top + (box.bottom - camera.y) * camera.zoom }, item, scene);
    },
  };
}

/** The next of ascending items after (or before) the selected one, round and round. */
function nextOf(order: readonly number[], selected: number, way: 1 | -1): number | undefined {
  const next = way === 1 ? order.find((i) => i > selected) : order.findLast((i) => i < selected);
  return next ?? order.at(way === 1 ? 0 : -1);
}

/** Nothing spins without words: loading, an error, or a layout that takes long and can be stopped. */
function showNotice(app: App, model: GraphModel, notice: HTMLElement): void {
  const { loading, error, value } = app.graph.get();
  const working = model.working.get();
  const waiting = loading || app.document.get() === undefined;
  const reading = waiting && value === undefined ? 'Reading the model…' : '';
  const empty =
    value?.view.nodeCount === 0
      ? 'This model has no layers. The details list what was found in the file.'
      : '';
  const text = app.failed.get() ?? error ?? (working || reading || empty);
  notice.hidden = text === '';
  notice.replaceChildren(text);
  if (working !== '' && error === undefined) {
    const cancel = h('button', { class: 'link', text: 'Cancel', on: { click: () => model.cancel() } });
    notice.append(' ', cancel);
  }
}
