import { describe, expect, it } from 'vitest';
import { affordable } from '../../../src/passes/quantizeStatic/roundingBudget.ts';
import { multiplyLayerOf } from '../../../src/passes/support/denseLayer.ts';
import { OnnxBuilder } from './build.ts';

/** Convolutions with so many input channels each, on a map of so many positions. */
function layersOf(channels: readonly number[], side: number) {
  const g = new OnnxBuilder(1);
  channels.forEach((count, i) => {
    g.input(`x${i}`, [1, count, side, side]);
    g.node('Conv', [`x${i}`, g.floats(`w${i}`, [64, count, 1, 1], () => 0)], `y${i}`);
    g.output(`y${i}`);
  });
  const model = g.model();
  const layers = model.graphs[0].nodes.flatMap((node) => multiplyLayerOf(model, node) ?? []);
  const names = (samples: number) => affordable(model, layers, samples).map(({ inputs }) => inputs);
  return names;
}

describe('layers that are rounded by the data at 8 bits', () => {
  it('are all of them in a small model, with one sample as with many', () => {
    const names = layersOf([32, 512, 16], 4);
    expect(names(1)).toEqual([32, 512, 16]);
    expect(names(512)).toEqual([32, 512, 16]);
  });

  it('are those with the least work where the calibration is short, in the order of the model', () => {
    const names = layersOf([1024, 64, 1024, 32, 1024, 1024, 1024], 16);
    expect(names(1)).toEqual([1024, 64, 32]);
  });

  it('are more where more samples pay for them', () => {
    const names = layersOf([1024, 64, 1024, 32, 1024, 1024, 1024], 16);
    expect(names(10_000)).toEqual([1024, 64, 1024, 32, 1024, 1024, 1024]);
    expect(names(1500).length).toBeGreaterThan(names(1).length);
  });
});
