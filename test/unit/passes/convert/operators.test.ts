import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Attribute, Node, TfliteModel, Value } from '../../../../src/ir/model.ts';
import { attr } from '../../../../src/ir/attribute.ts';
import type { DType } from '../../../../src/ir/dtype.ts';
import { decodeNumbers, encodeNumbers, floatTensor, intTensor } from '../../../../src/ir/numbers.ts';
import type { Tensor } from '../../../../src/ir/tensor.ts';
import { tensorType } from '../../../../src/ir/types.ts';
import { tfliteToOnnx } from '../../../../src/passes/convert/toOnnx/convert.ts';
import { layout } from '../../../../src/passes/layout/layout.ts';
import { startRunner } from '../../../../src/runtime/process/launch.ts';
import type { HostTensor } from '../../../../src/runtime/runner.ts';
import { useSourceRunner } from '../../support/runner.ts';
import { temporaryFile } from '../calibrate.ts';
import { random } from '../runtime.ts';

const runner = startRunner();
beforeAll(useSourceRunner);
afterAll(() => runner.kill());

interface Case {
  readonly op: string;
  /** Fed tensors by shape, constants as they are. */
  readonly inputs: readonly (readonly number[] | Tensor | null)[];
  readonly output: readonly number[];
  readonly attributes?: Readonly<Record<string, Attribute | number | boolean>>;
  /** Of fed tensors; bool for conditions. */
  readonly types?: readonly DType[];
  readonly made?: DType;
  readonly outputs?: number;
  /** Fed numbers lie between these; -2 to 2 without. */
  readonly between?: readonly [number, number];
}

const ints = (values: readonly number[], dims: readonly number[] = [values.length]) =>
  intTensor('int32', dims, values);
const next = random(11);
const floats = (dims: readonly number[]) =>
  floatTensor(
    dims,
    Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => next() * 2 - 1),
  );
const same: Attribute = { kind: 'enum', value: 0, name: 'SAME' };
const valid: Attribute = { kind: 'enum', value: 1, name: 'VALID' };
const stride = { stride_h: 2, stride_w: 2 };
const map = [1, 5, 6, 3] as const;

