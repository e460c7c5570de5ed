import { describe, expect, it } from 'vitest';
import { matchValues, readOverlayFile } from '../../../webview-ui/graph/overlayFiles.ts';
import { type Scale, scaled, scales, valueAt } from '../../../webview-ui/graph/scale.ts';
import { viewOf } from '../../webview/support/builder.ts';
import { resnetLike, seeded } from '../../webview/support/graphs.ts';

describe('scales', () => {
  const random = seeded(5);
  const values = Float64Array.from({ length: 200 }, (_, i) =>
    i % 9 === 0 ? Number.NaN : i % 7 === 0 ? 0 : Math.exp(random() * 12),
  );

  it.each(scales.map(({ id }) => id))(
    '%s keeps the order, ends at 1 and leaves the unknown unknown',
    (scale: Scale) => {
      const heat = scaled(values, scale);
      const known = [...values.keys()]
        .filter((i) => !Number.isNaN(values[i]!))
        .sort((a, b) => values[a]! - values[b]!);
      for (const i of values.keys()) expect(Number.isNaN(heat[i]!)).toBe(Number.isNaN(values[i]!));
      for (let k = 1; k < known.length; k++)
        expect(heat[known[k]!]).toBeGreaterThanOrEqual(heat[known[k - 1]!]!);
      expect(heat[known.at(-1)!]).toBeCloseTo(1, 12);
      expect(heat[known[0]!]).toBe(0);
    },
  );

  it.each(scales.map(({ id }) => id))(
    '%s: the value of a threshold has the heat of the threshold',
    (scale: Scale) => {
      const heat = scaled(values, scale);
      for (const share of [0.2, 0.5, 0.9, 1]) {
        const limit = valueAt(values, scale, share);
        const byHeat = [...heat].filter((x) => x >= share - 1e-9).length;
        const byValue = [...values].filter((x) => x >= limit * (1 - 1e-9)).length;
        expect(byValue).toBe(byHeat);
      }
    },
  );

  it('equal values have equal rank, and the largest has the highest however many there are', () => {
    expect([...scaled(Float64Array.of(5, 1, 5, 5), 'rank')]).toEqual([1, 0.25, 1, 1]);
  });

  it('nothing but zeros is all cold', () => {
    expect([...scaled(Float64Array.of(0, 0), 'log')]).toEqual([0, 0]);
    expect(valueAt(Float64Array.of(0, 0), 'rank', 0.5)).toBe(0);
  });
});

describe('values from the files of other tools', () => {
  const view = viewOf(resnetLike(1));
  const of = (data: unknown, name = 'x.json') =>
    readOverlayFile(JSON.stringify(data), name).map((found) => matchValues(view, found, name));

  it('node data of Model Explorer, alone and by graph', () => {
    const results = { 'stem/Conv': { value: 3 }, 'stem/Relu': { value: 1.5 }, other: { value: 9 } };
    for (const data of [{ results }, { main: { results } }]) {
      const [{ overlay, missed }] = of(data) as [ReturnType<typeof matchValues>];
      expect([...overlay.values]).toEqual([
        ['stem/Conv', 3],
        ['stem/Relu', 1.5],
      ]);
      expect(missed).toBe(1);
    }
    expect(of({ a: { results }, b: { results } }).map(({ overlay }) => overlay.title)).toEqual([
      'x: a',
      'x: b',
    ]);
  });

  it('metrics of a Netron attachment, one overlay each', () => {
    const found = of({
      signature: 'netron:attachment',
      metrics: [
        { kind: 'node', target: 'stem/Conv', name: 'duration', value: '2.5' },
        { kind: 'node', identifier: 0, name: 'flops', value: 7 },
        { kind: 'model', target: '', name: 'total', value: 1 },
      ],
    });
    expect(found.map(({ overlay }) => [overlay.title, [...overlay.values]])).toEqual([
      ['x: duration', [['stem/Conv', 2.5]]],
      // By place among the layers.
      ['x: flops', [['stem/Conv', 7]]],
    ]);
  });

  it('a profile of ONNX Runtime: milliseconds per inference, kernels of one layer together', () => {
    const kernel = (name: string, dur: number) => ({ cat: 'Node', name: `${name}_kernel_time`, dur });
    const run = { cat: 'Session', name: 'model_run', dur: 9 };
    const [{ overlay }] = of([
      run,
      kernel('stem/Conv', 2000),
      kernel('fused stem/Conv', 500),
      run,
      kernel('stem/Conv', 4000),
    ]) as [ReturnType<typeof matchValues>];
    expect([...overlay.values]).toEqual([['stem/Conv', 3.25]]);
    expect(overlay.format(3.25)).toBe('3.25 ms');
  });

  it('plain numbers and errors per tensor', () => {
    expect([...(of({ 'stem/Relu': 4, nothing: 'text' })[0]?.overlay.values ?? [])]).toEqual([
      ['stem/Relu', 4],
    ]);
    const visq = of({ meta: { metric: 'MPEIR' }, error: [{ 'stem/Conv': '0.25' }] });
    expect(visq[0]?.overlay.title).toBe('x: MPEIR');
    expect([...(visq[0]?.overlay.values ?? [])]).toEqual([['stem/Conv', 0.25]]);
  });

  it('what holds nothing is refused in words', () => {
    expect(() => readOverlayFile('{', 'y.json')).toThrow('y.json is not JSON');
    for (const text of ['[]', '{}', '3', '{"a": "b"}', '[{"name": 1}]'])
      expect(() => readOverlayFile(text, 'y.json')).toThrow('no values per layer');
  });
});
