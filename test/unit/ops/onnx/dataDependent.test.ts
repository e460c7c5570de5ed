import { describe, expect, it } from 'vitest';
import { analyse } from '../../../../src/analysis/analyse.ts';
import { attr } from '../../../../src/ir/attribute.ts';
import { numberTensor } from '../../../../src/ir/numbers.ts';
import type { OperatorCase } from './build.ts';
import { f32, fed, filled, graph, ints, node, onnxModel, operatorModel, scalar, value } from './build.ts';
import { observe } from './runtime.ts';

/** Operators whose output sizes depend on data: rank and type are known, some sizes are not. */
const cases: readonly (OperatorCase & { readonly expected: readonly (string | undefined)[] })[] = [
  { op: 'NonZero', inputs: [f32(2, 3)], expected: ['int64 2×?'] },
  {
    op: 'Unique',
    inputs: [f32(6)],
    outputs: 4,
    expected: ['float32 ?', 'int64 ?', 'int64 6', 'int64 ?'],
  },
  { op: 'Unique', inputs: [f32(6, 2)], attributes: { axis: 0 }, expected: ['float32 ?×2'] },
  { op: 'Compress', inputs: [f32(5, 3), fed('bool', 5)], attributes: { axis: 0 }, expected: ['float32 ?×3'] },
  { op: 'Compress', inputs: [f32(5, 3), fed('bool', 5)], expected: ['float32 ?'] },
  {
    op: 'NonMaxSuppression',
    inputs: [f32(1, 6, 4), f32(1, 2, 6), scalar('int64', 3)],
    expected: ['int64 ?×3'],
  },
  { op: 'Reshape', inputs: [f32(2, 3), fed('int64', 3)], expected: ['float32 ?×?×?'] },
  { op: 'TopK', inputs: [f32(2, 7), fed('int64', 1)], outputs: 2, expected: ['float32 2×?', 'int64 2×?'] },
  { op: 'Range', inputs: [fed('int64'), scalar('int64', 9), scalar('int64', 1)], expected: ['int64 ?'] },
  { op: 'Slice', inputs: [f32(9, 8), fed('int64', 1), ints(100), ints(1)], expected: ['float32 9×?'] },
  { op: 'Squeeze', inputs: [f32(2, 1, 1), fed('int64', 1)], expected: [undefined] },
  {
    op: 'ReduceSum',
    inputs: [f32(2, 3), fed('int64', 1)],
    attributes: { keepdims: 1 },
    expected: ['float32 ?×?'],
  },
];

describe('sizes that depend on data', () => {
  for (const each of cases) {
    it(`${each.op} ${JSON.stringify(each.attributes ?? {})} says what is certain and no more`, async () => {
      const model = operatorModel(each);
      const { layers, unresolved, types, memory } = analyse(model);
      const inferred = layers[0]?.outputTypes.map(
        (type, index) => `${type} ${layers[0]?.outputShapes[index]}`,
      );
      expect(inferred).toEqual(each.expected.map((text) => text ?? 'float32 unranked'));
      expect(unresolved[0]?.reason).toBe('the shape depends on data');
      expect(memory).toBeUndefined();
      // A run on zeros must agree with every size that is claimed; some operators refuse zeros.
      const observed = await observe(model).catch(() => undefined);
      for (const [id, type] of types.get(model.graphs[0]) ?? []) {
        const seen = observed?.get(id);
        if (seen === undefined || type.kind !== 'tensor' || type.shape === undefined) continue;
        expect(seen.dtype).toBe(type.dtype);
        expect(seen.dims).toHaveLength(type.shape.length);
        type.shape.forEach((dim, axis) => {
          if (typeof dim === 'number') expect(seen.dims[axis]).toBe(dim);
        });
      }
    });
  }
});

describe('sequences and optionals', () => {
  it('keep their element types and come back as tensors', async () => {
    const model = onnxModel(
      graph('g', {
        inputs: [value('x', 'float32', [4, 6])],
        outputs: ['first', 'all', 'stacked', 'count'],
        nodes: [
          node('SplitToSequence', ['x', 'two'], ['pieces'], { axis: 1 }),
          node('SequenceAt', ['pieces', 'zero'], ['first']),
          node('ConcatFromSequence', ['pieces'], ['all'], { axis: 1 }),
          node('ConcatFromSequence', ['pieces'], ['stacked'], { axis: 0, new_axis: 1 }),
          node('SequenceLength', ['pieces'], ['count']),
        ],
        values: [
          { ...value('two', 'int64', []), constant: numberTensor('int64', [], [2]) },
          { ...value('zero', 'int64', []), constant: numberTensor('int64', [], [0]) },
        ],
      }),
    );
    const shapes = Object.fromEntries(
      analyse(model).layers.map((layer) => [layer.op, layer.outputShapes[0]]),
    );
    expect(shapes).toMatchObject({
      SplitToSequence: 'sequence',
      SequenceAt: '4×2',
      SequenceLength: 'scalar',
    });
    const observed = await observe(model);
    expect(observed.get('first')?.dims).toEqual([4, 2]);
    expect(observed.get('stacked')?.dims).toEqual([3, 4, 2]);
    expect(analyse(model).layers[3]?.outputShapes).toEqual(['3×4×2']);
  });
});