const cases: readonly Case[] = [
  ...[
    'RELU',
    'RELU6',
    'RELU_N1_TO_1',
    'LOGISTIC',
    'TANH',
    'HARD_SWISH',
    'ELU',
    'EXP',
    'NEG',
    'ABS',
    'FLOOR',
    'CEIL',
    'ROUND',
    'SIN',
    'COS',
    'SQUARE',
    'SOFTMAX',
    'LOG_SOFTMAX',
    'L2_NORMALIZATION',
  ].map(
    (op): Case => ({
      op,
      inputs: [[2, 6]],
      output: [2, 6],
      ...(op === 'SOFTMAX' && { attributes: { beta: attr.float(0.7) } }),
    }),
  ),
  ...['LOG', 'SQRT', 'RSQRT'].map(
    (op): Case => ({ op, inputs: [[2, 6]], output: [2, 6], between: [0.1, 4] }),
  ),
  ...['ADD', 'SUB', 'MUL', 'MAXIMUM', 'MINIMUM', 'SQUARED_DIFFERENCE'].map(
    (op): Case => ({ op, inputs: [map, [1, 1, 6, 1]], output: map }),
  ),
  ...['DIV', 'POW', 'FLOOR_DIV', 'FLOOR_MOD'].map(
    (op): Case => ({ op, inputs: [[3, 4], [4]], output: [3, 4], between: [0.5, 3] }),
  ),
  ...['EQUAL', 'NOT_EQUAL', 'LESS', 'LESS_EQUAL', 'GREATER', 'GREATER_EQUAL'].map(
    (op): Case => ({
      op,
      inputs: [
        [3, 4],
        [3, 4],
      ],
      types: ['int32', 'int32'],
      output: [3, 4],
      made: 'bool',
    }),
  ),
  { op: 'LEAKY_RELU', inputs: [[2, 6]], output: [2, 6], attributes: { alpha: attr.float(0.3) } },
  { op: 'GELU', inputs: [[2, 6]], output: [2, 6], attributes: { approximate: false } },
  { op: 'GELU', inputs: [[2, 6]], output: [2, 6], attributes: { approximate: true } },
  { op: 'PRELU', inputs: [map, floats([1, 1, 3])], output: map },
  {
    op: 'ADD_N',
    inputs: [
      [2, 3],
      [2, 3],
      [2, 3],
    ],
    output: [2, 3],
  },
  { op: 'SELECT_V2', inputs: [[2, 3], [2, 3], [3]], types: ['bool', 'float32', 'float32'], output: [2, 3] },
  { op: 'SELECT', inputs: [[2], [2, 3], [2, 3]], types: ['bool', 'float32', 'float32'], output: [2, 3] },
  { op: 'CAST', inputs: [[2, 3]], output: [2, 3], made: 'int32' },
  {
    op: 'CONV_2D',
    inputs: [map, floats([4, 3, 3, 3]), floats([4])],
    output: [1, 3, 3, 4],
    attributes: { padding: same, ...stride, dilation_h_factor: 1, dilation_w_factor: 1 },
  },
  {
    op: 'CONV_2D',
    inputs: [map, floats([4, 3, 2, 3]), floats([4])],
    output: [1, 3, 5, 4],
    attributes: { padding: valid, stride_h: 1, stride_w: 1, dilation_h_factor: 1, dilation_w_factor: 1 },
  },
  {
    op: 'DEPTHWISE_CONV_2D',
    inputs: [map, floats([1, 3, 3, 6]), floats([6])],
    output: [1, 3, 3, 6],
    attributes: { padding: same, ...stride, depth_multiplier: 2, dilation_h_factor: 1, dilation_w_factor: 1 },
  },
  {
    op: 'TRANSPOSE_CONV',
    inputs: [ints([1, 10, 12, 2]), floats([2, 3, 3, 3]), map],
    output: [1, 10, 12, 2],
    attributes: { padding: same, ...stride },
  },
  {
    op: 'TRANSPOSE_CONV',
    inputs: [ints([1, 11, 13, 2]), floats([2, 3, 3, 3]), map],
    output: [1, 11, 13, 2],
    attributes: { padding: valid, ...stride },
  },
  ...(['MAX_POOL_2D', 'AVERAGE_POOL_2D', 'L2_POOL_2D'] as const).map(
    (op): Case => ({
      op,
      inputs: [map],
      output: [1, 3, 3, 3],
      attributes: { padding: same, ...stride, filter_height: 3, filter_width: 2 },
    }),
  ),
  {
    op: 'FULLY_CONNECTED',
    inputs: [[2, 3, 4], floats([5, 4]), floats([5])],
    output: [2, 3, 5],
    attributes: { keep_num_dims: true },
  },
  {
    op: 'BATCH_MATMUL',
    inputs: [
      [2, 3, 4],
      [2, 5, 4],
    ],
    output: [2, 3, 5],
    attributes: { adj_x: false, adj_y: true },
  },
  {
    op: 'BATCH_MATMUL',
    inputs: [
      [2, 4, 3],
      [2, 4, 5],
    ],
    output: [2, 3, 5],
    attributes: { adj_x: true, adj_y: false },
  },
  {
    op: 'RESHAPE',
    inputs: [[2, 6], ints([3, 4])],
    output: [3, 4],
    attributes: { new_shape: attr.ints([3, 4]) },
  },
  { op: 'EXPAND_DIMS', inputs: [[2, 6], ints([1])], output: [2, 1, 6] },
  { op: 'TRANSPOSE', inputs: [[2, 3, 4], ints([2, 0, 1])], output: [4, 2, 3] },
  { op: 'PAD', inputs: [[2, 3], ints([1, 0, 0, 2], [2, 2])], output: [3, 5] },
  {
    op: 'PADV2',
    inputs: [[2, 3], ints([1, 0, 0, 2], [2, 2]), floatTensor([], Float32Array.of(7))],
    output: [3, 5],
  },
  {
    op: 'MIRROR_PAD',
    inputs: [[3, 4], ints([1, 2, 2, 1], [2, 2])],
    output: [6, 7],
    attributes: { mode: { kind: 'enum', value: 0, name: 'REFLECT' } },
  },
  {
    op: 'CONCATENATION',
    inputs: [
      [2, 3],
      [2, 1],
    ],
    output: [2, 4],
    attributes: { axis: -1 },
  },
  {
    op: 'PACK',
    inputs: [
      [2, 3],
      [2, 3],
    ],
    output: [2, 2, 3],
    attributes: { axis: 1, values_count: 2 },
  },
  { op: 'UNPACK', inputs: [[2, 3]], output: [2], outputs: 3, attributes: { axis: 1, num: 3 } },
  { op: 'SPLIT', inputs: [ints([1], []), [2, 6]], output: [2, 2], outputs: 3, attributes: { num_splits: 3 } },
  { op: 'SLICE', inputs: [[3, 4], ints([1, 0]), ints([2, -1])], output: [2, 4] },
  {
    op: 'STRIDED_SLICE',
    inputs: [[3, 5], ints([0, 4]), ints([2, 0]), ints([1, -2])],
    output: [2, 2],
    attributes: { begin_mask: 0, end_mask: 0, ellipsis_mask: 0, new_axis_mask: 0, shrink_axis_mask: 0 },
  },
  {
    op: 'STRIDED_SLICE',
    inputs: [[3, 5], ints([1, 0]), ints([2, 9]), ints([1, 1])],
    output: [5],
    attributes: { begin_mask: 2, end_mask: 2, ellipsis_mask: 0, new_axis_mask: 0, shrink_axis_mask: 1 },
  },
  { op: 'GATHER', inputs: [[3, 5], ints([2, 0])], output: [3, 2], attributes: { axis: 1, batch_dims: 0 } },
  { op: 'GATHER_ND', inputs: [[3, 5], ints([2, 0, 1, 3], [2, 2])], output: [2] },
  { op: 'EMBEDDING_LOOKUP', inputs: [ints([2, 0, 1]), [3, 5]], output: [3, 5] },
  { op: 'TILE', inputs: [[2, 3], ints([2, 1])], output: [4, 3] },
  { op: 'REVERSE_V2', inputs: [[2, 3], ints([1])], output: [2, 3] },
  { op: 'SPACE_TO_DEPTH', inputs: [[1, 4, 6, 2]], output: [1, 2, 3, 8], attributes: { block_size: 2 } },
  { op: 'DEPTH_TO_SPACE', inputs: [[1, 2, 3, 8]], output: [1, 4, 6, 2], attributes: { block_size: 2 } },
  {
    op: 'SPACE_TO_BATCH_ND',
    inputs: [[1, 3, 4, 2], ints([2, 2]), ints([1, 0, 0, 0], [2, 2])],
    output: [4, 2, 2, 2],
  },
  {
    op: 'BATCH_TO_SPACE_ND',
    inputs: [[4, 2, 2, 2], ints([2, 2]), ints([1, 0, 0, 1], [2, 2])],
    output: [1, 3, 3, 2],
  },
  ...['RESIZE_BILINEAR', 'RESIZE_NEAREST_NEIGHBOR'].flatMap((op) =>
    [
      [false, false],
      [true, false],
      [false, true],
    ].map(
      ([align, half]): Case => ({
        op,
        inputs: [map, ints([8, 15])],
        output: [1, 8, 15, 3],
        attributes: { align_corners: align as boolean, half_pixel_centers: half as boolean },
      }),
    ),
  ),
  ...['MEAN', 'SUM', 'REDUCE_MAX', 'REDUCE_MIN', 'REDUCE_PROD'].map(
    (op): Case => ({ op, inputs: [[2, 3, 4], ints([1])], output: [2, 4], attributes: { keep_dims: false } }),
  ),
  {
    op: 'REDUCE_ANY',
    inputs: [[2, 3], ints([1])],
    types: ['bool'],
    output: [2],
    made: 'bool',
    attributes: { keep_dims: false },
  },
  {
    op: 'ARG_MAX',
    inputs: [[2, 5], ints([1], [])],
    output: [2],
    made: 'int32',
    attributes: { output_type: { kind: 'enum', value: 2, name: 'INT32' } },
  },
  {
    op: 'CUMSUM',
    inputs: [[2, 5], ints([1], [])],
    output: [2, 5],
    attributes: { exclusive: true, reverse: true },
  },
  {
    op: 'LOCAL_RESPONSE_NORMALIZATION',
    inputs: [map],
    output: map,
    attributes: { radius: 1, bias: attr.float(1), alpha: attr.float(0.4), beta: attr.float(0.6) },
  },
];

