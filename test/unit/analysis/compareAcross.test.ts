import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { analyse } from '../../../src/analysis/analyse.ts';
import { compareModels } from '../../../src/analysis/compare.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { OnnxModel, TfliteModel } from '../../../src/ir/model.ts';
import { floatTensor, readFloats } from '../../../src/ir/numbers.ts';
import { tinyModel } from '../formats/tflite/support.ts';
import { constant, graph, node, onnxModel, value } from '../ops/onnx/build.ts';
import { hasShared, shared } from '../support/models.ts';
import { networkOf } from '../../zoo/rows.ts';

/** The tiny TFLite model as a converter writes it: channels first, transposes around it, weights [2, 1, 3, 3]. */
function asOnnx(model: TfliteModel, change = 0): OnnxModel {
  const floats = (id: string) => {
    const held = model.graphs[0].values.get(id)?.constant;
    if (held === undefined) throw new Error(`${id} is not a constant`);
    return readFloats(held);
  };
  // One input channel: [2, 3, 3, 1] and [2, 1, 3, 3] hold their numbers in the same order.
  const weights = floats('filter').map((weight, index) => (index === 4 ? weight + change : weight));
  const nodes = [
    node('Transpose', ['x'], ['t'], { perm: [0, 3, 1, 2] }),
    node('Conv', ['t', 'w', 'b'], ['c'], { pads: [1, 1, 1, 1] }),
    node('Relu', ['c'], ['r']),
    node('Transpose', ['r'], ['u'], { perm: [0, 2, 3, 1] }),
    node('Flatten', ['u'], ['y']),
  ];
  const values = [
    constant('w', floatTensor([2, 1, 3, 3], weights)),
    constant('b', floatTensor([2], floats('bias'))),
  ];
  return onnxModel(
    graph('g', { inputs: [value('x', 'float32', [1, 4, 4, 1])], outputs: ['y'], nodes, values }),
  );
}

describe('a TFLite model against an ONNX one', () => {
  it('matches layers by their work, whatever the layout', () => {
    const { changed, renamed, unchanged, removed, added } = compareModels(tinyModel(), asOnnx(tinyModel()));
    expect(changed).toEqual([]);
    expect(renamed).toEqual([
      ['conv', 'Conv:c'],
      ['relu', 'Relu:r'],
    ]);
    expect(unchanged).toBe(2);
    expect(removed).toEqual(['row']);
    expect(added).toEqual(['Transpose:t', 'Transpose:u', 'Flatten:y']);
  });

  it('sees other weights', () => {
    const { changed } = compareModels(tinyModel(), asOnnx(tinyModel(), 0.5));
    expect(changed).toEqual([{ id: 'conv', classes: ['weights'] }]);
  });

  it.runIf(hasShared)('aligns the two trainings of the MLPerf Tiny ResNet', () => {
    const open = (file: string) => readModelFile(path.join(shared, 'models', file)).model;
    const [a, b] = [open('tflite/pretrainedResnet.tflite'), open('own/cifar_resnet_folded.onnx')];
    const { removed, changed, groups } = compareModels(a, b);
    const heavy = analyse(a).layers.filter((layer) => (layer.macs ?? 0) > 0);
    expect(removed.filter((id) => heavy.some((layer) => layer.id === id))).toEqual([]);
    for (const layer of heavy)
      expect(changed.find((each) => each.id === layer.id)?.classes).toContain('weights');
    expect(groups.reduce((sum, group) => sum + (group.macs[0] ?? 0), 0)).toBe(analyse(a).totals.macs);
    expect(groups.reduce((sum, group) => sum + (group.macs[1] ?? 0), 0)).toBe(analyse(b).totals.macs);
  });

  it.runIf(hasShared)('sees quantization between files of one format', () => {
    const open = (file: string) => readModelFile(path.join(shared, 'models/tflite', file)).model;
    const same = compareModels(open('pretrainedResnet.tflite'), open('pretrainedResnet_quant.tflite'));
    expect(same.changed.filter((each) => each.classes.includes('quantization')).length).toBeGreaterThan(5);
  });
});

describe('groups', () => {
  it('roll layers up along their paths, with costs of both sides', () => {
    const [before, after] = [networkOf('ResNet50.', 224), networkOf('ResNet50.', 160)];
    if (before === undefined || after === undefined) throw new Error('not built');
    const { groups } = compareModels(before, after);
    expect(groups.length).toBeGreaterThan(0);
    expect(groups.length).toBeLessThanOrEqual(41);
    const macs = (side: 0 | 1) => groups.reduce((sum, group) => sum + (group.macs[side] ?? 0), 0);
    expect(macs(0)).toBe(analyse(before).totals.macs);
    expect(macs(1)).toBe(analyse(after).totals.macs);
  });

  it('cut paths where that gives the most groups', () => {
    const names = ['/a/one/Conv', '/a/two/Conv', '/b/one/Conv', '/b/one/Relu'];
    const nodes = names.map((name, index) => ({
      ...node('Relu', [index === 0 ? 'x' : `v${index - 1}`], [`v${index}`]),
      name,
    }));
    const model = (list: typeof nodes) =>
      onnxModel(
        graph('g', {
          inputs: [value('x', 'float32', [4])],
          outputs: [list.at(-1)?.outputs[0] ?? ''],
          nodes: list,
        }),
      );
    const { groups } = compareModels(model(nodes), model(nodes.slice(0, 3)));
    expect(groups.map(({ name, removed, unchanged }) => [name, removed, unchanged])).toEqual([
      ['a/one', 0, 1],
      ['a/two', 0, 1],
      ['b/one', 1, 1],
    ]);
  });
});
