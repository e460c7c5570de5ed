import { describe, expect, it } from 'vitest';
import { analyse, weightTensors } from '../../../src/analysis/analyse.ts';
import { sparsityOf, tensorStatistics } from '../../../src/analysis/statistics.ts';
import { memoryBytes, missingBytes } from '../../../src/ir/bytes.ts';
import type { DType } from '../../../src/ir/dtype.ts';
import { KerfError } from '../../../src/ir/errors.ts';
import type { Node, Value } from '../../../src/ir/model.ts';
import { floatTensor, numberTensor, readFloats } from '../../../src/ir/numbers.ts';
import type { Tensor } from '../../../src/ir/tensor.ts';
import { attr } from '../../../src/ir/attribute.ts';
import { constant, graph, node, onnxModel, value } from '../ops/onnx/build.ts';
import { generator } from './random.ts';

const f32 = (...dims: number[]): Tensor =>
  floatTensor(dims, new Float32Array(dims.reduce((a, b) => a * b, 1)).fill(0.5));
const x = value('x', 'float32', [1, 4]);

function analysed(nodes: readonly Node[], values: readonly Value[]) {
  return analyse(
    onnxModel(graph('g', { inputs: [x], outputs: [nodes.at(-1)?.outputs[0] ?? ''], nodes, values })),
  );
}

describe('parameters', () => {
  it('count at the layer that computes with them, behind dequantization, casts and transposes', () => {
    const { layers, totals } = analysed(
      [
        node('DequantizeLinear', ['q', 's', 'z'], ['d']),
        node('Transpose', ['d'], ['t']),
        node('Identity', ['t'], ['i']),
        node('MatMul', ['x', 'i'], ['m']),
        node('DequantizeLinear', ['b', 's', null], ['bd']),
        node('Add', ['m', 'bd'], ['y']),
      ],
      [
        constant('q', numberTensor('int8', [6, 4], Array(24).fill(3))),
        constant('s', numberTensor('float32', [], [0.1])),
        constant('z', numberTensor('int8', [], [0])),
        constant('b', numberTensor('int32', [6], Array(6).fill(1))),
      ],
    );
    expect(layers.map((layer) => layer.params)).toEqual([0, 0, 0, 24, 0, 6]);
    expect(layers.map((layer) => layer.weightBytes)).toEqual([0, 0, 0, 24 + 4 + 1, 0, 24]);
    expect(totals).toMatchObject({ params: 30, weightBytes: 24 + 4 + 1 + 24 });
  });

  it('count once when shared, at the first reader', () => {
    const { layers, totals } = analysed(
      [node('MatMul', ['x', 'w'], ['a']), node('MatMul', ['a', 'w'], ['y'])],
      [constant('w', f32(4, 4))],
    );
    expect(layers.map((layer) => [layer.params, layer.macs])).toEqual([
      [16, 16],
      [0, 16],
    ]);
    expect(totals).toMatchObject({ params: 16, weightBytes: 64 });
  });

  it('are Constant nodes too, but not scalars, settings, shapes and indices', () => {
    const { layers, totals } = analysed(
      [
        node('Constant', [], ['c'], { value: attr.tensor(f32(4)) }),
        node('Add', ['x', 'c'], ['a']),
        node('Pow', ['a', 'two'], ['b']),
        node('Clip', ['b', 'low', 'high'], ['d']),
        node('Reshape', ['d', 'shape'], ['e']),
        node('Gather', ['table', 'rows'], ['f']),
        node('Add', ['e', 'f'], ['y']),
      ],
      [
        constant('two', numberTensor('float32', [], [2])),
        constant('low', numberTensor('float32', [], [0])),
        constant('high', numberTensor('float32', [], [6])),
        constant('shape', numberTensor('int64', [2], [2, 2])),
        constant('table', f32(5, 2)),
        constant('rows', numberTensor('int64', [2], [1, 3])),
      ],
    );
    expect(layers.map((layer) => layer.params)).toEqual([0, 4, 0, 0, 0, 0, 10]);
    expect(layers[0]?.activationBytes).toBe(0);
    expect(totals.weightBytes).toBe(16 + 4 + 4 + 4 + 16 + 40 + 16);
  });

  it('count batch-norm statistics, as the file stores them', () => {
    const four = ['g', 'b', 'm', 'v'].map((id) => constant(id, f32(3)));
    const model = onnxModel(
      graph('g', {
        inputs: [value('x', 'float32', [1, 3, 2, 2])],
        outputs: ['y'],
        nodes: [node('BatchNormalization', ['x', 'g', 'b', 'm', 'v'], ['y'])],
        values: four,
      }),
    );
    expect(analyse(model).totals.params).toBe(12);
  });
});

describe('an unknown operator', () => {
  it('has unknown cost and keeps its declared output, so that the rest is known', () => {
    const model = onnxModel(
      graph('g', {
        inputs: [x],
        outputs: ['y'],
        nodes: [node('Mystery', ['x'], ['m'], {}, 'acme'), node('Relu', ['m'], ['y'])],
        values: [value('m', 'float32', [1, 9])],
      }),
    );
    const { layers, totals, unresolved } = analyse(model);
    expect(layers.map((layer) => [layer.macs, layer.outputShapes[0]])).toEqual([
      [undefined, '1×9'],
      [0, '1×9'],
    ]);
    expect(totals).toMatchObject({ macs: undefined, flops: undefined, peakActivationBytes: 16 + 36 });
    expect(unresolved).toEqual([
      { layer: 'Mystery:m', op: 'Mystery', value: 'm', reason: 'operator acme.Mystery is not described' },
    ]);
  });
});