function attributeOf(value: Attribute | number | boolean): Attribute {
  if (typeof value === 'number') return attr.int(value);
  return typeof value === 'boolean' ? { kind: 'bool', value } : value;
}

const isTensor = (input: readonly number[] | Tensor): input is Tensor => 'dtype' in input;

function build(of: Case): TfliteModel {
  const values = new Map<string, Value>();
  const fed: string[] = [];
  const names = of.inputs.map((input, index) => {
    if (input === null) return null;
    const id = `in${index}`;
    if (isTensor(input))
      values.set(id, { id, name: id, type: tensorType(input.dtype, input.dims), constant: input });
    else {
      values.set(id, { id, name: id, type: tensorType(of.types?.[fed.length] ?? 'float32', input) });
      fed.push(id);
    }
    return id;
  });
  const outputs = Array.from({ length: of.outputs ?? 1 }, (_, index) => `out${index}`);
  for (const id of outputs)
    values.set(id, { id, name: id, type: tensorType(of.made ?? 'float32', of.output) });
  const attributes = new Map(
    Object.entries(of.attributes ?? {}).map(([name, value]) => [name, attributeOf(value)]),
  );
  const node: Node = { id: 'node', name: '', op: of.op, domain: '', inputs: names, outputs, attributes };
  const graph = { name: 'main', inputs: fed, outputs, nodes: [node], values };
  return { dialect: 'tflite', version: 3, description: '', graphs: [graph], metadata: [], signatures: [] };
}

