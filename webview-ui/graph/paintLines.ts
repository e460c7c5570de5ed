import { type Frame, windowOf } from './frame.ts';
import type { Layout } from './layoutTypes.ts';

/** Below this zoom curves cannot be told from lines. */
const curveZoom = 0.15;
const arrowZoom = 0.4;
/** Shorter lines than this, in pixels, cannot be told from the specks they join. */
const hairline = 3;

export function paintLines(frame: Frame): void {
  const { context, scene, theme, camera, decor } = frame;
  const view = windowOf(frame);
  const special: number[] = [];
  const stubs: number[] = [];
  const shortest = hairline / camera.zoom;
  context.beginPath();
  scene.lines.query(view.left, view.top, view.right, view.bottom, (e) => {
    if (scene.layout.stub[e] === 1) stubs.push(e);
    else if (isSpecial(frame, e)) special.push(e);
    else if (camera.zoom > curveZoom || reach(scene.layout, e) > shortest)
      trace(context, scene.layout, e, camera.zoom);
  });
  context.lineJoin = 'round';
  context.strokeStyle = theme.edge;
  context.lineWidth = Math.max(1.25, 0.7 / camera.zoom);
  context.stroke();
  if (camera.zoom >= arrowZoom) paintArrows(frame, theme.edge, (e) => !isSpecial(frame, e));
  paintStubs(frame, stubs);
  if (special.length === 0) return;
  context.beginPath();
  for (const e of special) trace(context, scene.layout, e, camera.zoom);
  context.strokeStyle = theme.focus;
  context.lineWidth = Math.max(2, 1.5 / camera.zoom);
  context.stroke();
  if (camera.zoom >= arrowZoom)
    paintArrows(frame, theme.focus, (e) => decor.hoveredEdge === e || isSpecial(frame, e));
}

/** Lines of the selected box and the line under the pointer stand out. */
function isSpecial({ scene, decor }: Frame, e: number): boolean {
  if (decor.hoveredEdge === e) return true;
  return (
    decor.selected >= 0 && (scene.input.from[e] === decor.selected || scene.input.to[e] === decor.selected)
  );
}

/** How far a line goes, in either direction; its ends are its extremes. */
function reach({ route, routeStart }: Layout, e: number): number {
  const first = 2 * routeStart[e]!;
  const last = 2 * routeStart[e + 1]! - 2;
  return Math.max(Math.abs(route[last]! - route[first]!), Math.abs(route[last + 1]! - route[first + 1]!));
}

function trace(context: CanvasRenderingContext2D, layout: Layout, e: number, zoom: number): void {
  const { route, routeStart } = layout;
  let k = 2 * routeStart[e]!;
  const end = 2 * routeStart[e + 1]!;
  let x = route[k]!;
  let y = route[k + 1]!;
  context.moveTo(x, y);
  for (k += 2; k < end; k += 2) {
    const nextX = route[k]!;
    const nextY = route[k + 1]!;
    if (nextX === x || zoom < curveZoom) context.lineTo(nextX, nextY);
    else {
      const middle = (y + nextY) / 2;
      context.bezierCurveTo(x, middle, nextX, middle, nextX, nextY);
    }
    x = nextX;
    y = nextY;
  }
}

function paintArrows(frame: Frame, colour: string, wanted: (e: number) => boolean): void {
  const { context, scene } = frame;
  const { route, routeStart, stub } = scene.layout;
  const view = windowOf(frame);
  context.beginPath();
  scene.lines.query(view.left, view.top, view.right, view.bottom, (e) => {
    if (stub[e] === 1 || !wanted(e)) return;
    const k = 2 * routeStart[e + 1]! - 2;
    const x = route[k]!;
    const y = route[k + 1]!;
    // An edge of a cut cycle arrives from below.
    const way = route[k - 1]! > y ? -1 : 1;
    context.moveTo(x, y);
    context.lineTo(x - 3.5, y - 6 * way);
    context.lineTo(x + 3.5, y - 6 * way);
    context.closePath();
  });
  context.fillStyle = colour;
  context.fill();
}

/** A long edge: a short line with a ring at each end, named after the box at the other end. */
function paintStubs(frame: Frame, outgoing: readonly number[]): void {
  const { context, scene, theme, camera } = frame;
  if (camera.zoom < 0.25) return;
  const view = windowOf(frame);
  const { route, routeStart } = scene.layout;
  const ends: { x: number; from: number; to: number; peer: number }[] = [];
  const drawnFrom = new Set<number>();
  for (const e of outgoing) {
    const source = scene.input.from[e]!;
    // All long edges of one box leave by one stub.
    if (drawnFrom.has(source)) continue;
    drawnFrom.add(source);
    const k = 2 * routeStart[e]!;
    ends.push({ x: route[k]!, from: route[k + 1]!, to: route[k + 3]!, peer: -1 });
  }
  for (const e of scene.stubs) {
    const k = 2 * routeStart[e]! + 4;
    const y = route[k + 1]!;
    if (y < view.top - 40 || y > view.bottom + 40) continue;
    ends.push({ x: route[k]!, from: route[k + 3]!, to: y, peer: scene.input.from[e]! });
  }
  context.strokeStyle = theme.edge;
  context.lineWidth = 1.25;
  context.beginPath();
  for (const { x, from, to } of ends) {
    const ring = to + (to > from ? 2.5 : -2.5);
    context.moveTo(x, from);
    context.lineTo(x, to);
    context.moveTo(x + 2.5, ring);
    context.arc(x, ring, 2.5, 0, 2 * Math.PI);
  }
  context.stroke();
  if (camera.zoom < 0.6) return;
  context.font = `10px ${theme.font}`;
  context.textBaseline = 'middle';
  context.fillStyle = theme.muted;
  for (const { x, to, peer } of ends) {
    if (peer >= 0) context.fillText(`from ${scene.labels[peer]!.title}`, x + 7, to);
  }
}
