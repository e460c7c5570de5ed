import { boxOf, type Scene } from './scene.ts';

export type Hit =
  | { readonly kind: 'item'; readonly item: number }
  | { readonly kind: 'edge'; readonly edge: number }
  /** A ring of a long edge; `item` is the box at the other end. */
  | { readonly kind: 'stub'; readonly edge: number; readonly item: number }
  | { readonly kind: 'outline'; readonly group: number };

/** What is under a world point; `reach` is how far off a line may be, in world pixels. */
export function hitAt(scene: Scene, x: number, y: number, reach: number): Hit | undefined {
  let hit: Hit | undefined;
  scene.boxes.query(x, y, x, y, (item) => {
    const box = boxOf(scene, item);
    if (x >= box.left && x <= box.right && y >= box.top && y <= box.bottom) hit = { kind: 'item', item };
  });
  if (hit !== undefined) return hit;
  for (const { group, left, top, title } of scene.outlines) {
    if (y >= top - 9 && y <= top + 9 && x >= left + 4 && x <= left + 24 + 6 * title.length) {
      return { kind: 'outline', group };
    }
  }
  return stubAt(scene, x, y, reach) ?? lineAt(scene, x, y, reach);
}

function stubAt(scene: Scene, x: number, y: number, reach: number): Hit | undefined {
  const { route, routeStart } = scene.layout;
  for (const edge of scene.stubs) {
    const k = 2 * routeStart[edge]!;
    if (near(route[k]!, route[k + 3]!)) return { kind: 'stub', edge, item: scene.input.to[edge]! };
    if (near(route[k + 4]!, route[k + 5]!)) return { kind: 'stub', edge, item: scene.input.from[edge]! };
  }
  return undefined;

  function near(px: number, py: number): boolean {
    return Math.hypot(px - x, py - y) < reach + 5;
  }
}

function lineAt(scene: Scene, x: number, y: number, reach: number): Hit | undefined {
  let best = reach;
  let found = -1;
  scene.lines.query(x - reach, y - reach, x + reach, y + reach, (edge) => {
    if (scene.layout.stub[edge] === 1) return;
    const distance = distanceTo(scene, edge, x, y);
    if (distance <= best) {
      best = distance;
      found = edge;
    }
  });
  return found < 0 ? undefined : { kind: 'edge', edge: found };
}

/** Horizontal distance to the piece of the route at this height; curves are S-shaped between their ends. */
function distanceTo(scene: Scene, edge: number, x: number, y: number): number {
  const { route, routeStart } = scene.layout;
  let best = Infinity;
  for (let k = 2 * routeStart[edge]! + 2; k < 2 * routeStart[edge + 1]!; k += 2) {
    const [x0, y0, x1, y1] = [route[k - 2]!, route[k - 1]!, route[k]!, route[k + 1]!];
    if (y < Math.min(y0, y1) || y > Math.max(y0, y1) || y0 === y1) continue;
    const t = (y - y0) / (y1 - y0);
    // The cubic with vertical ends at half height, solved by its smooth-step likeness.
    const s = t * t * (3 - 2 * t);
    best = Math.min(best, Math.abs(x - (x0 + (x1 - x0) * s)));
  }
  return best;
}
