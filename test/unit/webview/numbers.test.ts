import { describe, expect, it } from 'vitest';
import { formatCapacity } from '../../../src/editor/support/format.ts';
import * as format from '../../../webview-ui/format.ts';
import * as cameras from '../../../webview-ui/graph/camera.ts';
import { buildGrid } from '../../../webview-ui/graph/grid.ts';
import { layoutGraph } from '../../../webview-ui/graph/layout.ts';
import { shortPrecision } from '../../../webview-ui/graph/overlay.ts';
import { endOf } from '../../../webview-ui/graph/text.ts';
import { seeded } from '../../webview/support/graphs.ts';

describe('numbers for people', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [999.6, '1 kB'],
    [1536, '1.54 kB'],
    [12_400_000, '12.4 MB'],
    [Number.NaN, 'unknown'],
    [null, 'unknown'],
  ])('%s bytes', (value, text) => expect(format.bytes(value)).toBe(text));

  it.each([
    [8 * 2 ** 30, '8 GiB'],
    [2_097_152, '2 MiB'],
    [655_360, '640 KiB'],
    [1_024_000, '1.02 MB'],
    [1_000_000, '1 MB'],
    [1_250_000, '1.25 MB'],
    [500, '500 B'],
  ])('a limit of %d bytes', (value, text) => {
    expect(format.limit(value)).toBe(text);
    expect(formatCapacity(value)).toBe(text);
  });

  it.each([
    [7, '…/Conv'],
    [5, '…/Conv'],
    [4, '…Conv'],
    [0, ''],
    [18, '…/block.1/conv/Conv'],
  ])('%d characters of the end of a name', (length, text) =>
    expect(endOf('model/block.1/conv/Conv', length)).toBe(text),
  );

  it.each([
    [0.0005, '0.5 µs'],
    [0.25, '250 µs'],
    [1.234, '1.23 ms'],
    [999.7, '1 s'],
    [12_345, '12.3 s'],
    [undefined, 'unknown'],
  ])('%s ms', (value, text) => expect(format.time(value)).toBe(text));

  it.each([
    [100, 57, '−43 %'],
    [100, 100, '±0 %'],
    [100, 103.14, '+3.1 %'],
    [1000, 1000.1, '±0 %'],
    [0, 5, 'new'],
    [null, 5, 'unknown'],
  ])('%s to %s', (before, after, text) => expect(format.change(before, after)).toBe(text));

  it('counts, shares and work', () => {
    expect(format.count(11_700_000)).toBe('11.7 M');
    expect(format.macs(442_368)).toBe('442 kMACs');
    expect(format.macs(0)).toBe('0 MACs');
    expect(format.percent(0.0004)).toBe('< 0.1 %');
    expect(format.percent(0.054)).toBe('5.4 %');
    expect(format.percent(1)).toBe('100 %');
    expect(format.plural(1, 'layer')).toBe('1 layer');
    expect(format.plural(1155, 'layer')).toBe('1,155 layers');
    expect(shortPrecision('float32')).toBe('f32');
    expect(shortPrecision('uint8')).toBe('u8');
  });
});

describe('camera', () => {
  const world = { width: 900, height: 60_000 };
  const screen = { width: 1000, height: 600 };

  it('zooming keeps the point under the pointer', () => {
    const camera = { x: 120, y: 4000, zoom: 0.8 };
    const point = { x: 333, y: 222 };
    const next = cameras.zoomedAt(camera, point, 1.7, world, screen);
    expect(next.x + point.x / next.zoom).toBeCloseTo(camera.x + point.x / camera.zoom, 6);
    expect(next.y + point.y / next.zoom).toBeCloseTo(camera.y + point.y / camera.zoom, 6);
  });

  it('fits the width at the top, and the whole on demand', () => {
    const top = cameras.fittedToWidth(world, screen, 450);
    expect(top.y).toBeLessThan(0);
    expect(top.x + screen.width / top.zoom / 2).toBeCloseTo(450, 6);
    const whole = cameras.fittedWhole(world, screen);
    expect(world.height * whole.zoom).toBeLessThanOrEqual(screen.height);
  });

  it('never loses the graph', () => {
    const random = seeded(5);
    let camera: cameras.Camera = { x: 0, y: 0, zoom: 1 };
    for (let step = 0; step < 500; step++) {
      const moved =
        random() < 0.5
          ? cameras.panned(camera, (random() - 0.5) * 5000, (random() - 0.5) * 5000)
          : cameras.zoomedAt(
              camera,
              { x: random() * 1000, y: random() * 600 },
              0.3 + 2 * random(),
              world,
              screen,
            );
      camera = cameras.kept(moved, world, screen);
      expect(camera.x).toBeLessThan(world.width);
      expect(camera.y).toBeLessThan(world.height);
      expect(camera.x + screen.width / camera.zoom).toBeGreaterThan(0);
      expect(camera.y + screen.height / camera.zoom).toBeGreaterThan(0);
    }
  });

  it('reveals with the least move', () => {
    const camera = { x: 0, y: 0, zoom: 1 };
    const inside = { left: 400, top: 250, right: 600, bottom: 320 };
    expect(cameras.revealed(camera, inside, screen)).toEqual(camera);
    const below = cameras.revealed(camera, { left: 400, top: 620, right: 600, bottom: 680 }, screen);
    expect(below.y).toBeGreaterThan(80);
    expect(below.y).toBeLessThan(200);
  });
});

describe('grid', () => {
  it('finds what a scan of all boxes finds', () => {
    const random = seeded(11);
    const boxes = Float32Array.from({ length: 400 }, () => 0);
    for (let i = 0; i < 100; i++) {
      const [x, y] = [random() * 3000, random() * 9000];
      boxes.set([x, y, x + random() * 900, y + random() * 900], 4 * i);
    }
    const grid = buildGrid(boxes, 256);
    for (let trial = 0; trial < 200; trial++) {
      const [x, y] = [random() * 3500 - 200, random() * 9500 - 200];
      const [right, bottom] = [x + random() * 800, y + random() * 800];
      const found = new Set<number>();
      grid.query(x, y, right, bottom, (i) => {
        expect(found.has(i)).toBe(false);
        found.add(i);
      });
      for (let i = 0; i < 100; i++) {
        const [l, t, r, b] = boxes.subarray(4 * i, 4 * i + 4) as unknown as [number, number, number, number];
        if (l <= right && r >= x && t <= bottom && b >= y) expect(found.has(i)).toBe(true);
      }
    }
  });
});

describe('trunk', () => {
  it('blocks that lean to one side do not make the picture drift', () => {
    // Fifty blocks of a chain with a shortcut.
    const from: number[] = [];
    const to: number[] = [];
    for (let block = 0; block < 50; block++) {
      const at = 3 * block;
      from.push(at, at + 1, at + 2, at);
      to.push(at + 1, at + 2, at + 3, at + 3);
    }
    const count = 151;
    const layout = layoutGraph({
      count,
      width: new Float32Array(count).fill(180),
      height: new Float32Array(count).fill(60),
      from: Uint32Array.from(from),
      to: Uint32Array.from(to),
    });
    for (let block = 0; block <= 50; block++) expect(layout.x[3 * block]).toBeCloseTo(layout.x[0]!, 3);
    expect(layout.width).toBeLessThan(500);
  });
});
