// Draws media/icon.png (256 × 256) and media/icon-128.png: a board with three layers of a network drawn on it, and the
// saw's kerf through it. Run again after changing the drawing: `node scripts/icon.mjs`.
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PNG } from 'pngjs';
import { root } from './vscodeServer.mjs';

/** Samples per pixel and axis; 6 × 6 gives edges without visible steps. */
const SAMPLES = 6;

const SLATE_TOP = [38, 46, 61];
const SLATE_BOTTOM = [22, 27, 38];
const WOOD = [236, 176, 92];
const WOOD_DARK = [208, 143, 62];
const STEEL = [226, 232, 240];
const STEEL_DARK = [148, 160, 178];
const INK = [64, 44, 20];

/** Shapes are signed distances in a unit square: negative inside. Later ones cover earlier ones. */
const roundedBox = (x, y, cx, cy, halfWidth, halfHeight, radius) => {
  const dx = Math.abs(x - cx) - halfWidth + radius;
  const dy = Math.abs(y - cy) - halfHeight + radius;
  return Math.hypot(Math.max(dx, 0), Math.max(dy, 0)) + Math.min(Math.max(dx, dy), 0) - radius;
};
const circle = (x, y, cx, cy, radius) => Math.hypot(x - cx, y - cy) - radius;
const segment = (x, y, [ax, ay], [bx, by], halfWidth) => {
  const along = ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / ((bx - ax) ** 2 + (by - ay) ** 2);
  const t = Math.min(1, Math.max(0, along));
  return Math.hypot(x - ax - t * (bx - ax), y - ay - t * (by - ay)) - halfWidth;
};

const BLADE = { x: 0.5, y: 0.315, radius: 0.205, teeth: 18, depth: 0.034 };
const KERF = 0.03;

/** Teeth rake forward: each rises slowly and falls at once, as on a rip blade. */
function blade(x, y) {
  const angle = Math.atan2(y - BLADE.y, x - BLADE.x) / (2 * Math.PI) + 0.5;
  const phase = (angle * BLADE.teeth) % 1;
  const tooth = phase < 0.8 ? phase / 0.8 : (1 - phase) / 0.2;
  return circle(x, y, BLADE.x, BLADE.y, BLADE.radius + BLADE.depth * (tooth - 0.5));
}

const LEFT = [
  [0.2, 0.63],
  [0.2, 0.75],
];
const MIDDLE = [
  [0.35, 0.57],
  [0.35, 0.69],
  [0.35, 0.81],
];
const RIGHT = [
  [0.65, 0.63],
  [0.65, 0.75],
];
const LAST = [[0.8, 0.69]];
const NODES = [...LEFT, ...MIDDLE, ...RIGHT, ...LAST];
const EDGES = [
  ...LEFT.flatMap((from) => MIDDLE.map((to) => [from, to])),
  ...MIDDLE.flatMap((from) => RIGHT.map((to) => [from, to])),
  ...RIGHT.flatMap((from) => LAST.map((to) => [from, to])),
];

function colorAt(x, y) {
  if (roundedBox(x, y, 0.5, 0.5, 0.5, 0.5, 0.22) > 0) {
    return undefined;
  }
  const slate = SLATE_TOP.map((top, i) => top + (SLATE_BOTTOM[i] - top) * y);
  if (blade(x, y) < 0) {
    const hub = circle(x, y, BLADE.x, BLADE.y, 0.045);
    const ring = Math.abs(circle(x, y, BLADE.x, BLADE.y, 0.125)) - 0.007;
    return hub < 0 ? slate : ring < 0 ? STEEL_DARK : STEEL;
  }
  const board = roundedBox(x, y, 0.5, 0.69, 0.39, 0.23, 0.045);
  // The board is cut through by the blade, so the kerf is as wide as the blade is thick: the gap is what is removed.
  const inKerf = Math.abs(x - 0.5) < KERF;
  if (board < 0 && !inKerf) {
    return boardAt(x, y);
  }
  return slate;
}

function boardAt(x, y) {
  if (NODES.some(([cx, cy]) => circle(x, y, cx, cy, 0.04) < 0)) {
    return INK;
  }
  if (EDGES.some(([from, to]) => segment(x, y, from, to, 0.009) < 0)) {
    return WOOD_DARK;
  }
  return WOOD;
}

function draw(size) {
  const png = new PNG({ width: size, height: size });
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      png.data.set(pixel(column, row, size), 4 * (row * size + column));
    }
  }
  return PNG.sync.write(png);
}

function pixel(column, row, size) {
  const sum = [0, 0, 0];
  let covered = 0;
  for (let i = 0; i < SAMPLES * SAMPLES; i++) {
    const x = (column + ((i % SAMPLES) + 0.5) / SAMPLES) / size;
    const y = (row + (Math.floor(i / SAMPLES) + 0.5) / SAMPLES) / size;
    const color = colorAt(x, y);
    if (color !== undefined) {
      covered++;
      color.forEach((value, channel) => (sum[channel] += value));
    }
  }
  const mean = sum.map((value) => (covered === 0 ? 0 : Math.round(value / covered)));
  return [...mean, Math.round((255 * covered) / (SAMPLES * SAMPLES))];
}

await mkdir(path.join(root, 'media'), { recursive: true });
await writeFile(path.join(root, 'media/icon.png'), draw(256));
await writeFile(path.join(root, 'media/icon-128.png'), draw(128));
