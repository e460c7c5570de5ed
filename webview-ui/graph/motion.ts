import type { Camera } from './camera.ts';
import { keyOf } from './graphModel.ts';
import type { Scene } from './scene.ts';

/** The way from one picture to the next. */
export interface Motion {
  /** The picture at a time, `undefined` when it has arrived. */
  at(now: number): { readonly scene: Scene; readonly lines: number } | undefined;
}

const lastsMs = 180;
/** More boxes than this change places at once. */
const most = 2500;
/** Shorter ways than this, in pixels, are no motion. */
const least = 2;

interface View {
  readonly scene: Scene;
  readonly camera: Camera;
}

/**
 * Boxes go from where they were on the screen to where they are now; what is new appears in place. Nothing moves when
 * it is to be still, when nothing changed places, and in pictures too large for it.
 */
export function motionOf(former: View, next: View, still: boolean): Motion | undefined {
  const { scene } = next;
  if (still || scene.visible.count > most || former.scene.visible.count > most) return undefined;
  const places = new Map<string, number>();
  for (let i = 0; i < former.scene.visible.count; i++) places.set(keyOf(former.scene, i), i);
  const begin = { x: scene.layout.x.slice(), y: scene.layout.y.slice() };
  let moved = false;
  for (let i = 0; i < scene.visible.count; i++) {
    const was = places.get(keyOf(scene, i));
    if (was === undefined) continue;
    const x = onScreen(
      former.scene.layout.x[was]!,
      former.camera.x,
      former.camera.zoom,
      next.camera.x,
      next.camera.zoom,
    );
    const y = onScreen(
      former.scene.layout.y[was]!,
      former.camera.y,
      former.camera.zoom,
      next.camera.y,
      next.camera.zoom,
    );
    if (Math.hypot(x - begin.x[i]!, y - begin.y[i]!) * next.camera.zoom > least) moved = true;
    begin.x[i] = x;
    begin.y[i] = y;
  }
  if (!moved) return undefined;
  let started: number | undefined;
  return {
    at(now) {
      started ??= now;
      const t = (now - started) / lastsMs;
      if (t >= 1) return undefined;
      const eased = 1 - (1 - t) ** 3;
      const between = (from: Float32Array, to: Float32Array) =>
        Float32Array.from(to, (end, i) => from[i]! + (end - from[i]!) * eased);
      const { x, y } = scene.layout;
      const layout = { ...scene.layout, x: between(begin.x, x), y: between(begin.y, y) };
      return { scene: { ...scene, layout }, lines: eased * eased };
    },
  };
}

/** Where in the new world a former place looks as it did on the screen. */
function onScreen(
  place: number,
  cameraBefore: number,
  zoomBefore: number,
  camera: number,
  zoom: number,
): number {
  return camera + ((place - cameraBefore) * zoomBefore) / zoom;
}

/** The system's wish, or VS Code's own setting. */
export function motionUnwanted(): boolean {
  return (
    window.matchMedia('(prefers-reduced-motion: reduce)').matches ||
    document.body.classList.contains('vscode-reduce-motion')
  );
}
