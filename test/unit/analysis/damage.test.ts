import { describe, expect, it } from 'vitest';
import { analyse } from '../../../src/analysis/analyse.ts';
import { attr } from '../../../src/ir/attribute.ts';
import { missingBytes } from '../../../src/ir/bytes.ts';
import type { Node, OnnxModel } from '../../../src/ir/model.ts';
import { floatTensor, numberTensor } from '../../../src/ir/numbers.ts';
import type { Operator } from '../../../src/ops/operator.ts';
import { describedOperators } from '../../../src/ops/registry.ts';
import { constant, graph, node, onnxModel, value } from '../ops/onnx/build.ts';
import { generator } from './random.ts';

/** Every ONNX operator there is a rule for. */
const described = describedOperators().filter((operator) => operator.dialect === 'onnx');

const x = value('x', 'float32', [1, 8]);

function modelOf(nodes: readonly Node[], outputs: readonly string[] = ['y']): OnnxModel {
  return onnxModel(graph('g', { inputs: [x], outputs, nodes }));
}

describe('damaged graphs are analysed as far as they go', () => {
  it('names the layers of a cycle', () => {
    const { unresolved, memory, layers } = analyse(
      modelOf(
        [node('Relu', ['x'], ['a']), node('Add', ['a', 'c'], ['b']), node('Relu', ['b'], ['c'])],
        ['c'],
      ),
    );
    expect(unresolved.map((each) => [each.value, each.reason])).toEqual([
      ['b', 'the layer sits on a cycle, or behind one'],
      ['c', 'the layer sits on a cycle, or behind one'],
    ]);
    expect(memory).toBeUndefined();
    expect(layers[0]?.outputShapes).toEqual(['1×8']);
    expect(layers[1]?.flops).toBeUndefined();
  });

  it('names what reads a value that nothing produces', () => {
    const { unresolved } = analyse(modelOf([node('Add', ['x', 'gone'], ['a']), node('Relu', ['a'], ['y'])]));
    expect(unresolved.map((each) => each.reason)).toEqual([
      'reads "gone", which nothing produces',
      'follows from "a"',
    ]);
  });

  it('takes stored order that is not topological', () => {
    const { unresolved, layers } = analyse(modelOf([node('Relu', ['a'], ['y']), node('Relu', ['x'], ['a'])]));
    expect(unresolved).toEqual([]);
    expect(layers.map((layer) => layer.outputShapes)).toEqual([['1×8'], ['1×8']]);
  });

  it('survives two producers of one value, and a node that reads its own output', () => {
    const twice = analyse(
      modelOf([node('Relu', ['x'], ['y']), { ...node('Tanh', ['x'], ['y']), id: 'second' }]),
    );
    expect(twice.layers).toHaveLength(2);
    expect(analyse(modelOf([node('Add', ['x', 'y'], ['y'])])).unresolved).toHaveLength(1);
  });

  it('survives hostile shapes, axes and attribute kinds', () => {
    const nodes = [
      node('Transpose', ['x'], ['a'], { perm: [7, -9] }),
      node('Concat', ['x', 'x'], ['b'], { axis: 99 }),
      node('Conv', ['x', 'x'], ['c'], { strides: [0, 0], kernel_shape: [3] }),
      node('Reshape', ['x', 'shape'], ['d']),
      node('Squeeze', ['x', 'shape'], ['e']),
      node('Split', ['x'], ['f', 'g'], { axis: -40 }),
      node('If', ['x'], ['h']),
      node('Loop', ['x', 'x'], ['i'], { body: attr.string('not a graph') }),
      node('Gemm', ['x'], ['j']),
      node('LSTM', ['x'], ['k']),
      node('Einsum', ['x'], ['l'], { equation: '->->' }),
      node('Resize', ['x', null, 'x'], ['m']),
      node('Slice', ['x', 'shape', 'shape', 'shape', 'shape'], ['n']),
      node('Constant', [], ['o']),
      node('Relu', [], ['p']),
      node('Range', ['x', 'x', 'x'], ['q']),
    ];
    const shape = constant('shape', numberTensor('int64', [3], [-5, 2 ** 40, 0]));
    const model = onnxModel(graph('g', { inputs: [x], outputs: [], nodes, values: [shape] }));
    expect(analyse(model).layers).toHaveLength(nodes.length);
  });

  it('does not read weights, and works when they are missing', () => {
    const weight = {
      ...floatTensor([8, 8], new Float32Array(64)),
      data: missingBytes(256, 'w.bin is missing'),
    };
    const model = onnxModel(
      graph('g', {
        inputs: [x],
        outputs: ['y'],
        nodes: [node('MatMul', ['x', 'w'], ['y'])],
        values: [constant('w', weight)],
      }),
    );
    expect(analyse(model).totals).toMatchObject({ params: 64, weightBytes: 256, macs: 64 });
    const small = { ...numberTensor('int64', [2], [1, 8]), data: missingBytes(16, 'w.bin is missing') };
    const shaped = onnxModel(
      graph('g', {
        inputs: [x],
        outputs: ['y'],
        nodes: [node('Reshape', ['x', 's'], ['y'])],
        values: [constant('s', small)],
      }),
    );
    expect(analyse(shaped).unresolved).toHaveLength(1);
  });

  it('never throws on random graphs', () => {
    const ops = [
      'Relu',
      'Add',
      'Concat',
      'Reshape',
      'Gather',
      'Slice',
      'Conv',
      'MatMul',
      'Split',
      'Unknown',
      'Shape',
      'Pad',
    ];
    for (let seed = 1; seed <= 300; seed += 1) {
      const random = generator(seed);
      const name = () => `v${random(12)}`;
      const nodes = Array.from({ length: 1 + random(15) }, (_, index) => ({
        ...node(
          ops[random(ops.length)] as string,
          [name(), name(), random(3) === 0 ? null : name()],
          [name()],
          {
            axis: random(7) - 3,
          },
        ),
        id: `n${index}`,
      }));
      const inputs = [value('v0', 'float32', [1, 'N', 4]), value('v1', 'int64', [2])];
      const values = [constant('v2', numberTensor('int64', [2], [random(9) - 2, random(9) - 2]))];
      const model = onnxModel(graph('g', { inputs, outputs: ['v3'], nodes, values }));
      expect(analyse(model).layers).toHaveLength(nodes.length);
    }
  });
});

