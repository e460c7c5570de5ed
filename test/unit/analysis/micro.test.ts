import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { analyse } from '../../../src/analysis/analyse.ts';
import { planLargestFirst } from '../../../src/analysis/arena.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import { numberTensor } from '../../../src/ir/numbers.ts';
import { constant, graph, node, onnxModel, value } from '../ops/onnx/build.ts';
import { modelFiles } from '../support/models.ts';

describe('TensorFlow Lite Micro', () => {
  it('places the largest block first, each in the lowest gap', () => {
    // Blocks of 4, 8 and 6 that all live together: 8 at 0, 6 at 8, 4 at 14; one of 5 after the first died takes its place.
    const plan = planLargestFirst({ bytes: [4, 8, 6, 5], first: [0, 0, 0, 2], last: [3, 1, 3, 3], steps: 4 });
    expect([...(plan?.offsets ?? [])]).toEqual([14, 0, 8, 0]);
    expect(plan?.peak).toBe(18);
  });

  for (const file of modelFiles('.tflite')) {
    it(`${path.basename(file)}: aligned, not below the best plan, with a tail`, () => {
      const { memory, micro } = analyse(readModelFile(file).model);
      if (micro === undefined || memory === undefined) {
        expect(path.basename(file)).toContain('vela');
        return;
      }
      expect(micro.tensorBytes % 16).toBe(0);
      expect(micro.tensorBytes).toBeGreaterThanOrEqual(memory.lowerBoundBytes);
      expect(micro.arenaBytes).toBeGreaterThanOrEqual(micro.tensorBytes + micro.persistentBytes);
    });
  }
});

describe('bodies', () => {
  it('are reported layer by layer with the costs of one run', () => {
    const body = graph('step', {
      inputs: [value('i', 'int64', []), value('go', 'bool', []), value('state', 'float32', [2, 3])],
      outputs: ['go2', 'next'],
      nodes: [node('Identity', ['go'], ['go2']), node('MatMul', ['state', 'w'], ['next'])],
      values: [constant('w', numberTensor('float32', [3, 3], Array(9).fill(1)))],
    });
    const trips = constant('trips', numberTensor('int64', [], [5]));
    const model = onnxModel(
      graph('main', {
        inputs: [value('x', 'float32', [2, 3])],
        outputs: ['y'],
        nodes: [node('Loop', ['trips', null, 'x'], ['y'], { body: { kind: 'graph', value: body } })],
        values: [trips],
      }),
    );
    const { bodies, totals } = analyse(model);
    expect(bodies.map((each) => [each.layer, each.graph, each.layers.map((layer) => layer.op)])).toEqual([
      ['Loop:y', 'step', ['Identity', 'MatMul']],
    ]);
    expect(bodies[0]?.layers[1]).toMatchObject({ macs: 18, params: 9, outputShapes: ['2×3'] });
    expect(totals.macs).toBe(5 * 18);
  });
});
