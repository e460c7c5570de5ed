import { type Frame, windowOf } from './frame.ts';

/** Below this zoom a box has no room for a word and is a speck of colour. */
export const speckZoom = 0.16;
/** A box smaller than this many device pixels is one pixel, and pixels are drawn once however many boxes share them. */
const pixelSize = 3;

/** Colours by rank: where specks share a pixel the higher rank is seen, so that heat is not drowned by cold. */
interface SpeckColours {
  readonly palette: readonly string[];
  readonly rank: Uint8Array;
}

type Painted = Pick<Frame, 'scene' | 'theme' | 'decor'>;

const colours = new WeakMap<object, { readonly of: readonly unknown[]; readonly value: SpeckColours }>();

/** Colour of every item, worked out once for a scene under an overlay. */
export function speckColours({ scene, theme, decor }: Painted): SpeckColours {
  const of = [theme, decor.heat, decor.dim, decor.changes];
  const known = colours.get(scene);
  if (known !== undefined && known.of.every((each, i) => each === of[i])) return known.value;
  const value = colourAll({ scene, theme, decor });
  colours.set(scene, { of, value });
  return value;
}

function colourAll(painted: Painted): SpeckColours {
  const { theme, decor, scene } = painted;
  const palette: string[] = [];
  const ranks = new Map<string, number>();
  const rankOf = (colour: string) => {
    let rank = ranks.get(colour);
    if (rank === undefined) ranks.set(colour, (rank = palette.push(colour) - 1));
    return rank;
  };
  rankOf(theme.border);
  if (decor.heatKind === 'ramp' && decor.showWords) for (const colour of theme.strongRamp) rankOf(colour);
  const rank = new Uint8Array(scene.visible.count);
  // What is below the threshold is as dark as an edge from afar.
  for (let i = 0; i < rank.length; i++) rank[i] = decor.dim[i] === 1 ? 0 : rankOf(speckColour(painted, i));
  return { palette, rank };
}

/** Colour of an item where there is no room for words; the minimap uses it too. */
function speckColour({ scene, theme, decor }: Painted, i: number): string {
  const change = decor.changes?.[i];
  if (change !== undefined) return theme.change[change];
  const heat = decor.heat[i]!;
  if (heat >= 0) return (decor.heatKind === 'ramp' ? theme.strongRamp : theme.kinds)[heat]!;
  // Colours of families between colours of heat would be read as heat.
  if (decor.showWords) return theme.border;
  const mix = scene.mixes[i];
  if (mix !== undefined) return theme.family[mix[0]!.family]!;
  const v = scene.visible.node[i]!;
  return scene.view.kind[v] === 0
    ? theme.family[scene.view.strings[scene.view.family[v]!]!]!
    : theme.foreground;
}

/** Specks of one colour are filled one after another: changing the colour is what costs. */
export function paintSpecks(frame: Frame, near: readonly number[], ratio: number): void {
  const { context, scene, camera } = frame;
  const { palette, rank } = speckColours(frame);
  const { x, y } = scene.layout;
  const { width, height } = scene.input;
  const byRank: number[][] = palette.map(() => []);
  if ((near.length === 0 ? 0 : width[near[0]!]!) * camera.zoom * ratio < pixelSize) {
    paintPixels(frame, near, ratio, { palette, rank });
    return;
  }
  for (const i of near) byRank[rank[i]!]!.push(i);
  // A speck is never thinner than a pixel.
  const thinnest = 1 / camera.zoom;
  byRank.forEach((items, r) => {
    context.fillStyle = palette[r]!;
    for (const i of items) {
      const w = Math.max(thinnest, width[i]!);
      const hgt = Math.max(thinnest, height[i]!);
      context.fillRect(x[i]! - w / 2, y[i]! - hgt / 2, w, hgt);
    }
  });
}

let cells = new Uint8Array(0);

function paintPixels(
  frame: Frame,
  near: readonly number[],
  ratio: number,
  { palette, rank }: SpeckColours,
): void {
  const { context, scene, camera, screen } = frame;
  const scale = camera.zoom * ratio;
  const view = windowOf(frame);
  const columns = Math.ceil(screen.width * ratio) + 2;
  const rows = Math.ceil(screen.height * ratio) + 2;
  if (cells.length < columns * rows) cells = new Uint8Array(columns * rows);
  else cells.fill(0, 0, columns * rows);
  const taken: number[] = [];
  for (const i of near) {
    const column = Math.floor((scene.layout.x[i]! - view.left) * scale);
    const row = Math.floor((scene.layout.y[i]! - view.top) * scale);
    if (column < 0 || row < 0 || column >= columns || row >= rows) continue;
    const cell = row * columns + column;
    if (cells[cell] === 0) taken.push(cell);
    if (cells[cell]! <= rank[i]!) cells[cell] = rank[i]! + 1;
  }
  const size = Math.max(1, scene.input.width[near[0]!]! * scale) / scale;
  const byRank: number[][] = palette.map(() => []);
  for (const cell of taken) byRank[cells[cell]! - 1]!.push(cell);
  byRank.forEach((list, r) => {
    context.fillStyle = palette[r]!;
    for (const cell of list) {
      const column = cell % columns;
      const row = (cell - column) / columns;
      context.fillRect(view.left + column / scale, view.top + row / scale, size, 1 / scale);
    }
  });
}
