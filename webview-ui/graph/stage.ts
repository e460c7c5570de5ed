import type { App } from '../app.ts';
import type { Change } from '../compare/comparison.ts';
import { type Held, cameraHolding, hold } from './anchor.ts';
import * as cameras from './camera.ts';
import { type Measures, measure } from './decor.ts';
import type { Decor } from './frame.ts';
import type { Anchor, GraphModel } from './graphModel.ts';
import type { Legend } from './legend.ts';
import type { Minimap } from './minimap.ts';
import { type Motion, motionOf, motionUnwanted } from './motion.ts';
import { paintFrame } from './paint.ts';
import type { Shown } from './picture.ts';
import { type Scene, boxOf, markItems } from './scene.ts';
import { onThemeChange, readTheme } from './theme.ts';
import { type Walk, walkOf } from './walk.ts';

/** What is drawn and from where; draws on demand, once per frame. */
export interface Stage {
  scene(): Scene | undefined;
  walk(): Walk | undefined;
  camera(): cameras.Camera;
  screen(): cameras.Size;
  /** Size of the picture. */
  world(): cameras.Size;
  /** What a picture of the graph is made from. */
  shown(): Shown | undefined;
  /** The item's cost in words. */
  words(): readonly string[];
  selected(): number;
  moveTo(camera: cameras.Camera): void;
  /** Called after every move that `follow` did not make. */
  onCamera(listener: () => void): () => void;
  /** Moves without telling those who follow. */
  follow(camera: cameras.Camera): void;
  reveal(item: number): void;
  point(at: { readonly item: number; readonly edge: number }): void;
  mark(layers: readonly number[], current: number): void;
}

interface Parts {
  readonly canvas: HTMLCanvasElement;
  readonly minimap: Minimap;
  readonly legend: Legend;
  /** Called before the camera moves. */
  readonly onMove: () => void;
  readonly onScene: (scene: Scene) => void;
}

