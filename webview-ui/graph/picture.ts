import type { Camera, Size } from './camera.ts';
import type { Decor } from './frame.ts';
import { paintFrame } from './paint.ts';
import type { Scene } from './scene.ts';
import type { Theme } from './theme.ts';

/** What is on the stage. */
export interface Shown {
  readonly scene: Scene;
  readonly theme: Theme;
  readonly decor: Decor;
}

/** Draws the graph without what belongs to the moment: selection, pointer and search. */
export function paintPicture(
  { scene, theme, decor }: Shown,
  context: CanvasRenderingContext2D,
  screen: Size,
  camera: Camera,
  ratio = 1,
): void {
  const still: Decor = {
    ...decor,
    selected: -1,
    hovered: -1,
    hoveredEdge: -1,
    matches: new Uint8Array(scene.visible.count),
    currentMatch: -1,
    focused: false,
  };
  paintFrame({ context, scene, theme, camera, screen, decor: still }, ratio);
}
