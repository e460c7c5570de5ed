/** `x`, `y`: the world point in the top left corner of the canvas. `zoom`: screen pixels per world pixel. */
export interface Camera {
  readonly x: number;
  readonly y: number;
  readonly zoom: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

const largestZoom = 3;
const margin = 24;

/** Whole graphs stay reachable, however tall. */
function smallestZoom(world: Size, screen: Size): number {
  const all = Math.min(screen.width / (world.width + 80), screen.height / (world.height + 80));
  return Math.min(0.5, Math.max(0.0005, all * 0.9));
}

export function panned(camera: Camera, dx: number, dy: number): Camera {
  return { ...camera, x: camera.x + dx / camera.zoom, y: camera.y + dy / camera.zoom };
}

/** Zooms by `factor` and keeps the world point under the screen point where it is. */
export function zoomedAt(
  camera: Camera,
  point: { x: number; y: number },
  factor: number,
  world: Size,
  screen: Size,
): Camera {
  const zoom = Math.min(largestZoom, Math.max(smallestZoom(world, screen), camera.zoom * factor));
  return {
    x: camera.x + point.x / camera.zoom - point.x / zoom,
    y: camera.y + point.y / camera.zoom - point.y / zoom,
    zoom,
  };
}

/** How much of the screen may be empty beyond the end of a graph that is larger than the screen. */
const overscroll = 0.3;

/** Keeps the graph on screen: all of it where it fits, else with a little air at its ends. */
export function kept(camera: Camera, world: Size, screen: Size): Camera {
  const within = (at: number, extent: number, length: number) => {
    const air = length > extent ? overscroll * extent : 0;
    return Math.min(Math.max(0, length - extent) + air, Math.max(Math.min(0, length - extent) - air, at));
  };
  return {
    ...camera,
    x: within(camera.x, screen.width / camera.zoom, world.width),
    y: within(camera.y, screen.height / camera.zoom, world.height),
  };
}

/** Fits the width, shows the top; never larger than life, never too small to read when the graph is wide. */
export function fittedToWidth(world: Size, screen: Size, focusX: number): Camera {
  const fit = (screen.width - 2 * margin) / Math.max(1, world.width);
  const zoom = Math.min(1, Math.max(0.7, fit));
  const spare = screen.width / zoom - world.width;
  const x =
    spare >= 0
      ? -spare / 2
      : Math.max(
          -margin,
          Math.min(focusX - screen.width / zoom / 2, world.width + margin - screen.width / zoom),
        );
  return { x, y: -margin / zoom, zoom };
}

/** Everything at once. */
export function fittedWhole(world: Size, screen: Size): Camera {
  const fit = Math.min(
    (screen.width - 2 * margin) / Math.max(1, world.width),
    (screen.height - 2 * margin) / Math.max(1, world.height),
  );
  const zoom = Math.max(smallestZoom(world, screen), Math.min(1, fit));
  return {
    x: (world.width - screen.width / zoom) / 2,
    y: (world.height - screen.height / zoom) / 2,
    zoom,
  };
}

/**
 * Moves as little as needed to show a box with some air around it, and centres one that is far away; zooms in when it
 * could not be read.
 */
export function revealed(camera: Camera, box: Box, screen: Size): Camera {
  const zoom = camera.zoom < 0.35 ? 0.8 : camera.zoom;
  const w = screen.width / zoom;
  const hgt = screen.height / zoom;
  const centreX = (box.left + box.right) / 2;
  const centreY = (box.top + box.bottom) / 2;
  if (zoom !== camera.zoom) return { x: centreX - w / 2, y: centreY - hgt / 2, zoom };
  const air = Math.min(80 / zoom, w / 6, hgt / 6);
  const inside = (at: number, extent: number, low: number, high: number) => {
    if (high < at - extent || low > at + 2 * extent) return (low + high - extent) / 2;
    return Math.max(Math.min(at, low - air), high + air - extent);
  };
  return {
    x: inside(camera.x, w, box.left, box.right),
    y: inside(camera.y, hgt, box.top, box.bottom),
    zoom,
  };
}