describe('hostile numbers', () => {
  it('in shapes, attributes and shape arithmetic neither throw nor take long', () => {
    const numbers = [-1, 0, 1, 2, 7, -(2 ** 31), 2 ** 31, 2 ** 40, -(2 ** 53), 3];
    const lists = ['pads', 'strides', 'dilations', 'kernel_shape', 'axes', 'perm', 'starts', 'ends', 'split'];
    for (let seed = 1; seed <= 400; seed += 1) {
      const random = generator(seed);
      const pick = () => numbers[random(numbers.length)] as number;
      const list = () => Array.from({ length: random(4) }, pick);
      const operator = described[random(described.length)] as Operator;
      const values = [0, 1, 2].map((index) => {
        const dims = [random(5)];
        return constant(
          `c${index}`,
          numberTensor('int64', dims, Array.from({ length: dims[0] as number }, pick)),
        );
      });
      const inputs = ['a', 'b'].map((id) => value(id, random(2) ? 'float32' : 'int64', list()));
      const any = () => ['a', 'b', 'c0', 'c1', 'c2', null][random(6)] as string | null;
      const attributes = {
        axis: pick(),
        [lists[random(lists.length)] as string]: list(),
        group: pick(),
        hidden_size: pick(),
      };
      const operation = node(
        operator.name,
        [any(), any(), any(), any()],
        ['y', 'z'],
        attributes,
        operator.domain,
      );
      const main = graph('g', {
        inputs,
        outputs: ['y'],
        nodes: [operation, node('Relu', ['y'], ['r'])],
        values,
      });
      const { layers, memory } = analyse(onnxModel(main, 1 + random(23)));
      expect(layers).toHaveLength(2);
      for (const block of memory?.blocks ?? []) expect(block.bytes).toBeGreaterThanOrEqual(0);
    }
  });
});

describe('size', () => {
  it('takes 100,000 layers, half of them carriers of one constant', () => {
    const count = 50_000;
    const chain = Array.from({ length: count }, (_, i) =>
      node('Relu', [i === 0 ? 'x' : `a${i}`], [`a${i + 1}`]),
    );
    const carried = Array.from({ length: count }, (_, i) =>
      node('Identity', [i === 0 ? 'w' : `w${i}`], [`w${i + 1}`]),
    );
    const nodes = [...chain, ...carried, node('Add', [`a${count}`, `w${count}`], ['y'])];
    const values = [constant('w', floatTensor([8], new Float32Array(8)))];
    const { totals, layers, unresolved } = analyse(
      onnxModel(graph('g', { inputs: [x], outputs: ['y'], nodes, values })),
    );
    expect(unresolved).toEqual([]);
    expect(layers).toHaveLength(2 * count + 1);
    expect(layers.at(-1)?.params).toBe(8);
    expect(totals).toMatchObject({
      params: 8,
      weightBytes: 32,
      peakActivationBytes: 32,
      flops: 8 * count + 8,
    });
  });
});
