import type { Change } from '../compare/comparison.ts';
import { type Frame, windowOf } from './frame.ts';
import { paintSpecks, speckZoom } from './paintSpecks.ts';
import { fitName, fitText } from './text.ts';
import { shortPrecision } from './overlay.ts';

/** Levels of detail: a card with everything, a box with its operator, a coloured speck. */
const cardZoom = 0.5;
const radius = 5;
/** Opacity of what is below the threshold. */
const dimmed = 0.25;

export function paintBoxes(frame: Frame, ratio: number): void {
  const { scene, camera } = frame;
  const view = windowOf(frame);
  const near: number[] = [];
  scene.boxes.query(view.left, view.top, view.right, view.bottom, (i) => void near.push(i));
  if (camera.zoom < speckZoom) paintSpecks(frame, near, ratio);
  else {
    for (const i of near) {
      if (frame.decor.dim[i] === 1) frame.context.globalAlpha = dimmed;
      paintBox(frame, i);
      frame.context.globalAlpha = 1;
    }
  }
  paintChanges(frame, near);
  paintMatches(frame, near);
  paintRing(frame);
  if (camera.zoom >= cardZoom) paintSigns(frame, near);
  if (camera.zoom >= cardZoom) for (const i of near) paintBadge(frame, i);
}

function paintBox(frame: Frame, i: number): void {
  const { context, scene, theme, camera, decor } = frame;
  const w = scene.input.width[i]!;
  const hgt = scene.input.height[i]!;
  const left = scene.layout.x[i]! - w / 2;
  const top = scene.layout.y[i]! - hgt / 2;
  const v = scene.visible.node[i]!;
  const folded = scene.visible.group[i]! >= 0;
  const port = !folded && scene.view.kind[v] !== 0;
  context.lineWidth = 1 / camera.zoom;
  context.strokeStyle = decor.hovered === i ? theme.focus : theme.border;
  if (folded) paintSheets(frame, left, top, w, hgt);
  context.beginPath();
  context.roundRect(left, top, w, hgt, port ? hgt / 2 : radius);
  context.fillStyle = fillOf(frame, i);
  context.fill();
  context.stroke();
  if (port) return paintPort(frame, i, left, top);
  if (!folded) paintStripe(frame, i, left, top, hgt);
  if (camera.zoom < cardZoom) return paintName(frame, i, left, top, w, hgt);
  if (folded) paintTile(frame, i, left, top, w, hgt);
  else paintCard(frame, i, left, top, w);
  paintBar(frame, i, left, top, w, hgt);
}

/** Quiet text would drown on a hot card. */
function quietColour({ theme, decor }: Frame, i: number): string {
  return decor.heat[i]! >= 0 && decor.heatKind === 'ramp' ? theme.foreground : theme.muted;
}

function fillOf({ theme, decor, camera }: Frame, i: number): string {
  const heat = decor.heat[i]!;
  if (heat < 0) return theme.card;
  if (decor.heatKind === 'ramp') return (camera.zoom < cardZoom ? theme.strongRamp : theme.ramp)[heat]!;
  return theme.card;
}

/** Two sheets behind a tile say that there is more inside. */
function paintSheets({ context, theme }: Frame, left: number, top: number, w: number, hgt: number): void {
  context.fillStyle = theme.card;
  for (const step of [6, 3]) {
    context.beginPath();
    context.roundRect(left + step, top + step, w - 2 * step + 3, hgt, radius);
    context.fill();
    context.stroke();
  }
}

function paintStripe(
  { context, scene, theme, decor }: Frame,
  i: number,
  left: number,
  top: number,
  hgt: number,
): void {
  const family = scene.view.strings[scene.view.family[scene.visible.node[i]!]!]!;
  const kind = decor.heatKind === 'kinds' ? decor.heat[i]! : -1;
  context.fillStyle = kind >= 0 ? theme.kinds[kind]! : theme.family[family]!;
  context.beginPath();
  context.roundRect(left, top, kind >= 0 ? 9 : 4, hgt, [radius, 0, 0, radius]);
  context.fill();
}

