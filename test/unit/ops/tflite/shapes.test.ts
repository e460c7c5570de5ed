import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { analyse } from '../../../../src/analysis/analyse.ts';
import { encodeTflite } from '../../../../src/formats/tflite/write.ts';
import type { Attribute, TfliteModel, Value } from '../../../../src/ir/model.ts';
import { attr } from '../../../../src/ir/attribute.ts';
import type { DType } from '../../../../src/ir/dtype.ts';
import { floatTensor, intTensor } from '../../../../src/ir/numbers.ts';
import { tensorType } from '../../../../src/ir/types.ts';
import { startRunner } from '../../../../src/runtime/process/launch.ts';
import { constant, graphOf, join, modelOf, node, seeded, value } from '../../formats/tflite/support.ts';
import { useSourceRunner } from '../../support/runner.ts';

const wrong = 97;

/** One operator on its own: activations by shape, parameters by content. */
interface Case {
  readonly op: string;
  readonly inputs: readonly (
    | { readonly shape: readonly number[]; readonly dtype?: DType; readonly variable?: boolean }
    | { readonly ints: readonly number[]; readonly dims?: readonly number[] }
    | { readonly weights: readonly number[] }
    | null
  )[];
  readonly options?: Record<string, Attribute>;
  readonly outputs?: readonly DType[];
}

const random = seeded(2026);
const pick = (low: number, high: number) => low + Math.floor(random() * (high - low + 1));
const one = <T>(...list: readonly T[]): T => list[pick(0, list.length - 1)] as T;
const image = (channels = pick(1, 4)) => [pick(1, 2), pick(6, 13), pick(6, 13), channels];
const x = (shape: readonly number[], dtype: DType = 'float32') => ({ shape, dtype });
const ints = (...values: readonly number[]) => ({ ints: values });
const scalar = (single: number) => ({ ints: [single], dims: [] });
const state = (shape: readonly number[]) => ({ shape, variable: true });
const padding = () =>
  one({ kind: 'enum', value: 0, name: 'SAME' } as const, { kind: 'enum', value: 1, name: 'VALID' } as const);
const strides = () => ({
  stride_w: attr.int(pick(1, 3)),
  stride_h: attr.int(pick(1, 3)),
  padding: padding(),
});
const dilations = () => ({
  dilation_w_factor: attr.int(pick(1, 2)),
  dilation_h_factor: attr.int(pick(1, 2)),
});
const mask = (length: number) => attr.int(pick(0, 2 ** length - 1));

