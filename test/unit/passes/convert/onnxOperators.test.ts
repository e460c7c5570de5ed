import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attr } from '../../../../src/ir/attribute.ts';
import type { DType } from '../../../../src/ir/dtype.ts';
import type { OnnxModel } from '../../../../src/ir/model.ts';
import { decodeNumbers, encodeNumbers } from '../../../../src/ir/numbers.ts';
import { convertOnnx } from '../../../../src/passes/convert/onnxModel.ts';
import { startRunner } from '../../../../src/runtime/process/launch.ts';
import type { HostTensor, TensorInfo } from '../../../../src/runtime/runner.ts';
import { useSourceRunner } from '../../support/runner.ts';
import { OnnxBuilder } from '../build.ts';
import { temporaryFile } from '../calibrate.ts';
import { random } from '../runtime.ts';

const runner = startRunner();
beforeAll(useSourceRunner);
afterAll(() => runner.kill());

type Build = (g: OnnxBuilder) => void;
interface Case {
  readonly name: string;
  readonly opset?: number;
  readonly build: Build;
  readonly between?: readonly [number, number];
}

const map = [1, 4, 6, 5] as const;

const unary = (op: string, between?: readonly [number, number]): Case => ({
  name: op,
  ...(between && { between }),
  build: (g) => g.node(op, [g.input('x', [2, 6])], 'y'),
});
const binary = (op: string, between?: readonly [number, number]): Case => ({
  name: op,
  ...(between && { between }),
  build: (g) => g.node(op, [g.input('x', map), g.input('z', [4, 1, 1])], 'y'),
});
const onMap = (name: string, build: (g: OnnxBuilder, x: string) => void, opset?: number): Case => ({
  name,
  ...(opset !== undefined && { opset }),
  build: (g) => build(g, g.input('x', map)),
});

