import type * as cameras from './camera.ts';
import type { Anchor } from './graphModel.ts';
import { keyOf } from './graphModel.ts';
import { type Scene, boxOf } from './scene.ts';

/** A thing that should stay where it is on the screen while the picture around it changes. */
export interface Held {
  readonly key: string;
  /** Its top left corner on the screen. */
  readonly x: number;
  readonly y: number;
}

/** What to hold: what the anchor names, else the box nearest to the middle, with a preference for the selected one. */
export function hold(
  scene: Scene,
  anchor: Anchor,
  view: { camera: cameras.Camera; screen: cameras.Size; selected: number },
): Held | undefined {
  const { camera } = view;
  const key = typeof anchor === 'object' ? anchor.key : middleKey(scene, view);
  const box = key === undefined ? undefined : placeOf(scene, key);
  if (key === undefined || box === undefined) return undefined;
  return { key, x: (box.left - camera.x) * camera.zoom, y: (box.top - camera.y) * camera.zoom };
}

/** The camera that puts a held thing back where it was, or `undefined` when it is gone. */
export function cameraHolding(scene: Scene, held: Held, zoom: number): cameras.Camera | undefined {
  const box = placeOf(scene, held.key);
  return box === undefined ? undefined : { x: box.left - held.x / zoom, y: box.top - held.y / zoom, zoom };
}

function middleKey(
  scene: Scene,
  { camera, screen, selected }: { camera: cameras.Camera; screen: cameras.Size; selected: number },
): string | undefined {
  const x = camera.x + screen.width / camera.zoom / 2;
  const y = camera.y + screen.height / camera.zoom / 2;
  let best = -1;
  let least = Infinity;
  for (let i = 0; i < scene.visible.count; i++) {
    const preference = i === selected ? 1000 : 0;
    const distance = Math.hypot(scene.layout.x[i]! - x, scene.layout.y[i]! - y) - preference;
    if (distance < least) [best, least] = [i, distance];
  }
  return best < 0 ? undefined : keyOf(scene, best);
}

/** Where a layer or a group is; an unfolded group is where its first box is. */
function placeOf(scene: Scene, key: string): cameras.Box | undefined {
  const group = scene.tree.groups.findIndex((candidate) => candidate.key === key);
  const item =
    group >= 0
      ? scene.visible.node.findIndex(
          (v, i) => scene.visible.group[i] === group || isInside(scene, scene.tree.of[v]!, group),
        )
      : itemOfId(scene, key);
  return item < 0 ? undefined : boxOf(scene, item);
}

function itemOfId(scene: Scene, id: string): number {
  const { view, visible } = scene;
  for (let v = 0; v < view.nodeCount; v++) {
    if (view.strings[view.id[v]!] === id) return visible.itemOf[v]!;
  }
  return -1;
}

function isInside(scene: Scene, group: number, outer: number): boolean {
  for (let g = group; g >= 0; g = scene.tree.groups[g]!.parent) if (g === outer) return true;
  return false;
}