describe('costs', () => {
  const costOf = (each: OperatorCase) => analyse(operatorModel(each)).layers[0];

  it.each<readonly [string, OperatorCase, number]>([
    [
      'outputs × taps',
      { op: 'Conv', inputs: [f32(1, 3, 8, 8), filled('float32', [4, 3, 3, 3])] },
      4 * 6 * 6 * 27,
    ],
    [
      'groups see their own channels',
      { op: 'Conv', inputs: [f32(2, 4, 8, 8), filled('float32', [8, 1, 3, 3])], attributes: { group: 4 } },
      2 * 8 * 6 * 6 * 9,
    ],
    [
      'a transposed convolution spreads each input',
      {
        op: 'ConvTranspose',
        inputs: [f32(1, 4, 5, 5), filled('float32', [4, 2, 3, 3])],
        attributes: { strides: [2, 2] },
      },
      4 * 25 * 2 * 9,
    ],
    [
      'M·N·K',
      { op: 'Gemm', inputs: [f32(4, 3), f32(6, 4)], attributes: { transA: 1, transB: 1 } },
      3 * 6 * 4,
    ],
    ['batched products', { op: 'MatMul', inputs: [f32(2, 1, 3, 4), f32(5, 4, 6)] }, 2 * 5 * 3 * 6 * 4],
    ['a dot product', { op: 'MatMul', inputs: [f32(4), f32(4)] }, 4],
    [
      'Einsum as MatMul',
      { op: 'Einsum', inputs: [f32(2, 3, 4), f32(2, 4, 5)], attributes: { equation: 'bij,bjk->bik' } },
      120,
    ],
    [
      'LSTM: T·B·4H·(I+H) per direction',
      {
        op: 'LSTM',
        inputs: [f32(5, 2, 3), filled('float32', [2, 16, 3]), filled('float32', [2, 16, 4])],
        attributes: { hidden_size: 4, direction: 'bidirectional' },
      },
      2 * 5 * 2 * 16 * 7,
    ],
    [
      'GRU: T·B·3H·(I+H)',
      {
        op: 'GRU',
        inputs: [f32(5, 2, 3), filled('float32', [1, 12, 3]), filled('float32', [1, 12, 4])],
        attributes: { hidden_size: 4 },
      },
      5 * 2 * 12 * 7,
    ],
    [
      'attention: scores and context',
      {
        op: 'MultiHeadAttention',
        domain: 'com.microsoft',
        inputs: [f32(1, 5, 8), f32(1, 7, 8), f32(1, 7, 8)],
        attributes: { num_heads: 2 },
      },
      2 * 2 * 5 * 7 * 4,
    ],
    [
      'attention with its projection',
      {
        op: 'Attention',
        domain: 'com.microsoft',
        inputs: [f32(1, 5, 8), filled('float32', [8, 24]), filled('float32', [24])],
        attributes: { num_heads: 2 },
      },
      5 * 8 * 24 + 2 * 2 * 5 * 5 * 4,
    ],
    ['activations are not multiply-accumulates', { op: 'Relu', inputs: [f32(2, 3)] }, 0],
  ])('%s', (_title, each, macs) => {
    expect(costOf(each)?.macs).toBe(macs);
  });

  it('elementwise and reduction work is in the FLOPs', () => {
    expect(costOf({ op: 'Relu', inputs: [f32(2, 3)] })?.flops).toBe(6);
    expect(costOf({ op: 'ReduceMean', inputs: [f32(2, 3)], attributes: { axes: [1] } })?.flops).toBe(6);
    expect(
      costOf({ op: 'MaxPool', inputs: [f32(1, 1, 4, 4)], attributes: { kernel_shape: [2, 2] } })?.flops,
    ).toBe(36);
    expect(costOf({ op: 'Transpose', inputs: [f32(2, 3)] })?.flops).toBe(0);
  });

  it('unknown is undefined, never 0', () => {
    const free = { feed: 'float32', dims: [1, 3, 4, 4], shape: [1, 3, 'h', 'w'] } as const;
    const layer = costOf({ op: 'Conv', inputs: [free, filled('float32', [2, 3, 1, 1])] });
    expect(layer).toMatchObject({ macs: undefined, flops: undefined, activationBytes: undefined, params: 6 });
    expect(layer?.formula).toMatch(/unknown/);
    expect(
      costOf({ op: 'Relu', inputs: [free], attributes: { alpha: attr.float(1) } })?.flops,
    ).toBeUndefined();
  });
});