export function createStage(app: App, model: GraphModel, parts: Parts): Stage {
  const { canvas, minimap, legend } = parts;
  let theme = readTheme();
  let camera: cameras.Camera = { x: 0, y: 0, zoom: 1 };
  let screen: cameras.Size = { width: 0, height: 0 };
  let scene: Scene | undefined;
  let walk: Walk | undefined;
  let measures: Measures | undefined;
  let marks: { readonly layers: readonly number[]; readonly current: number } = { layers: [], current: -1 };
  let matches = new Uint8Array(0);
  let motion: Motion | undefined;
  let pointed = { item: -1, edge: -1 };
  let scheduled = false;
  let staleMinimap = true;
  let painted: Scene | undefined;
  const followers = new Set<() => void>();

  const selected = () => (scene === undefined ? -1 : model.itemOfSelection(scene));

  const schedule = () => {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(draw);
  };

  const draw = () => {
    scheduled = false;
    const context = canvas.getContext('2d', { alpha: false });
    if (context === null || screen.width === 0) return;
    if (scene === undefined || measures === undefined) {
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.fillStyle = theme.background;
      context.fillRect(0, 0, canvas.width, canvas.height);
      return;
    }
    const decor = decorOf(scene, measures);
    const moving = motion?.at(performance.now());
    if (moving === undefined) motion = undefined;
    else schedule();
    paintFrame({ context, theme, camera, screen, decor, scene, ...moving });
    if (painted !== scene) performance.mark('kerf:picture');
    painted = scene;
    if (staleMinimap) minimap.draw(scene, theme, decor);
    staleMinimap = false;
    minimap.follow(camera, screen, theme);
  };

  const decorOf = (now: Scene, measured: Measures): Decor => ({
    ...measured,
    selected: selected(),
    hovered: pointed.item,
    hoveredEdge: pointed.edge,
    matches,
    changes: changesOf(app, now),
    currentMatch: marks.current < 0 ? -1 : (now.visible.itemOf[marks.current] ?? -1),
    focused: document.activeElement === canvas,
  });

  const follow = (next: cameras.Camera) => {
    camera = next;
    app.viewState.set('camera', camera);
    parts.onMove();
    schedule();
  };

  const moveTo = (next: cameras.Camera) => {
    follow(next);
    for (const listener of followers) listener();
  };

  const remeasure = () => {
    if (scene === undefined) return;
    measures = measure(scene, {
      id: app.overlay.get(),
      scale: app.scale.get(),
      threshold: app.threshold.get(),
      extra: app.extra.get(),
    });
    legend.show(measures, theme);
    staleMinimap = true;
    schedule();
  };

  const remark = () => {
    if (scene === undefined) return;
    matches = new Uint8Array(scene.visible.count);
    for (const v of marks.layers) matches[scene.visible.itemOf[v]!] = 1;
    schedule();
  };

  const takeScene = (next: Scene, anchor: Anchor) => {
    const held =
      scene === undefined ? undefined : hold(scene, anchor, { camera, screen, selected: selected() });
    const former = scene === undefined ? undefined : { scene, camera };
    scene = next;
    walk = walkOf(next);
    pointed = { item: -1, edge: -1 };
    remeasure();
    remark();
    // Whoever follows this camera hears of the scene itself.
    follow(cameraFor(next, anchor, held));
    motion =
      former === undefined || anchor === 'fit'
        ? undefined
        : motionOf(former, { scene: next, camera }, motionUnwanted());
    parts.onScene(next);
  };

  const cameraFor = (now: Scene, anchor: Anchor, held: Held | undefined): cameras.Camera => {
    const size = { width: now.layout.width, height: now.layout.height };
    const remembered = app.viewState.get('camera');
    const wanted =
      held !== undefined && anchor !== 'fit'
        ? cameraHolding(now, held, camera.zoom)
        : held === undefined && anchor === 'restore'
          ? remembered
          : undefined;
    return wanted === undefined
      ? cameras.fittedToWidth(size, screen, now.layout.x[0] ?? 0)
      : cameras.kept(wanted, size, screen);
  };

  const resize = () => {
    const first = screen.width === 0;
    const former = screen;
    screen = { width: canvas.clientWidth, height: canvas.clientHeight };
    canvas.width = Math.round(screen.width * window.devicePixelRatio);
    canvas.height = Math.round(screen.height * window.devicePixelRatio);
    staleMinimap = true;
    // The first size may come after the first scene, which could not be fitted then.
    if (first && scene !== undefined) follow(cameraFor(scene, 'restore', undefined));
    // What was in the middle of the width stays there: a pane beside the graph must not push it out of sight.
    else if (scene !== undefined && screen.width !== former.width && screen.width > 0)
      follow({ ...camera, x: camera.x + (former.width - screen.width) / 2 / camera.zoom });
    draw();
  };

  model.scene.onChange((next) => next !== undefined && takeScene(next.scene, next.anchor));
  app.overlay.onChange(remeasure);
  app.scale.onChange(remeasure);
  app.threshold.onChange(remeasure);
  app.extra.onChange(remeasure);
  app.selection.onChange(schedule);
  app.changes.onChange(() => {
    staleMinimap = true;
    schedule();
  });
  app.marked.onChange(() => {
    if (scene === undefined) return;
    markItems(scene);
    schedule();
  });
  canvas.addEventListener('focus', schedule);
  canvas.addEventListener('blur', schedule);
  onThemeChange(() => {
    theme = readTheme();
    remeasure();
  });
  new ResizeObserver(resize).observe(canvas);

  return {
    scene: () => scene,
    walk: () => walk,
    camera: () => camera,
    screen: () => screen,
    world: () => ({ width: scene?.layout.width ?? 1, height: scene?.layout.height ?? 1 }),
    shown: () =>
      scene === undefined || measures === undefined
        ? undefined
        : { scene, theme, decor: decorOf(scene, measures) },
    words: () => measures?.words ?? [],
    selected,
    moveTo,
    follow,
    onCamera(listener) {
      followers.add(listener);
      return () => void followers.delete(listener);
    },
    reveal(item) {
      if (scene !== undefined && item >= 0) moveTo(cameras.revealed(camera, boxOf(scene, item), screen));
    },
    point(at) {
      if (at.item !== pointed.item || at.edge !== pointed.edge) schedule();
      pointed = at;
    },
    mark(layers, current) {
      marks = { layers, current };
      remark();
    },
  };
}

const changesByScene = new WeakMap<Scene, { of: unknown; items: readonly (Change | undefined)[] }>();

/** How each item differs from the model beside this one; a tile that holds several kinds counts as changed. */
function changesOf(app: App, scene: Scene): readonly (Change | undefined)[] | undefined {
  const changes = app.changes.get();
  if (changes === undefined) return undefined;
  const known = changesByScene.get(scene);
  if (known?.of === changes) return known.items;
  const { view, visible } = scene;
  const items = scene.members.map((members, i) => {
    const kinds = new Set(members.map((v) => changes.get(view.strings[view.id[v]!]!)));
    if (visible.group[i]! < 0)
      return changes.get(view.strings[view.id[visible.node[i]!]!]!) ?? hiddenChange(kinds);
    const [only] = kinds;
    return kinds.size === 1 ? only : 'changed';
  });
  changesByScene.set(scene, { of: changes, items });
  return items;
}

/** Something folded into a card differs. */
function hiddenChange(kinds: ReadonlySet<Change | undefined>): Change | undefined {
  return [...kinds].some((kind) => kind !== undefined) ? 'changed' : undefined;
}