const cases: readonly Case[] = [
  ...[
    'Relu',
    'Sigmoid',
    'Tanh',
    'HardSigmoid',
    'HardSwish',
    'Elu',
    'Selu',
    'Softplus',
    'Softsign',
    'Exp',
    'Abs',
    'Neg',
    'Floor',
    'Ceil',
    'Round',
    'Sin',
    'Cos',
    'Sign',
    'LeakyRelu',
  ].map((op) => unary(op)),
  ...['Sqrt', 'Log', 'Reciprocal'].map((op) => unary(op, [0.2, 4])),
  { name: 'Gelu', opset: 20, build: (g) => g.node('Gelu', [g.input('x', [2, 6])], 'y') },
  { name: 'Mish', opset: 18, build: (g) => g.node('Mish', [g.input('x', [2, 6])], 'y') },
  ...['Add', 'Sub', 'Mul', 'Max', 'Min'].map((op) => binary(op)),
  ...['Div', 'Pow'].map((op) => binary(op, [0.5, 3])),
  {
    name: 'Gelu written out',
    build: (g) => {
      const x = g.input('x', [2, 6]);
      g.node('Erf', [g.node('Div', [x, g.floats('s', [], () => Math.SQRT2)], 'd')], 'e');
      const gate = g.node('Add', ['e', g.floats('one', [], () => 1)], 'a');
      g.node('Mul', [g.node('Mul', [x, gate], 'm'), g.floats('half', [], () => 0.5)], 'y');
    },
  },
  {
    name: 'HardSwish written out',
    build: (g) => {
      const x = g.input('x', [2, 6]);
      g.node(
        'Mul',
        [x, g.node('HardSigmoid', [x], 'h', { alpha: attr.float(1 / 6), beta: attr.float(0.5) })],
        'y',
      );
    },
  },
  {
    name: 'Sum of three',
    build: (g) => g.node('Sum', [g.input('x', [2, 3]), g.input('z', [3]), g.input('v', [2, 1])], 'y'),
  },
  { name: 'Mean of two', build: (g) => g.node('Mean', [g.input('x', [2, 3]), g.input('z', [3])], 'y') },
  onMap('Clip', (g, x) =>
    g.node('Clip', [x, g.floats('l', [], () => -0.3), g.floats('h', [], () => 0.8)], 'y'),
  ),
  onMap('Clip to 6', (g, x) =>
    g.node('Clip', [x, g.floats('l', [], () => 0), g.floats('h', [], () => 6)], 'y'),
  ),
  onMap('PRelu', (g, x) => g.node('PRelu', [x, g.floats('s', [4, 1, 1])], 'y')),
  onMap('Softmax over channels', (g, x) => g.node('Softmax', [x], 'y', { axis: 1 })),
  onMap('Softmax of opset 11', (g, x) => g.node('Softmax', [x], 'y', { axis: 2 }), 11),
  onMap('LogSoftmax', (g, x) => g.node('LogSoftmax', [x], 'y', { axis: -1 })),
  ...[
    {},
    { pads: [1, 1, 1, 1], strides: [2, 2] },
    { pads: [0, 1, 2, 1] },
    { auto_pad: 'SAME_UPPER', strides: [2, 2] },
    { auto_pad: 'SAME_LOWER', strides: [2, 2] },
    { dilations: [2, 1], pads: [2, 1, 2, 1] },
  ].map((attributes, i) =>
    onMap(`Conv ${i}`, (g, x) =>
      g.node('Conv', [x, g.floats('w', [3, 4, 3, 3]), g.floats('b', [3])], 'y', attributes),
    ),
  ),
  onMap('Conv depthwise', (g, x) =>
    g.node('Conv', [x, g.floats('w', [8, 1, 3, 3])], 'y', { group: 4, pads: [1, 1, 1, 1] }),
  ),
  onMap('Conv in groups', (g, x) => g.node('Conv', [x, g.floats('w', [6, 2, 3, 3])], 'y', { group: 2 })),
  {
    name: 'Conv of signals',
    build: (g) =>
      g.node('Conv', [g.input('x', [1, 3, 9]), g.floats('w', [5, 3, 3]), g.floats('b', [5])], 'y', {
        pads: [1, 1],
        strides: [2],
      }),
  },
  {
    name: 'Conv of signals, depthwise',
    build: (g) => g.node('Conv', [g.input('x', [1, 3, 9]), g.floats('w', [3, 1, 3])], 'y', { group: 3 }),
  },
  ...[
    {},
    { strides: [2, 2] },
    { strides: [2, 2], pads: [1, 1, 1, 1], output_padding: [1, 1] },
    { pads: [1, 0, 0, 1] },
  ].map((attributes, i) =>
    onMap(`ConvTranspose ${i}`, (g, x) =>
      g.node('ConvTranspose', [x, g.floats('w', [4, 3, 3, 3]), g.floats('b', [3])], 'y', attributes),
    ),
  ),
  ...[
    { strides: [2, 2] },
    { pads: [1, 1, 1, 1] },
    { pads: [0, 1, 1, 0], strides: [2, 2] },
    { strides: [2, 2], ceil_mode: 1 },
  ].flatMap((attributes, i) => [
    onMap(`MaxPool ${i}`, (g, x) => g.node('MaxPool', [x], 'y', { kernel_shape: [3, 2], ...attributes })),
    onMap(`AveragePool ${i}`, (g, x) =>
      g.node('AveragePool', [x], 'y', { kernel_shape: [3, 2], ...attributes }),
    ),
  ]),
  onMap('AveragePool with padding counted', (g, x) =>
    g.node('AveragePool', [x], 'y', { kernel_shape: [3, 3], pads: [1, 1, 1, 1], count_include_pad: 1 }),
  ),
  onMap('GlobalAveragePool', (g, x) => g.node('GlobalAveragePool', [x], 'y')),
  onMap('GlobalMaxPool', (g, x) => g.node('GlobalMaxPool', [x], 'y')),
  ...(['asymmetric', 'half_pixel', 'align_corners'] as const).flatMap((mode) => [
    onMap(`Resize linear ${mode}`, (g, x) =>
      g.node('Resize', [x, null, null, g.integers('s', [1, 4, 9, 7])], 'y', {
        mode: 'linear',
        coordinate_transformation_mode: mode,
      }),
    ),
  ]),
  onMap('Resize nearest twice', (g, x) =>
    g.node('Resize', [x, null, g.floats('s', [4], (i) => (i < 2 ? 1 : 2))], 'y', { mode: 'nearest' }),
  ),
  onMap('Resize nearest asymmetric', (g, x) =>
    g.node('Resize', [x, null, null, g.integers('s', [1, 4, 9, 7])], 'y', {
      coordinate_transformation_mode: 'asymmetric',
      nearest_mode: 'floor',
    }),
  ),
  ...['DCR', 'CRD'].map((mode) =>
    onMap(`DepthToSpace ${mode}`, (g, x) => g.node('DepthToSpace', [x], 'y', { blocksize: 2, mode })),
  ),
  {
    name: 'SpaceToDepth',
    build: (g) => g.node('SpaceToDepth', [g.input('x', [1, 2, 4, 6])], 'y', { blocksize: 2 }),
  },
  {
    name: 'Gemm',
    build: (g) =>
      g.node('Gemm', [g.input('x', [2, 4]), g.floats('w', [4, 3]), g.floats('b', [3])], 'y', {
        beta: attr.float(0.5),
      }),
  },
  {
    name: 'Gemm turned and scaled',
    build: (g) =>
      g.node('Gemm', [g.input('x', [4, 2]), g.floats('w', [3, 4]), g.floats('b', [3])], 'y', {
        transA: 1,
        transB: 1,
        alpha: attr.float(2),
      }),
  },
  { name: 'Gemm of inputs', build: (g) => g.node('Gemm', [g.input('x', [2, 4]), g.input('z', [4, 3])], 'y') },
  { name: 'MatMul', build: (g) => g.node('MatMul', [g.input('x', [2, 3, 4]), g.floats('w', [4, 5])], 'y') },
  {
    name: 'MatMul of inputs',
    build: (g) => g.node('MatMul', [g.input('x', [2, 3, 4]), g.input('z', [2, 4, 2])], 'y'),
  },
  {
    name: 'Concat',
    build: (g) => g.node('Concat', [g.input('x', [2, 3]), g.floats('c', [2, 1])], 'y', { axis: -1 }),
  },
  {
    name: 'Split',
    build: (g) =>
      void g
        .output(
          g.node('Split', [g.input('x', [2, 6]), g.integers('s', [1, 2, 3])], 'y', { axis: 1 }, ['z', 'v']),
        )
        .output('z')
        .output('v'),
  },
  {
    name: 'Slice',
    build: (g) =>
      g.node(
        'Slice',
        [
          g.input('x', [4, 6]),
          g.integers('s', [-3, 5]),
          g.integers('e', [9999999999, -7]),
          g.integers('a', [0, 1]),
          g.integers('t', [1, -2]),
        ],
        'y',
      ),
  },
  {
    name: 'Slice of opset 9',
    opset: 9,
    build: (g) => g.node('Slice', [g.input('x', [4, 6])], 'y', { starts: [1], ends: [3], axes: [1] }),
  },
  onMap('Pad', (g, x) =>
    g.node('Pad', [x, g.integers('p', [0, 0, 1, 2, 0, 0, 2, 1]), g.floats('v', [], () => 1.5)], 'y'),
  ),
  onMap('Pad reflected', (g, x) =>
    g.node('Pad', [x, g.integers('p', [0, 0, 1, 2, 0, 0, 2, 1])], 'y', { mode: 'reflect' }),
  ),
  {
    name: 'Gather',
    build: (g) =>
      g.node('Gather', [g.input('x', [3, 5]), g.integers('i', [-1, 0, 2, 1], [2, 2])], 'y', { axis: 1 }),
  },
  {
    name: 'GatherND',
    build: (g) => g.node('GatherND', [g.input('x', [3, 5]), g.integers('i', [2, 0, 1, 3], [2, 2])], 'y'),
  },
  { name: 'Tile', build: (g) => g.node('Tile', [g.input('x', [2, 3]), g.integers('r', [2, 2])], 'y') },
  { name: 'Expand', build: (g) => g.node('Expand', [g.input('x', [3, 1]), g.integers('s', [2, 1, 4])], 'y') },
  ...['ReduceMean', 'ReduceMax', 'ReduceMin', 'ReduceProd', 'ReduceL2', 'ReduceSumSquare'].map(
    (op): Case => ({
      name: op,
      build: (g) => g.node(op, [g.input('x', [2, 3, 4])], 'y', { axes: [-2], keepdims: 0 }),
    }),
  ),
  {
    name: 'ReduceSum',
    build: (g) => g.node('ReduceSum', [g.input('x', [2, 3, 4]), g.integers('a', [1, 2])], 'y'),
  },
  { name: 'ArgMax', build: (g) => g.node('ArgMax', [g.input('x', [3, 5])], 'y', { axis: 1 }) },
  {
    name: 'TopK',
    build: (g) =>
      void g.output(g.node('TopK', [g.input('x', [3, 5]), g.integers('k', [2])], 'y', {}, ['i'])).output('i'),
  },
  {
    name: 'CumSum',
    build: (g) => g.node('CumSum', [g.input('x', [3, 5]), g.integers('a', [1], [])], 'y', { reverse: 1 }),
  },
  {
    name: 'LayerNormalization',
    opset: 17,
    build: (g) =>
      g.node('LayerNormalization', [g.input('x', [2, 3, 8]), g.floats('s', [8]), g.floats('b', [8])], 'y'),
  },
  onMap('InstanceNormalization', (g, x) =>
    g.node('InstanceNormalization', [x, g.floats('s', [4]), g.floats('b', [4])], 'y'),
  ),
  onMap('BatchNormalization', (g, x) => void g.norm(x, 4, 'y')),
  onMap('LRN', (g, x) => g.node('LRN', [x], 'y', { size: 3, alpha: attr.float(0.3), beta: attr.float(0.7) })),
  { name: 'LpNormalization', build: (g) => g.node('LpNormalization', [g.input('x', [2, 6])], 'y') },
  {
    name: 'Where',
    build: (g) =>
      g.node('Where', [g.node('Greater', [g.input('x', [2, 3]), g.input('z', [3])], 'c'), 'x', 'z'], 'y'),
  },
  {
    name: 'Not and Or',
    build: (g) =>
      g.node(
        'Cast',
        [
          g.node(
            'Or',
            [
              g.node('Less', [g.input('x', [2, 3]), g.input('z', [3])], 'a'),
              g.node('Not', [g.node('Equal', ['x', 'z'], 'e')], 'n'),
            ],
            'o',
          ),
        ],
        'y',
        { to: 1 },
      ),
  },
  {
    name: 'Transpose',
    build: (g) => g.node('Transpose', [g.input('x', [2, 3, 4])], 'y', { perm: [2, 0, 1] }),
  },
  {
    name: 'Flatten and Squeeze',
    build: (g) =>
      g.node('Squeeze', [g.node('Flatten', [g.input('x', [2, 1, 3])], 'f', { axis: 2 })], 'y', {}),
  },
  ...(['LSTM', 'GRU', 'RNN'] as const).flatMap((op) => {
    const gates = { LSTM: 4, GRU: 3, RNN: 1 }[op];
    return (['forward', 'reverse', 'bidirectional'] as const).map((direction): Case => {
      const d = direction === 'bidirectional' ? 2 : 1;
      return {
        name: `${op} ${direction}`,
        build: (g) => {
          const x = g.input('x', [5, 2, 3]);
          const inputs = [
            x,
            g.floats('w', [d, gates * 4, 3]),
            g.floats('r', [d, gates * 4, 4]),
            g.floats('b', [d, gates * 8]),
            null,
            g.input('h', [d, 2, 4]),
          ];
          if (op === 'LSTM') inputs.push(g.input('c', [d, 2, 4]));
          g.node(
            op,
            inputs,
            'y',
            { hidden_size: 4, direction, ...(op === 'GRU' && { linear_before_reset: d - 1 }) },
            ['yh'],
          );
          g.output('y').output('yh');
        },
      };
    });
  }),
];