const makers: Readonly<Record<string, () => Omit<Case, 'op'>>> = {
  CONV_2D: () => {
    const shape = image();
    const filters = pick(1, 5);
    const w = { weights: [filters, pick(1, 3), pick(1, 3), shape[3] as number] };
    return { inputs: [x(shape), w, { weights: [filters] }], options: { ...strides(), ...dilations() } };
  },
  DEPTHWISE_CONV_2D: () => {
    const shape = image();
    const multiplier = pick(1, 2);
    const channels = (shape[3] as number) * multiplier;
    const options = { ...strides(), ...dilations(), depth_multiplier: attr.int(multiplier) };
    return {
      inputs: [x(shape), { weights: [1, pick(1, 3), pick(1, 3), channels] }, { weights: [channels] }],
      options,
    };
  },
  TRANSPOSE_CONV: () => {
    const [n = 1, h = 1, w = 1, c = 1] = image();
    const filters = pick(1, 4);
    const output = ints(n, h * 2, w * 2, filters);
    const options = {
      stride_w: attr.int(2),
      stride_h: attr.int(2),
      padding: { kind: 'enum', value: 0, name: 'SAME' } as const,
    };
    return { inputs: [output, { weights: [filters, 3, 3, c] }, x([n, h, w, c])], options };
  },
  CONV_3D: () => {
    const shape = [1, pick(4, 6), pick(4, 6), pick(4, 6), 2];
    const options = { stride_d: attr.int(pick(1, 2)), ...strides() };
    return { inputs: [x(shape), { weights: [pick(1, 3), pick(1, 3), pick(1, 3), 2, 3] }], options };
  },
  ...Object.fromEntries(
    ['AVERAGE_POOL_2D', 'MAX_POOL_2D', 'L2_POOL_2D'].map((op) => [
      op,
      () => ({
        inputs: [x(image())],
        options: { ...strides(), filter_width: attr.int(pick(1, 3)), filter_height: attr.int(pick(1, 3)) },
      }),
    ]),
  ),
  FULLY_CONNECTED: () => {
    const depth = pick(1, 6);
    const keep = one(true, false);
    const shape = [pick(1, 3), pick(1, 3), depth];
    return {
      inputs: [x(shape), { weights: [pick(1, 5), depth] }, null],
      options: { keep_num_dims: attr.bool(keep) },
    };
  },
  BATCH_MATMUL: () => {
    const [m, k, n] = [pick(1, 4), pick(1, 4), pick(1, 4)];
    const [adjX, adjY] = [one(true, false), one(true, false)];
    const left = one([], [2], [3, 2]);
    const inputs = [
      x([...left, ...(adjX ? [k, m] : [m, k])]),
      x([...left.slice(-1), ...(adjY ? [n, k] : [k, n])]),
    ];
    return { inputs, options: { adj_x: attr.bool(adjX), adj_y: attr.bool(adjY) } };
  },
  ...Object.fromEntries(
    ['ADD', 'SUB', 'MUL', 'DIV', 'MAXIMUM', 'MINIMUM', 'SQUARED_DIFFERENCE', 'FLOOR_DIV', 'POW'].map((op) => [
      op,
      () => {
        const shape = [pick(1, 3), pick(1, 3), pick(1, 3)];
        return {
          inputs: [
            x(shape),
            x(
              one(
                shape,
                shape.slice(1),
                [1],
                shape.map((dim, axis) => (axis === 1 ? 1 : dim)),
              ),
            ),
          ],
        };
      },
    ]),
  ),
  ...Object.fromEntries(
    ['LESS', 'EQUAL', 'GREATER_EQUAL'].map((op) => [
      op,
      () => ({ inputs: [x([2, pick(1, 3)]), x([1])], outputs: ['bool' as const] }),
    ]),
  ),
  ...Object.fromEntries(
    [
      'RELU',
      'LOGISTIC',
      'TANH',
      'SOFTMAX',
      'EXP',
      'ABS',
      'RSQRT',
      'HARD_SWISH',
      'L2_NORMALIZATION',
      'LEAKY_RELU',
    ].map((op) => [
      op,
      () => ({
        inputs: [x([pick(1, 3), pick(1, 4)])],
        ...(op === 'SOFTMAX' && { options: { beta: attr.float(1) } }),
      }),
    ]),
  ),
  ...Object.fromEntries(
    ['MEAN', 'SUM', 'REDUCE_MAX', 'REDUCE_PROD'].map((op) => [
      op,
      () => ({
        inputs: [x([2, 3, 4]), one(ints(0), ints(-1), ints(1, 2), ints(0, -2))],
        options: { keep_dims: attr.bool(one(true, false)) },
      }),
    ]),
  ),
  ARG_MAX: () => ({
    inputs: [x([2, 3, 4]), scalar(pick(-3, 2))],
    options: { output_type: { kind: 'enum', value: 2, name: 'INT32' } },
    outputs: ['int32'],
  }),
  TOPK_V2: () => ({ inputs: [x([2, 6]), scalar(pick(1, 6))], outputs: ['float32', 'int32'] }),
  CUMSUM: () => ({ inputs: [x([2, 3]), scalar(pick(0, 1))] }),
  RESHAPE: () => ({ inputs: [x([2, 3, 4]), one(ints(24), ints(-1, 4), ints(2, -1), ints(4, 3, 2))] }),
  SQUEEZE: () => ({
    inputs: [x([1, 3, 1, 2])],
    options: { squeeze_dims: attr.ints(one([], [0], [2], [-2], [0, 2])) },
  }),
  EXPAND_DIMS: () => ({ inputs: [x([2, 3]), scalar(pick(-3, 2))] }),
  SHAPE: () => ({
    inputs: [x([2, pick(1, 5)])],
    outputs: ['int32'],
    options: { out_type: { kind: 'enum', value: 2, name: 'INT32' } },
  }),
  TRANSPOSE: () => ({ inputs: [x([2, 3, 4]), one(ints(0, 1, 2), ints(2, 0, 1), ints(1, 0, 2))] }),
  PAD: () => ({ inputs: [x([2, 3]), { ints: [pick(0, 2), pick(0, 2), pick(0, 2), 1], dims: [2, 2] }] }),
  MIRROR_PAD: () => ({ inputs: [x([3, 3]), { ints: [1, pick(0, 2), 2, 1], dims: [2, 2] }] }),
  CONCATENATION: () => {
    const axis = pick(-3, 2);
    const shape = [2, 3, 4];
    const other = shape.map((dim, at) => (at === (axis + 3) % 3 ? pick(1, 5) : dim));
    return { inputs: [x(shape), x(other)], options: { axis: attr.int(axis) } };
  },
  PACK: () => ({
    inputs: [x([2, 3]), x([2, 3])],
    options: { axis: attr.int(pick(-3, 2)), values_count: attr.int(2) },
  }),
  UNPACK: () => ({
    inputs: [x([2, 3])],
    options: { axis: attr.int(0), num: attr.int(2) },
    outputs: ['float32', 'float32'],
  }),
  SPLIT: () => ({
    inputs: [scalar(pick(-2, 1) === 0 ? 0 : 1), x([4, 6])],
    options: { num_splits: attr.int(2) },
    outputs: ['float32', 'float32'],
  }),
  SPLIT_V: () => ({
    inputs: [x([7, 2]), ints(3, one(4, -1)), scalar(0)],
    options: { num_splits: attr.int(2) },
    outputs: ['float32', 'float32'],
  }),
  STRIDED_SLICE: () => ({
    inputs: [
      x([5, 6, 7]),
      ints(pick(-3, 2), pick(0, 2), pick(0, 3)),
      ints(pick(3, 5), one(-1, 4, 6), pick(4, 7)),
      ints(1, pick(1, 3), 1),
    ],
    options: {
      begin_mask: mask(3),
      end_mask: mask(3),
      shrink_axis_mask: one(attr.int(0), attr.int(1), attr.int(4)),
    },
  }),
  DYNAMIC_UPDATE_SLICE: () => ({ inputs: [x([4, 5]), x([1, 2]), ints(1, 1)] }),
  SCATTER_ND: () => ({ inputs: [{ ints: [0, 2], dims: [2, 1] }, x([2, 3]), ints(pick(3, 5), 3)] }),
  SPARSE_TO_DENSE: () => ({
    inputs: [{ ints: [0, 2], dims: [2] }, ints(pick(3, 6)), x([2]), { weights: [] }],
  }),
  REVERSE_SEQUENCE: () => ({ inputs: [x([2, 3]), ints(1, 2)], options: { seq_dim: attr.int(1) } }),
  MATRIX_DIAG: () => ({ inputs: [x([2, pick(1, 4)])] }),
  PADV2: () => ({ inputs: [x([2, 3]), { ints: [pick(0, 2), 0, 1, 1], dims: [2, 2] }, { weights: [] }] }),
  ADD_N: () => ({ inputs: [x([2, 3]), x([2, 3]), x([2, 3])] }),
  RANK: () => ({ inputs: [x([2, 3, 1])], outputs: ['int32'] }),
  EMBEDDING_LOOKUP: () => ({ inputs: [{ ints: [0, 1, 3], dims: [3] }, { weights: [4, pick(1, 5)] }] }),
  BROADCAST_ARGS: () => ({ inputs: [ints(2, 1, 3), ints(4, 1)], outputs: ['int32'] }),
  RNN: () => ({
    inputs: [x([2, 4]), { weights: [3, 4] }, { weights: [3, 3] }, { weights: [3] }, state([2, 3])],
  }),
  UNIDIRECTIONAL_SEQUENCE_RNN: () => ({
    inputs: [x([2, 5, 4]), { weights: [3, 4] }, { weights: [3, 3] }, { weights: [3] }, state([2, 3])],
  }),
  UNIDIRECTIONAL_SEQUENCE_LSTM: () => {
    const [inputs, units] = [pick(1, 4), pick(1, 5)];
    const many = (count: number, dims: readonly number[]) =>
      Array.from({ length: count }, () => ({ weights: dims }));
    return {
      inputs: [
        x([2, 5, inputs]),
        ...many(4, [units, inputs]),
        ...many(4, [units, units]),
        null,
        null,
        null,
        ...many(4, [units]),
        null,
        null,
        state([2, units]),
        state([2, units]),
      ],
      options: { fused_activation_function: { kind: 'enum', value: 4, name: 'TANH' } },
    };
  },
  TILE: () => ({ inputs: [x([2, 3]), ints(pick(1, 3), pick(1, 3))] }),
  BROADCAST_TO: () => ({ inputs: [x([1, 3]), one(ints(2, 3), ints(4, 2, 3))] }),
  REVERSE_V2: () => ({ inputs: [x([2, 3]), ints(1)] }),
  SPACE_TO_DEPTH: () => ({ inputs: [x([1, 4, 6, pick(1, 3)])], options: { block_size: attr.int(2) } }),
  DEPTH_TO_SPACE: () => ({ inputs: [x([1, 3, 2, 8])], options: { block_size: attr.int(2) } }),
  SPACE_TO_BATCH_ND: () => ({
    inputs: [x([1, 4, 6, 2]), ints(2, 2), { ints: [0, 0, pick(0, 1) * 2, 0], dims: [2, 2] }],
  }),
  BATCH_TO_SPACE_ND: () => ({
    inputs: [x([4, 3, 3, 2]), ints(2, 2), { ints: [0, pick(0, 2), 1, 0], dims: [2, 2] }],
  }),
  RESIZE_BILINEAR: () => ({ inputs: [x(image()), ints(pick(2, 9), pick(2, 9))] }),
  RESIZE_NEAREST_NEIGHBOR: () => ({ inputs: [x(image()), ints(pick(2, 9), pick(2, 9))] }),
  GATHER: () => ({
    inputs: [x([4, 5, 6]), { ints: [0, 1, 2, 3, 1, 0], dims: one([6], [2, 3]) }],
    options: { axis: attr.int(pick(-3, 2)) },
  }),
  GATHER_ND: () => ({ inputs: [x([4, 5, 6]), { ints: [0, 1, 2, 3], dims: one([2, 2], [4, 1], [1, 2, 2]) }] }),
  ONE_HOT: () => ({
    inputs: [{ ints: [0, 1, 2], dims: [3] }, scalar(pick(2, 5)), { weights: [] }, { weights: [] }],
    options: { axis: attr.int(one(-1, 0)) },
  }),
  FILL: () => ({ inputs: [ints(2, pick(1, 4)), { weights: [] }] }),
  RANGE: () => ({
    inputs: [scalar(pick(0, 3)), scalar(pick(4, 12)), scalar(pick(1, 4))],
    outputs: ['int32'],
  }),
  SELECT_V2: () => ({ inputs: [x([1, 3], 'bool'), x([2, 3]), x([1])] }),
  CAST: () => ({
    inputs: [x([2, 3])],
    options: {
      in_data_type: { kind: 'enum', value: 0, name: 'FLOAT32' },
      out_data_type: { kind: 'enum', value: 2, name: 'INT32' },
    },
    outputs: ['int32'],
  }),
  PRELU: () => ({ inputs: [x([1, 4, 4, 3]), { weights: [1, 1, 3] }] }),
  SVDF: () => ({
    inputs: [x([2, 4]), { weights: [6, 4] }, { weights: [6, 5] }, { weights: [3] }, state([2, 30])],
    options: { rank: attr.int(2) },
  }),
};

