import { type Camera, type Size, kept } from './camera.ts';
import type { Decor, Frame } from './frame.ts';
import { speckColours } from './paintSpecks.ts';
import type { Scene } from './scene.ts';
import type { Theme } from './theme.ts';

const width = 54;
/** A small graph keeps this size and leaves the rest of the strip empty, as the editor's minimap does. */
const largestScale = 0.14;

/** How the graph lies in the strip, in strip pixels: both axes fit, each on its own scale, centred across. */
interface Fit {
  readonly sx: number;
  readonly sy: number;
  readonly left: number;
}

function fitOf(world: Size, height: number): Fit {
  const sx = Math.min(width / Math.max(1, world.width), largestScale);
  const sy = Math.min(height / Math.max(1, world.height), largestScale);
  return { sx, sy, left: (width - world.width * sx) / 2 };
}

/** The whole graph as a strip beside the canvas, like the editor's minimap: both axes fit, each on its own scale. */
export interface Minimap {
  readonly element: HTMLCanvasElement;
  /** Redraws the picture behind the window. */
  draw(scene: Scene, theme: Theme, decor: Decor): void;
  /** Redraws the window. */
  follow(camera: Camera, screen: Size, theme: Theme): void;
}

export function createMinimap(move: (change: (camera: Camera, screen: Size) => Camera) => void): Minimap {
  const element = document.createElement('canvas');
  element.className = 'minimap';
  element.setAttribute('aria-hidden', 'true');
  const picture = document.createElement('canvas');
  let world: Size = { width: 1, height: 1 };
  let height = 0;

  const goTo = (event: PointerEvent) => {
    const { top, left } = element.getBoundingClientRect();
    const fit = fitOf(world, height);
    const y = (event.clientY - top) / fit.sy;
    const x = (event.clientX - left - fit.left) / fit.sx;
    move((camera, screen) => {
      const wide = world.width * camera.zoom > screen.width;
      const next = { ...camera, y: y - screen.height / camera.zoom / 2 };
      return kept(wide ? { ...next, x: x - screen.width / camera.zoom / 2 } : next, world, screen);
    });
  };
  element.addEventListener('pointerdown', (event) => {
    element.setPointerCapture(event.pointerId);
    goTo(event);
  });
  element.addEventListener('pointermove', (event) => {
    if (element.hasPointerCapture(event.pointerId)) goTo(event);
  });

  return {
    element,
    draw(scene, theme, decor) {
      const ratio = window.devicePixelRatio;
      height = element.clientHeight;
      world = { width: scene.layout.width, height: scene.layout.height };
      for (const canvas of [element, picture]) {
        canvas.width = Math.round(width * ratio);
        canvas.height = Math.round(height * ratio);
      }
      drawSpecks(picture, ratio, fitOf(world, height), { scene, theme, decor });
    },
    follow(camera, screen, theme) {
      const context = element.getContext('2d');
      if (context === null || element.width === 0 || element.height === 0 || height === 0) return;
      const ratio = element.width / width;
      const fit = fitOf(world, height);
      const [sx, sy, offset] = [fit.sx * ratio, fit.sy * ratio, fit.left * ratio];
      context.clearRect(0, 0, element.width, element.height);
      context.drawImage(picture, 0, 0);
      const left = Math.max(0, offset + camera.x * sx);
      const right = Math.min(element.width, offset + (camera.x + screen.width / camera.zoom) * sx);
      const top = camera.y * sy;
      const tall = Math.max(3, (screen.height / camera.zoom) * sy);
      context.fillStyle = theme.foreground;
      context.globalAlpha = 0.14;
      context.fillRect(left, top, right - left, tall);
      context.globalAlpha = 1;
      context.strokeStyle = theme.focus;
      context.strokeRect(left + 0.5, top + 0.5, Math.max(1, right - left - 1), tall - 1);
    },
  };
}

function drawSpecks(
  canvas: HTMLCanvasElement,
  ratio: number,
  fit: Fit,
  frame: Pick<Frame, 'scene' | 'theme' | 'decor'>,
): void {
  const context = canvas.getContext('2d');
  if (context === null || canvas.height === 0) return;
  const { layout, input, visible } = frame.scene;
  const [sx, sy, left] = [fit.sx * ratio, fit.sy * ratio, fit.left * ratio];
  const { palette, rank } = speckColours(frame);
  // Several boxes may share a strip's pixel; what ranks higher is drawn later and is seen.
  const order = Uint32Array.from({ length: visible.count }, (_, i) => i).sort((a, b) => rank[a]! - rank[b]!);
  for (const i of order) {
    const w = Math.max(1, input.width[i]! * sx);
    const hgt = Math.max(1, input.height[i]! * sy);
    context.fillStyle = palette[rank[i]!]!;
    context.fillRect(left + layout.x[i]! * sx - w / 2, layout.y[i]! * sy - hgt / 2, w, hgt);
  }
}
