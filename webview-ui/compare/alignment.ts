import type { Camera, Size } from '../graph/camera.ts';
import type { Scene } from '../graph/scene.ts';

/** A place of one picture and the place of its counterpart in the other. */
interface Anchor {
  readonly y: number;
  readonly otherY: number;
  readonly shiftX: number;
}

/**
 * Which camera shows in the other picture what a camera shows in this one. Counterparts in order of height are the
 * knots of a piecewise linear map, so that panning one picture never makes the other one jump.
 */
export type Alignment = (
  view: { camera: Camera; screen: Size; selected: number },
  otherScreen: Size,
) => Camera;

export function alignmentOf(
  scene: Scene,
  other: Scene,
  counterpart: (id: string) => string | undefined,
): Alignment {
  const anchors = anchorsOf(scene, other, counterpart);
  return ({ camera, screen, selected }, otherScreen) => {
    const tall = screen.height / camera.zoom;
    const chosen = selected < 0 ? camera.y + tall / 2 : scene.layout.y[selected]!;
    // The selected box is level with its counterpart; one that is out of sight counts as at the edge it left by.
    const { shiftX, shiftY } = shiftAt(anchors, Math.min(camera.y + tall, Math.max(camera.y, chosen)));
    const spare = (screen.width - otherScreen.width) / camera.zoom / 2;
    return { x: camera.x + shiftX + spare, y: camera.y + shiftY, zoom: camera.zoom };
  };
}

function anchorsOf(
  scene: Scene,
  other: Scene,
  counterpart: (id: string) => string | undefined,
): readonly Anchor[] {
  const itemOfId = new Map<string, number>();
  other.visible.itemOf.forEach((item, v) => itemOfId.set(other.view.strings[other.view.id[v]!]!, item));
  const pairs: Anchor[] = [];
  for (let i = 0; i < scene.visible.count; i++) {
    const id = counterpart(scene.view.strings[scene.view.id[scene.visible.node[i]!]!]!);
    const item = id === undefined ? undefined : itemOfId.get(id);
    if (item === undefined) continue;
    const { x, y } = scene.layout;
    pairs.push({ y: y[i]!, otherY: other.layout.y[item]!, shiftX: other.layout.x[item]! - x[i]! });
  }
  pairs.sort((a, b) => a.y - b.y || a.otherY - b.otherY);
  // One knot a height, and never backwards: a line of boxes has one place.
  const knots: Anchor[] = [];
  for (const pair of pairs) {
    const last = knots.at(-1);
    if (last === undefined || (pair.y > last.y && pair.otherY > last.otherY)) knots.push(pair);
  }
  return knots;
}

function shiftAt(
  anchors: readonly Anchor[],
  y: number,
): { readonly shiftX: number; readonly shiftY: number } {
  let low = 0;
  let high = anchors.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (anchors[middle]!.y <= y) low = middle + 1;
    else high = middle;
  }
  const below = anchors[low];
  const above = anchors[low - 1];
  const only = above ?? below;
  if (only === undefined) return { shiftX: 0, shiftY: 0 };
  if (above === undefined || below === undefined)
    return { shiftX: only.shiftX, shiftY: only.otherY - only.y };
  const t = (y - above.y) / (below.y - above.y);
  return {
    shiftX: above.shiftX + t * (below.shiftX - above.shiftX),
    shiftY: above.otherY + t * (below.otherY - above.otherY) - y,
  };
}
