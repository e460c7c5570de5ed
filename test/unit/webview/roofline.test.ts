import { describe, expect, it } from 'vitest';
import { localEngine } from '../../../src/engine/local.ts';
import { attainable, logAxis, placeOn, rooflineOf, roofsOf } from '../../../webview-ui/roofline.ts';

async function digits(device: string) {
  const engine = localEngine();
  try {
    const { handle } = await engine.call('open', { path: 'samples/digits.onnx' });
    const { layers } = await engine.call('layers', { handle });
    const estimate = await engine.call('estimate', { handle, device });
    const { devices } = await engine.call('devices', {});
    return { layers, estimate, device: devices.find(({ id }) => id === device)! };
  } finally {
    engine.dispose();
  }
}

describe('roofline', () => {
  it('every layer is drawn or counted', async () => {
    const { layers, estimate, device } = await digits('pi4');
    const { points, idle, unknown } = rooflineOf(device, layers, estimate);
    expect(points.length).toBeGreaterThan(3);
    expect(points.length + idle + unknown).toBe(layers.length);
  });

  it('throughput times time is work, and work over intensity is bytes', async () => {
    const { layers, estimate, device } = await digits('pi4');
    for (const point of rooflineOf(device, layers, estimate).points) {
      const layer = layers.find(({ id }) => id === point.id)!;
      const flops = point.gflops * 1e9 * (point.ms / 1e3);
      expect(flops / layer.flops!).toBeCloseTo(1, 9);
      const bytes = layer.inputBytes! + layer.activationBytes! + layer.weightBytes;
      expect(flops / point.intensity / bytes).toBeCloseTo(1, 9);
    }
  });

  it('an unknown cost is counted, not drawn at 0', async () => {
    const { layers, estimate, device } = await digits('pi4');
    const all = rooflineOf(device, layers, estimate);
    const lost = all.points[0]!.id;
    const without = layers.map((layer) => (layer.id === lost ? { ...layer, inputBytes: undefined } : layer));
    const line = rooflineOf(device, without, estimate);
    expect(line.points).toHaveLength(all.points.length - 1);
    expect(line.unknown).toBe(all.unknown + 1);
    const untimed = { ...estimate, layers: estimate.layers.filter(({ id }) => id !== lost) };
    expect(rooflineOf(device, layers, untimed).unknown).toBe(all.unknown + 1);
  });

  it('the roof is the bandwidth left of the ridge and the arithmetic right of it', async () => {
    const { device } = await digits('pi4');
    for (const roof of roofsOf(device)) {
      const ridge = roof.gflops / roof.bandwidth;
      expect(attainable(roof, ridge)).toBeCloseTo(roof.gflops, 9);
      expect(attainable(roof, ridge / 10)).toBeCloseTo(roof.gflops / 10, 9);
      expect(attainable(roof, ridge * 10)).toBe(roof.gflops);
      expect(roof.gflops).toBe(2 * device.precisions[roof.precision]!.gmacsPerSecond);
    }
  });
});

describe('logarithmic axis', () => {
  it.each([[[0.02, 300]], [[3]], [[1, 1.5]], [[1e-4, 1e4]]])(
    'holds its values and round ticks: %j',
    (values) => {
      const axis = logAxis(values);
      for (const value of values) {
        expect(placeOn(axis, value)).toBeGreaterThan(0);
        expect(placeOn(axis, value)).toBeLessThan(1);
      }
      expect(axis.to - axis.from).toBeGreaterThanOrEqual(1 - 1e-9);
      expect(axis.ticks.length).toBeGreaterThanOrEqual(2);
      for (const tick of axis.ticks) expect([1, 2, 5]).toContain(Number(tick.toExponential(0)[0]));
    },
  );
});