function paintPort({ context, scene, theme, camera }: Frame, i: number, left: number, top: number): void {
  if (camera.zoom < 0.3) return;
  const { title, second } = scene.labels[i]!;
  const centre = left + scene.input.width[i]! / 2;
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  context.fillStyle = theme.foreground;
  context.font = `600 12px ${theme.font}`;
  context.fillText(fitName(context, title, 156), centre, top + 15);
  context.font = `11px ${theme.font}`;
  context.fillStyle = theme.muted;
  context.fillText(fitText(context, second, 156), centre, top + 30);
  context.textAlign = 'left';
}

/** From afar: the operator in letters as large as the box carries. */
function paintName(
  { context, scene, theme, camera }: Frame,
  i: number,
  left: number,
  top: number,
  w: number,
  hgt: number,
): void {
  const size = Math.min(24, 9.5 / camera.zoom);
  if (w * camera.zoom < 34) return;
  context.font = `600 ${size}px ${theme.font}`;
  context.fillStyle = theme.foreground;
  context.textBaseline = 'middle';
  context.fillText(fitText(context, scene.labels[i]!.title, w - 18), left + 11, top + hgt / 2);
}

function paintCard(frame: Frame, i: number, left: number, top: number, w: number): void {
  const { context, scene, theme, decor } = frame;
  const label = scene.labels[i]!;
  const precision = shortPrecision(scene.view.strings[scene.view.precision[scene.visible.node[i]!]!]!);
  context.textBaseline = 'alphabetic';
  context.font = `10px ${theme.font}`;
  const chip = precision === '' ? 0 : context.measureText(precision).width + 10;
  if (chip > 0) {
    const kind = decor.heatKind === 'kinds' ? decor.heat[i]! : -1;
    context.strokeStyle = kind >= 0 ? theme.kinds[kind]! : theme.border;
    context.beginPath();
    context.roundRect(left + w - chip - 8, top + 7.5, chip, 14, 7);
    context.stroke();
    context.fillStyle = quietColour(frame, i);
    context.fillText(precision, left + w - chip - 3, top + 18);
  }
  context.font = `600 13px ${theme.font}`;
  context.fillStyle = theme.foreground;
  context.fillText(fitText(context, label.title, w - 26 - chip), left + 13, top + 19);
  context.font = `11px ${theme.font}`;
  const words = decor.showWords ? decor.words[i]! : '';
  const taken = words === '' ? 0 : context.measureText(words).width + 8;
  context.fillStyle = theme.foreground;
  if (taken > 0) context.fillText(words, left + w - taken, top + 35);
  context.fillStyle = quietColour(frame, i);
  context.fillText(fitText(context, label.second, w - 22 - taken), left + 13, top + 35);
  context.fillText(fitName(context, label.third, w - 22), left + 13, top + 50);
}

function paintTile(frame: Frame, i: number, left: number, top: number, w: number, hgt: number): void {
  const { context, scene, theme, decor } = frame;
  const label = scene.labels[i]!;
  context.textBaseline = 'alphabetic';
  context.font = `11px ${theme.font}`;
  const words = decor.showWords ? decor.words[i]! : '';
  const taken = words === '' ? 0 : context.measureText(words).width + 8;
  context.fillStyle = theme.foreground;
  if (taken > 0) context.fillText(words, left + w - taken - 2, top + 35);
  context.fillStyle = quietColour(frame, i);
  context.fillText(fitText(context, label.second, w - 22 - taken), left + 12, top + 35);
  context.fillText(fitText(context, label.third, w - 22), left + 12, top + 50);
  context.font = `600 13px ${theme.font}`;
  context.fillStyle = theme.foreground;
  context.fillText(`▸ ${fitText(context, label.title, w - 40)}`, left + 12, top + 19);
  let x = left + 12;
  const length = w - 24;
  for (const { family, share } of scene.mixes[i] ?? []) {
    context.fillStyle = theme.family[family]!;
    context.fillRect(x, top + hgt - 19, Math.max(0, length * share - 0.5), 6);
    x += length * share;
  }
}

