import { type Frame, windowOf } from './frame.ts';
import { paintBoxes } from './paintBoxes.ts';
import { paintLines } from './paintLines.ts';
import type { Outline } from './scene.ts';

/** Draws one frame; only what meets the window is touched. */
export function paintFrame(frame: Frame, ratio = window.devicePixelRatio): void {
  const { context, camera, screen, theme } = frame;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.fillStyle = theme.background;
  context.fillRect(0, 0, screen.width, screen.height);
  const scale = ratio * camera.zoom;
  // Whole device pixels keep hairlines and text sharp while panning.
  context.setTransform(scale, 0, 0, scale, Math.round(-camera.x * scale), Math.round(-camera.y * scale));
  const outlines = outlinesInSight(frame);
  context.globalAlpha = frame.lines ?? 1;
  paintOutlines(frame, outlines);
  paintLines(frame);
  paintTitles(frame, outlines);
  context.globalAlpha = 1;
  paintBoxes(frame, ratio);
}

function outlinesInSight(frame: Frame): readonly Outline[] {
  if (frame.camera.zoom < 0.12) return [];
  const view = windowOf(frame);
  return frame.scene.outlines.filter(
    (box) => box.right > view.left && box.left < view.right && box.bottom > view.top && box.top < view.bottom,
  );
}

function paintOutlines({ context, theme, camera }: Frame, outlines: readonly Outline[]): void {
  context.lineWidth = 1 / camera.zoom;
  context.strokeStyle = theme.border;
  context.setLineDash(theme.highContrast ? [4, 3] : []);
  for (const box of outlines) {
    context.beginPath();
    context.roundRect(box.left, box.top, box.right - box.left, box.bottom - box.top, 6);
    context.stroke();
  }
  context.setLineDash([]);
}

/** Titles stand in the frame's upper border; a click on one folds the group. */
function paintTitles({ context, theme, camera }: Frame, outlines: readonly Outline[]): void {
  if (camera.zoom < 0.45) return;
  context.font = `10px ${theme.font}`;
  context.textBaseline = 'middle';
  for (const box of outlines) {
    const text = `▾ ${box.title}`;
    context.fillStyle = theme.background;
    context.fillRect(box.left + 8, box.top - 6, context.measureText(text).width + 8, 12);
    context.fillStyle = theme.muted;
    context.fillText(text, box.left + 12, box.top);
  }
}
