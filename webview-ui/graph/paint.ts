import { type Frame, windowOf } from './frame.ts';
import { paintBoxes } from './paintBoxes.ts';
import { paintLines } from './paintLines.ts';

/** Draws one frame; only what meets the window is touched. */
export function paintFrame(frame: Frame): void {
  const { context, camera, screen, theme } = frame;
  const ratio = window.devicePixelRatio;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.fillStyle = theme.background;
  context.fillRect(0, 0, screen.width, screen.height);
  const scale = ratio * camera.zoom;
  // Whole device pixels keep hairlines and text sharp while panning.
  context.setTransform(scale, 0, 0, scale, Math.round(-camera.x * scale), Math.round(-camera.y * scale));
  paintOutlines(frame);
  paintLines(frame);
  paintBoxes(frame);
}

function paintOutlines(frame: Frame): void {
  const { context, scene, theme, camera } = frame;
  if (camera.zoom < 0.12) return;
  const view = windowOf(frame);
  context.lineWidth = 1 / camera.zoom;
  context.textBaseline = 'middle';
  for (const box of scene.outlines) {
    if (box.right < view.left || box.left > view.right || box.bottom < view.top || box.top > view.bottom)
      continue;
    context.strokeStyle = theme.border;
    context.setLineDash(theme.highContrast ? [4, 3] : []);
    context.beginPath();
    context.roundRect(box.left, box.top, box.right - box.left, box.bottom - box.top, 6);
    context.stroke();
    context.setLineDash([]);
    if (camera.zoom < 0.45) continue;
    context.font = `10px ${theme.font}`;
    const text = `▾ ${box.title}`;
    const width = context.measureText(text).width;
    context.fillStyle = theme.background;
    context.fillRect(box.left + 8, box.top - 6, width + 8, 12);
    context.fillStyle = theme.muted;
    context.fillText(text, box.left + 12, box.top);
  }
}