function modelFor({ op, inputs, options, outputs = ['float32'] }: Case): TfliteModel {
  const values: Value[] = [];
  const ids = inputs.map((input, index) => {
    if (input === null) return null;
    const id = `in${index}`;
    if ('ints' in input)
      values.push(constant(id, intTensor('int32', input.dims ?? [input.ints.length], input.ints)));
    else if ('weights' in input) {
      const count = input.weights.reduce((product, dim) => product * dim, 1);
      values.push(constant(id, floatTensor(input.weights, new Float32Array(count).fill(0.5))));
    } else {
      const { shape, dtype, ...more } = input;
      values.push(value(id, shape, { type: tensorType(dtype ?? 'float32', shape), ...more }));
    }
    return id;
  });
  // A declared shape that is wrong everywhere: neither the interpreter nor the rule may lean on it.
  const results = outputs.map((dtype, index) =>
    value(`out${index}`, [], { type: tensorType(dtype, [wrong]) }),
  );
  const fed = values
    .filter((each) => each.constant === undefined && each.variable !== true)
    .map((each) => each.id);
  const operator = node(
    op,
    ids,
    results.map((each) => each.id),
    options,
  );
  return modelOf(
    graphOf(
      [operator],
      [...values, ...results],
      fed,
      results.map((each) => each.id),
    ),
  );
}

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kerf-shapes-'));
const runner = startRunner();
beforeAll(useSourceRunner);
afterAll(() => {
  runner.kill();
  fs.rmSync(folder, { recursive: true, force: true });
});

