import { describe, expect, it } from 'vitest';
import type { NodeId, OnnxModel } from '../../../src/ir/model.ts';
import type { Calibrator, InputMoments } from '../../../src/passes/pass.ts';
import { roundedFast } from '../../../src/passes/quantizeStatic/fastRounding.ts';
import { matrixOf, multiplyLayerOf } from '../../../src/passes/support/denseLayer.ts';
import { indexOf } from '../../../src/ir/walk.ts';
import { OnnxBuilder } from './build.ts';
import { givenRanges } from './calibrate.ts';
import { random } from './runtime.ts';

/** Correlated inputs away from zero, as activations are. */
function correlated(groups: number, size: number): InputMoments {
  const next = random(7);
  const count = 4 * size;
  const mean = new Float64Array(groups * size);
  const gram = new Float64Array(groups * size * size);
  for (let g = 0; g < groups; g += 1) {
    for (let n = 0; n < count; n += 1) {
      const common = next();
      const x = Float64Array.from({ length: size }, () => common + 0.3 * next());
      for (let i = 0; i < size; i += 1) {
        mean[g * size + i] = (mean[g * size + i] as number) + (x[i] as number) / count;
        for (let j = 0; j < size; j += 1) {
          const at = (g * size + i) * size + j;
          gram[at] = (gram[at] as number) + ((x[i] as number) * (x[j] as number)) / count;
        }
      }
    }
  }
  return { groups, size, count, mean, gram };
}

function calibratorWith(model: OnnxModel): Calibrator {
  return {
    ...givenRanges({}),
    async moments(_, ids) {
      const found = new Map<NodeId, InputMoments>();
      for (const id of ids) {
        const node = indexOf(model.graphs[0]).node.get(id);
        const layer = node && multiplyLayerOf(model, node);
        if (layer !== undefined) found.set(id, correlated(layer.groups, layer.inputs));
      }
      return found;
    },
  };
}

/** Mean squared error of the outputs about their means, over all outputs. */
function costOf(error: Float64Array, { groups, size, mean, gram }: InputMoments): number {
  const rows = error.length / size / groups;
  let total = 0;
  for (let r = 0; r < rows * groups; r += 1) {
    const g = Math.floor(r / rows);
    for (let i = 0; i < size; i += 1)
      for (let j = 0; j < size; j += 1) {
        const centred =
          (gram[(g * size + i) * size + j] as number) -
          (mean[g * size + i] as number) * (mean[g * size + j] as number);
        total += (error[r * size + i] as number) * (error[r * size + j] as number) * centred;
      }
  }
  return total;
}

describe('rounding of 8-bit weights on the Gram matrix', () => {
  it.each([
    ['a convolution', 1, true],
    ['a depthwise convolution', 8, true],
    ['one scale for all outputs', 1, false],
  ] as const)('of %s costs less than rounding to nearest, on the same grid', async (_, group, perChannel) => {
    const g = new OnnxBuilder(4);
    g.input('x', ['N', 8, 6, 6]);
    g.node('Conv', ['x', g.floats('w', [8, 8 / group, 3, 3]), g.floats('b', [8])], 'y', { group });
    const model = g.output('y').model();
    const [node] = model.graphs[0].nodes;
    const layer = node && multiplyLayerOf(model, node);
    if (node === undefined || layer === undefined) throw new Error('no layer');
    const data = { calibrator: calibratorWith(model), biasCorrection: true, step: async () => {} };
    const { model: after, scales } = await roundedFast(model, [node], 127, () => perChannel, data);
    const changed = multiplyLayerOf(after, after.graphs[0].nodes[0] ?? node);
    const stored = scales.get(node.id);
    if (changed === undefined || stored === undefined) throw new Error('the layer was not rounded');
    expect(stored).toHaveLength(perChannel ? 8 : 1);
    const [before, now] = [matrixOf(layer), matrixOf(changed)];
    const scaleOf = (i: number) => stored[perChannel ? Math.floor(i / layer.inputs) : 0] as number;
    const onGrid = now.map((value, i) => Math.abs(value / scaleOf(i) - Math.round(value / scaleOf(i))));
    expect(Math.max(...onGrid)).toBeLessThan(1e-3);
    const nearest = before.map((value, i) => Math.round(value / scaleOf(i)) * scaleOf(i));
    const moments = correlated(layer.groups, layer.inputs);
    const error = (of: Float64Array) => before.map((value, i) => value - (of[i] as number));
    expect(costOf(error(now), moments)).toBeLessThan(0.7 * costOf(error(nearest), moments));
  });
});
