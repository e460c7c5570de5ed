import { describe, expect, it } from 'vitest';
import { compareModels } from '../../../src/analysis/compare.ts';
import type { Node, OnnxModel, Value } from '../../../src/ir/model.ts';
import { floatTensor, numberTensor } from '../../../src/ir/numbers.ts';
import { constant, graph, node, onnxModel, value } from '../ops/onnx/build.ts';

const weight = (seed: number, ...dims: number[]) =>
  floatTensor(
    dims,
    Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, index) => index + seed),
  );

const baseNodes = [
  node('Conv', ['x', 'w'], ['c'], { pads: [1, 1, 1, 1] }),
  node('Relu', ['c'], ['r']),
  node('MaxPool', ['r'], ['p'], { kernel_shape: [2, 2] }),
  node('Flatten', ['p'], ['f']),
  node('Gemm', ['f', 'v'], ['y']),
];
const baseValues = [constant('w', weight(1, 2, 1, 3, 3)), constant('v', weight(2, 18, 4))];

function model(nodes: readonly Node[] = baseNodes, values: readonly Value[] = baseValues): OnnxModel {
  return onnxModel(
    graph('g', { inputs: [value('x', 'float32', [1, 1, 4, 4])], outputs: ['y'], nodes, values }),
  );
}

const replaced = (index: number, by: Node) => baseNodes.map((each, at) => (at === index ? by : each));
/** The same model with every value and node renamed. */
function renamed(of: OnnxModel): OnnxModel {
  const name = (id: string | null) => (id === null || id === 'x' || id === 'y' ? id : `other/${id}`);
  const main = of.graphs[0];
  const nodes = main.nodes.map((each) => ({
    ...each,
    id: `n/${each.id}`,
    inputs: each.inputs.map(name),
    outputs: each.outputs.map(name),
  }));
  const values = [...main.values.values()].map((each) => ({ ...each, id: name(each.id) as string }));
  return { ...of, graphs: [{ ...main, nodes, values: new Map(values.map((each) => [each.id, each])) }] };
}

describe('comparison of two models', () => {
  it('finds nothing between equal ones, whatever their names', () => {
    for (const other of [model(), renamed(model())]) {
      const nodes = model().graphs[0].nodes;
      const pairs = nodes.map((each, i) => [each.id, other.graphs[0].nodes[i]?.id]);
      expect(compareModels(model(), other)).toEqual({
        added: [],
        removed: [],
        changed: [],
        unchanged: 5,
        renamed: pairs.filter(([a, b]) => a !== b),
        groups: [expect.objectContaining({ added: 0, removed: 0, changed: 0, unchanged: 5 })],
        notCovered: [],
      });
    }
  });

  it('names the class of each change', () => {
    const cases: readonly (readonly [OnnxModel, readonly string[]])[] = [
      [model(replaced(1, node('Tanh', ['c'], ['r']))), ['op']],
      [
        model(replaced(2, node('MaxPool', ['r'], ['p'], { kernel_shape: [2, 2], ceil_mode: 1 }))),
        ['attribute'],
      ],
      [model(baseNodes, [constant('w', weight(9, 2, 1, 3, 3)), baseValues[1] as Value]), ['weights']],
    ];
    for (const [other, classes] of cases) {
      const { changed, unchanged, added, removed } = compareModels(model(), other);
      expect(changed.map((each) => each.classes)).toEqual([classes]);
      expect([unchanged, added, removed]).toEqual([4, [], []]);
    }
  });

  it('follows shapes and types downstream', () => {
    const other = onnxModel(
      graph('g', {
        inputs: [value('x', 'float32', [2, 1, 4, 4])],
        outputs: ['y'],
        nodes: baseNodes,
        values: baseValues,
      }),
    );
    const { changed } = compareModels(model(), other);
    expect(changed.map((each) => each.classes)).toEqual(baseNodes.map(() => ['shape']));
    const wider = compareModels(
      onnxModel(
        graph('g', {
          inputs: [value('x', 'float32', [1, 1, 6, 6])],
          outputs: ['c'],
          nodes: baseNodes.slice(0, 2),
          values: baseValues,
        }),
      ),
      model(baseNodes.slice(0, 2)),
    );
    expect(wider.changed.map((each) => each.classes)).toEqual([['shape'], ['shape']]);
  });

  it('lists what was added and removed, and the new wiring around it', () => {
    const fused = model([node('Conv', ['x', 'w'], ['r'], { pads: [1, 1, 1, 1] }), ...baseNodes.slice(2)]);
    const { added, removed, changed } = compareModels(model(), fused);
    expect([added, removed]).toEqual([[], ['Relu:r']]);
    expect(changed).toEqual([{ id: 'MaxPool:p', classes: ['wiring'] }]);
  });

  it('sees quantization around a layer as such, not as new wiring', () => {
    const scale = constant('s', numberTensor('float32', [], [0.1]));
    const zero = constant('z', numberTensor('uint8', [], [0]));
    const quantized = model(
      [
        baseNodes[0] as Node,
        node('QuantizeLinear', ['c', 's', 'z'], ['q']),
        node('DequantizeLinear', ['q', 's', 'z'], ['d']),
        node('Relu', ['d'], ['r']),
        ...baseNodes.slice(2),
      ],
      [...baseValues, scale, zero],
    );
    const { added, changed, unchanged } = compareModels(model(), quantized);
    expect(added).toEqual(['QuantizeLinear:q', 'DequantizeLinear:d']);
    expect(changed).toEqual([{ id: 'Relu:r', classes: ['quantization'] }]);
    expect(unchanged).toBe(4);
  });
});