/** Shapes as the TFLite interpreter computes them when it allocates tensors. */
async function interpreted(model: TfliteModel): Promise<readonly (readonly number[])[]> {
  const file = path.join(folder, 'single.tflite');
  fs.writeFileSync(file, join(encodeTflite(model)));
  const session = await runner.open(file, { runtime: 'tflite' });
  const dims = session.info.outputs.map((output) => output.dims);
  await session.close();
  return dims;
}

function inferred(model: TfliteModel) {
  const [graph] = model.graphs;
  const types = analyse(model).types.get(graph);
  return graph.outputs.map((id) => {
    const type = types?.get(id);
    return type?.kind === 'tensor' ? type.shape : undefined;
  });
}

describe('shapes as the TFLite interpreter infers them', () => {
  for (const [op, make] of Object.entries(makers)) {
    it(op, async () => {
      for (let round = 0; round < 5; round += 1) {
        const model = modelFor({ op, ...make() });
        expect(inferred(model)).toEqual(await interpreted(model));
      }
    });
  }
});

// The interpreter shapes these when they run, which its binding does not tell.
describe('shapes that are set at run time', () => {
  it.each([
    [
      [1, 0],
      [2, -1],
      [2, 5],
    ],
    [
      [0, 3],
      [4, 2],
      [4, 2],
    ],
    [
      [2, 1],
      [-1, 1],
      [2, 1],
    ],
  ])('SLICE of 4×5 from %j by %j', (begin, size, shape) => {
    const model = modelFor({ op: 'SLICE', inputs: [x([4, 5]), ints(...begin), ints(...size)] });
    expect(inferred(model)).toEqual([shape]);
  });
});