/** Plain two-pass statistics over all elements at once. */
function direct(numbers: readonly number[]) {
  const mean = numbers.reduce((sum, each) => sum + each, 0) / numbers.length;
  const variance = numbers.reduce((sum, each) => sum + (each - mean) ** 2, 0) / numbers.length;
  return { min: Math.min(...numbers), max: Math.max(...numbers), mean, std: Math.sqrt(variance) };
}

describe('tensor statistics', () => {
  const random = generator(7);
  const numbers = Array.from({ length: 1000 }, () => random(120) - 60);

  for (const dtype of [
    'float32',
    'float16',
    'bfloat16',
    'float64',
    'int8',
    'int16',
    'int32',
    'int64',
  ] as DType[]) {
    it(`of ${dtype} equal a direct computation`, () => {
      const tensor = numberTensor(dtype, [10, 100], numbers);
      const stats = tensorStatistics(tensor);
      const truth = direct(numbers);
      expect(stats).toMatchObject({ elements: 1000, min: truth.min, max: truth.max, nonFinite: 0 });
      expect(stats.mean).toBeCloseTo(truth.mean, 9);
      expect(stats.std).toBeCloseTo(truth.std, 9);
      expect(stats.zeros).toBe(numbers.filter((each) => each === 0).length);
      expect(stats.preview).toEqual(numbers.slice(0, 64));
      const bins = Array<number>(64).fill(0);
      for (const each of numbers) {
        const bin = Math.min(63, Math.floor(((each - truth.min) / (truth.max - truth.min)) * 64));
        bins[bin] = (bins[bin] ?? 0) + 1;
      }
      expect(stats.histogram).toEqual({ counts: bins, from: truth.min, to: truth.max });
    });
  }

  it('of 4-bit types unpack low bits first', () => {
    const tensor = numberTensor('int4', [5], [-8, 7, 0, 0, -1]);
    expect(tensorStatistics(tensor)).toMatchObject({
      elements: 5,
      min: -8,
      max: 7,
      zeros: 2,
      preview: [-8, 7, 0, 0, -1],
    });
  });

  it('leave NaN and infinities out and count them', () => {
    const stats = tensorStatistics(
      floatTensor([4], new Float32Array([1, Number.NaN, Number.POSITIVE_INFINITY, 3])),
    );
    expect(stats).toMatchObject({ min: 1, max: 3, mean: 2, std: 1, nonFinite: 2 });
  });

  it('of tensors without a finite element are null, not 0', () => {
    const none = tensorStatistics(floatTensor([1], new Float32Array([Number.NaN])));
    expect(none).toMatchObject({ elements: 1, min: null, mean: null, std: null, histogram: null });
    expect(tensorStatistics(floatTensor([0], new Float32Array(0))).min).toBeNull();
  });

  it('are taken in pieces from anywhere in a file', () => {
    const count = 1_000_003;
    const data = Float32Array.from({ length: count }, (_, index) => (index % 3 === 0 ? 0 : index / count));
    const stored = new Uint8Array(count * 4 + 1);
    stored.set(new Uint8Array(data.buffer), 1);
    let largest = 0;
    const source = memoryBytes(stored).slice(1, count * 4);
    const watched = {
      length: source.length,
      read: (offset = 0, length = source.length - offset) => {
        largest = Math.max(largest, length);
        return source.read(offset, length);
      },
      slice: source.slice.bind(source),
    };
    const stats = tensorStatistics({ dtype: 'float32', dims: [count], data: watched });
    expect(stats.zeros).toBe(Math.ceil(count / 3));
    expect(stats.mean).toBeCloseTo(data.reduce((sum, each) => sum + each, 0) / count, 5);
    expect(largest).toBeLessThanOrEqual(1 << 20);
  });

  it('say which weights are missing or cut short', () => {
    const missing = { ...f32(4), data: missingBytes(16, 'w.bin is missing') };
    expect(() => tensorStatistics(missing)).toThrow(KerfError);
    const short = { ...f32(4), data: memoryBytes(new Uint8Array(9)) };
    expect(() => tensorStatistics(short)).toThrow(/9 bytes for 4 elements/);
  });
});

describe('sparsity', () => {
  const weights = numberTensor('float32', [4, 4], [0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1]);
  const dense = (w: Tensor) =>
    onnxModel(
      graph('g', {
        inputs: [x],
        outputs: ['y'],
        nodes: [node('MatMul', ['x', 'w'], ['y'])],
        values: [constant('w', w)],
      }),
    );

  it('is the share of weights that are exactly zero', () => {
    expect(sparsityOf(dense(weights))).toBe(6 / 16);
    expect(readFloats(weightTensors(dense(weights))[0]?.tensor as Tensor)).toHaveLength(16);
  });

  it('takes a zero point for zero', () => {
    const model = onnxModel(
      graph('g', {
        inputs: [x],
        outputs: ['y'],
        nodes: [node('DequantizeLinear', ['q', 's', 'z'], ['w']), node('MatMul', ['x', 'w'], ['y'])],
        values: [
          constant('q', numberTensor('uint8', [4, 1], [128, 128, 0, 130])),
          constant('s', numberTensor('float32', [], [1])),
          constant('z', numberTensor('uint8', [], [128])),
        ],
      }),
    );
    expect(sparsityOf(model)).toBe(0.5);
  });

  it('is unknown without weights or when they are missing', () => {
    const relu = onnxModel(graph('g', { inputs: [x], outputs: ['y'], nodes: [node('Relu', ['x'], ['y'])] }));
    expect(sparsityOf(relu)).toBeUndefined();
    expect(sparsityOf(dense({ ...weights, data: missingBytes(64, 'gone') }))).toBeUndefined();
  });
});