/** The cost bar along the lower edge. */
function paintBar(
  { context, theme, decor }: Frame,
  i: number,
  left: number,
  top: number,
  w: number,
  hgt: number,
): void {
  const share = decor.bar[i]!;
  if (Number.isNaN(share)) return;
  const inner = w - 24;
  context.fillStyle = theme.border;
  const alpha = decor.dim[i] === 1 ? dimmed : 1;
  context.globalAlpha = alpha * (theme.highContrast ? 1 : 0.5);
  context.fillRect(left + 12, top + hgt - 7, inner, 1);
  context.globalAlpha = alpha;
  if (share <= 0) return;
  context.fillStyle = theme.strongRamp[Math.round(Math.max(0.35, share) * (theme.strongRamp.length - 1))]!;
  context.fillRect(left + 12, top + hgt - 8, Math.max(2, inner * share), 3);
}

const marks = ['', 'i', 'i', '!', '×'] as const;

function paintBadge({ context, scene, theme }: Frame, i: number): void {
  const severity = scene.severity[i]!;
  if (severity === 0) return;
  const right = scene.layout.x[i]! + scene.input.width[i]! / 2;
  const top = scene.layout.y[i]! - scene.input.height[i]! / 2;
  context.lineWidth = 1;
  const many = scene.findings[i]!;
  const text = many > 1 ? `${marks[severity]} ${many}` : marks[severity]!;
  context.font = `600 10px ${theme.font}`;
  const w = Math.max(15, context.measureText(text).width + 9);
  context.beginPath();
  context.roundRect(right - w + 5, top - 6, w, 15, 7.5);
  context.fillStyle = theme.severity[severity]!;
  context.fill();
  context.strokeStyle = theme.background;
  context.stroke();
  context.fillStyle = theme.background;
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  context.fillText(text, right - w / 2 + 5, top + 2);
  context.textAlign = 'left';
}

const changeSigns: Readonly<Record<Change, string>> = { added: '+', changed: '~', removed: '−' };

/** What differs from the model beside this one. */
function paintChanges({ context, scene, theme, camera, decor }: Frame, near: readonly number[]): void {
  const { changes } = decor;
  if (changes === undefined) return;
  const line = Math.max(2, 1.5 / camera.zoom);
  for (const i of near) {
    const change = changes[i];
    if (change === undefined) continue;
    ring(context, scene, i, theme.change[change], line, 0);
  }
}

/** The kind of a difference in a sign, so that colour is not alone. */
function paintSigns({ context, scene, theme, decor }: Frame, near: readonly number[]): void {
  for (const i of near) {
    const change = decor.changes?.[i];
    if (change === undefined) continue;
    const left = scene.layout.x[i]! - scene.input.width[i]! / 2;
    const top = scene.layout.y[i]! - scene.input.height[i]! / 2;
    context.beginPath();
    context.roundRect(left - 8, top - 7, 16, 15, 4);
    context.fillStyle = theme.change[change];
    context.fill();
    context.fillStyle = theme.background;
    context.font = `700 12px ${theme.font}`;
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    context.fillText(changeSigns[change], left, top + 1);
    context.textAlign = 'left';
  }
}

function paintMatches({ context, scene, theme, camera, decor }: Frame, near: readonly number[]): void {
  const line = Math.max(3, 2 / camera.zoom);
  for (const i of near) {
    if (decor.matches[i] !== 1) continue;
    ring(context, scene, i, i === decor.currentMatch ? theme.currentMatch : theme.match, line, 1);
  }
}

function paintRing({ context, scene, theme, camera, decor }: Frame): void {
  if (decor.selected < 0) return;
  const line = Math.max(decor.focused ? 3 : 2, (decor.focused ? 2.5 : 2) / camera.zoom);
  ring(context, scene, decor.selected, theme.focus, line, 2);
}

function ring(
  context: CanvasRenderingContext2D,
  scene: Frame['scene'],
  i: number,
  colour: string,
  line: number,
  gap: number,
): void {
  const w = scene.input.width[i]! + 2 * gap + line;
  const hgt = scene.input.height[i]! + 2 * gap + line;
  context.strokeStyle = colour;
  context.lineWidth = line;
  context.beginPath();
  context.roundRect(scene.layout.x[i]! - w / 2, scene.layout.y[i]! - hgt / 2, w, hgt, radius + gap);
  context.stroke();
}