describe('shape arithmetic', () => {
  /** As converters write it for a free dimension: it is cut out of the shape and packed into a new one. */
  function flatten(steps: number | string): TfliteModel {
    const scalarInt = (id: string) => ({ ...value(id, []), type: tensorType('int32', []) });
    const vector = (id: string, length: number) => ({
      ...value(id, []),
      type: tensorType('int32', [length]),
    });
    const parameter = (id: string, ...values: readonly number[]) =>
      constant(id, intTensor('int32', [values.length], values));
    const nodes = [
      node('SHAPE', ['x'], ['shape'], { out_type: { kind: 'enum', value: 2, name: 'INT32' } }),
      node('STRIDED_SLICE', ['shape', 'begin', 'end', 'strides'], ['steps'], {
        shrink_axis_mask: attr.int(1),
      }),
      node('PACK', ['steps', 'rest'], ['target'], { values_count: attr.int(2), axis: attr.int(0) }),
      node('RESHAPE', ['x', 'target'], ['y']),
    ];
    const values = [
      { ...value('x', []), type: tensorType('float32', [2, steps, 4]) },
      vector('shape', 3),
      parameter('begin', 1),
      parameter('end', 2),
      parameter('strides', 1),
      scalarInt('steps'),
      constant('rest', intTensor('int32', [], [-1])),
      vector('target', 2),
      value('y', [wrong]),
    ];
    return modelOf(graphOf(nodes, values, ['x'], ['y']));
  }

  it.each([[5], ['T']])('carries %s through', (steps) => {
    expect(inferred(flatten(steps))).toEqual([[steps, 8]]);
  });
});