const next = random(17);

function feed({ dtype, dims }: TensorInfo, [low, high]: readonly [number, number]): HostTensor {
  const size = dims.reduce((a, b) => a * b, 1);
  return {
    dtype,
    dims,
    data: encodeNumbers(
      dtype,
      Float64Array.from({ length: size }, () => low + (high - low) * next()),
    ),
  };
}

const numbersOf = ({ dtype, data, dims }: HostTensor) =>
  decodeNumbers(
    dtype as DType,
    data,
    dims.reduce((a, b) => a * b, 1),
  );

function modelOf({ build, opset }: Case): OnnxModel {
  const g = new OnnxBuilder(9);
  build(g);
  const { outputs } = g.graph();
  return (outputs.length > 0 ? g : g.output('y')).model(opset ?? 14);
}

describe('each operator gives in LiteRT what it gives in ONNX Runtime', () => {
  it.each(cases.map((of) => [of.name, of] as const))('%s', async (_name, of) => {
    const model = typed(modelOf(of));
    const converted = await convertOnnx(model, { seed: 1, step: async () => {} });
    const before = await runner.open(await temporaryFile(model), {});
    const after = await runner.open(await temporaryFile(converted.model), {});
    const feeds = Object.fromEntries(
      before.info.inputs.map((info) => [info.name, feed(info, of.between ?? [-2, 2])]),
    );
    const [wanted, seen] = [await before.run(feeds), await after.run(feeds)];
    for (const id of model.graphs[0].outputs) {
      const [a, b] = [wanted[id] as HostTensor, seen[id] as HostTensor];
      expect(b.dims.length === 0 ? [1] : b.dims).toEqual(a.dims.length === 0 ? [1] : a.dims);
      expect(b.dtype).toBe(a.dtype);
      const expected = numbersOf(a);
      numbersOf(b).forEach((value, i) => expect(value).toBeCloseTo(expected[i] as number, 4));
    }
    await Promise.all([before.close(), after.close()]);
  });
});

/** Outputs of another type than float have to say so. */
function typed(model: OnnxModel): OnnxModel {
  const integers = new Set(['ArgMax:y', 'TopK:y']);
  const graph = model.graphs[0];
  const values = new Map(graph.values);
  for (const node of graph.nodes) {
    if (!integers.has(node.id)) continue;
    const id = node.op === 'TopK' ? node.outputs[1] : node.outputs[0];
    if (id != null) values.set(id, { id, name: id, type: { kind: 'tensor', dtype: 'int64' } });
  }
  return { ...model, graphs: [{ ...graph, values }, ...model.graphs.slice(1)] };
}