function feed(of: Case, dtype: DType, dims: readonly number[]): HostTensor {
  const [low, high] = of.between ?? [-2, 2];
  const count = dims.reduce((a, b) => a * b, 1);
  const value = () => (dtype === 'bool' ? Math.round(next()) : low + (high - low) * next());
  const numbers = Float64Array.from({ length: count }, () =>
    dtype === 'float32' ? value() : Math.round(value()),
  );
  return { dtype, dims, data: encodeNumbers(dtype, numbers) };
}

const numbersOf = (tensor: HostTensor) =>
  decodeNumbers(
    tensor.dtype,
    tensor.data,
    tensor.dims.reduce((a, b) => a * b, 1),
  );

describe('each operator gives in ONNX Runtime what it gives in LiteRT', () => {
  it.each(cases.map((of, index) => [`${of.op} (${index})`, of] as const))('%s', async (_name, of) => {
    const model = build(of);
    const converted = tfliteToOnnx(model).model;
    const tidy = (await layout.run(converted, {}, { seed: 1, step: async () => {} })).model;
    const [before, after] = [
      await runner.open(await temporaryFile(model), {}),
      await runner.open(await temporaryFile(tidy), {}),
    ];
    const feeds = Object.fromEntries(
      before.info.inputs.map(({ name, dtype, dims }) => [name, feed(of, dtype, dims)]),
    );
    const [wanted, seen] = [await before.run(feeds), await after.run(feeds)];
    await Promise.all([before.close(), after.close()]);
    for (const id of model.graphs[0].outputs) {
      const [a, b] = [wanted[id] as HostTensor, seen[id] as HostTensor];
      expect(b.dims).toEqual(a.dims);
      expect(b.dtype).toBe(a.dtype);
      const expected = numbersOf(a);
      numbersOf(b).forEach((value, i) => expect(value).toBeCloseTo(expected[i] as number, 4));
    }
  });
});
