import { floatAttribute, intAttribute, intsAttribute } from '../../../ir/attribute.ts';
import { floatTensor, readFloats } from '../../../ir/numbers.ts';
import type { Tensor } from '../../../ir/tensor.ts';
import type { Emission, EmitRule } from './emission.ts';
import { constantFloats, constantIntegers, refuse } from './emission.ts';
import type { Layout, Placed } from './builder.ts';
import { option, permuted } from './builder.ts';

const toNhwc = [0, 2, 3, 1];

/** Shape of the output in a layout. */
function outputIn(emission: Emission, layout: Layout): readonly number[] {
  return layout === 'nhwc' && emission.output.length === 4
    ? permuted(emission.output, toNhwc)
    : emission.output;
}

/** One input, one output of the same shape, in whatever layout the input is. */
function unary(
  op: string,
  attributes: (emission: Emission) => Parameters<Emission['builder']['emit']>[4] = () => [],
): EmitRule {
  return (emission) => {
    const value = emission.input(0);
    return emission.builder.emit(
      op,
      [value.id],
      value.shape,
      emission.name,
      attributes(emission),
      value.layout,
    );
  };
}

const clip: EmitRule = (emission) => {
  const { node, builder, name, version } = emission;
  const bound = (index: number, attribute: string, fallback: number) => {
    if (version < 11) return floatAttribute(node, attribute, fallback);
    return emission.has(index) ? (constantFloats(emission, index)[0] ?? fallback) : fallback;
  };
  const low = bound(1, 'min', -Infinity);
  const high = bound(2, 'max', Infinity);
  const value = emission.input(0);
  if (low === 0 && high === 6) return builder.emit('RELU6', [value.id], value.shape, name, [], value.layout);
  if (low === 0 && high === Infinity)
    return builder.emit('RELU', [value.id], value.shape, name, [], value.layout);
  let current = value;
  if (low !== -Infinity) {
    current = builder.emit(
      'MAXIMUM',
      [current.id, builder.scalar(low)],
      value.shape,
      `${name}_low`,
      [],
      value.layout,
    );
  }
  if (high === Infinity) return current;
  return builder.emit('MINIMUM', [current.id, builder.scalar(high)], value.shape, name, [], value.layout);
};

/** A constant operand in the layout of the other one; aligned to four axes first when that is NHWC. */
function constantIn(emission: Emission, tensor: Tensor, layout: Layout, label: string): string {
  const { builder, name } = emission;
  const values = readFloats(tensor);
  if (layout === 'onnx' || tensor.dims.length === 0)
    return builder.constant(`${name}_${label}`, floatTensor(tensor.dims, values));
  const [n, c, h, w] = [...Array<number>(4 - tensor.dims.length).fill(1), ...tensor.dims] as [
    number,
    number,
    number,
    number,
  ];
  const moved = new Float32Array(values.length);
  let from = 0;
  for (let b = 0; b < n; b += 1) {
    for (let i = 0; i < c; i += 1) {
      for (let p = 0; p < h * w; p += 1) {
        moved[(b * h * w + p) * c + i] = values[from] as number;
        from += 1;
      }
    }
  }
  return builder.constant(`${name}_${label}`, floatTensor([n, h, w, c], moved));
}

function binary(op: string, activation: boolean): EmitRule {
  return (emission) => {
    const { builder, name, output } = emission;
    const constants = [emission.constant(0), emission.constant(1)];
    const placed = constants.map((tensor, index) =>
      tensor === undefined ? emission.input(index) : undefined,
    );
    // Broadcasting lines axes up from the back, so NHWC only works when every operand has all four.
    const full = placed.every((each) => each === undefined || each.shape.length === 4);
    const layout: Layout =
      full && output.length === 4 && placed.some((each) => each?.layout === 'nhwc') ? 'nhwc' : 'onnx';
    const operands = constants.map((tensor, index) =>
      tensor === undefined
        ? builder.inLayout(placed[index] as Placed, layout).id
        : constantIn(emission, tensor, layout, index === 0 ? 'left' : 'right'),
    );
    const attributes = activation
      ? ([['fused_activation_function', option.activation('NONE')]] as const)
      : [];
    return builder.emit(op, operands, outputIn(emission, layout), name, attributes, layout);
  };
}

const reshape: EmitRule = (emission) => {
  const { builder, name, output } = emission;
  const input = emission.input(0);
  // With one pixel, both layouts hold the same bytes.
  const [, h, w] = input.layout === 'nhwc' ? input.shape : [0, 1, 1];
  const value =
    input.layout === 'nhwc' && input.shape.length === 4 && h === 1 && w === 1
      ? input
      : builder.inLayout(input, 'onnx');
  return builder.reshape(value.id, output, name);
};

/** A product with constant right-hand matrix: weights as [outputs, inputs]. */
function fullyConnected(
  emission: Emission,
  weights: Float32Array,
  outputs: number,
  inputs: number,
  bias: Float32Array,
): Placed {
  const { builder, name, output } = emission;
  const value = builder.inLayout(emission.input(0), 'onnx');
  const operands = [
    value.id,
    builder.constant(`${name}_weights`, floatTensor([outputs, inputs], weights)),
    builder.constant(`${name}_bias`, floatTensor([outputs], bias)),
  ];
  const attributes = [
    ['fused_activation_function', option.activation('NONE')],
    ['weights_format', { kind: 'enum', value: 0, name: 'DEFAULT' }],
    ['keep_num_dims', { kind: 'bool', value: output.length > 2 }],
  ] as const;
  return builder.emit('FULLY_CONNECTED', operands, output, name, attributes);
}

function transposed(matrix: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(matrix.length);
  for (let r = 0; r < rows; r += 1)
    for (let c = 0; c < columns; c += 1) result[c * rows + r] = matrix[r * columns + c] as number;
  return result;
}

const gemm: EmitRule = (emission) => {
  const { node } = emission;
  if (intAttribute(node, 'transA', 0) === 1) refuse(emission, 'transA is not covered');
  const dims = emission.constant(1)?.dims;
  if (dims === undefined) refuse(emission, 'its weights are not constant');
  const [rows, columns] = dims as [number, number];
  const turned = intAttribute(node, 'transB', 0) === 1;
  const [outputs, inputs] = turned ? [rows, columns] : [columns, rows];
  const alpha = floatAttribute(node, 'alpha', 1);
  const beta = floatAttribute(node, 'beta', 1);
  const stored = constantFloats(emission, 1);
  const weights = (turned ? stored : transposed(stored, rows, columns)).map((each) => each * alpha);
  const given = emission.has(2) ? constantFloats(emission, 2) : new Float32Array(0);
  if (given.length > 1 && given.length !== outputs)
    refuse(emission, 'its bias is not a vector of the outputs');
  const bias = Float32Array.from(
    { length: outputs },
    (_, i) => (given[given.length === 1 ? 0 : i] ?? 0) * beta,
  );
  return fullyConnected(emission, weights, outputs, inputs, bias);
};

const matMul: EmitRule = (emission) => {
  const { builder, name, output } = emission;
  const tensor = emission.constant(1);
  if (tensor?.dims.length === 2) {
    const [inputs, outputs] = tensor.dims as [number, number];
    return fullyConnected(
      emission,
      transposed(readFloats(tensor), inputs, outputs),
      outputs,
      inputs,
      new Float32Array(outputs),
    );
  }
  const operand = (index: number) => {
    const constant = emission.constant(index);
    return constant === undefined
      ? builder.inLayout(emission.input(index), 'onnx').id
      : constantIn(emission, constant, 'onnx', `operand${index}`);
  };
  const attributes = [
    ['adj_x', { kind: 'bool', value: false }],
    ['adj_y', { kind: 'bool', value: false }],
  ] as const;
  return builder.emit('BATCH_MATMUL', [operand(0), operand(1)], output, name, attributes);
};

const softmax: EmitRule = (emission) => {
  const { node, builder, name, output, version } = emission;
  const axis = intAttribute(node, 'axis', version < 13 ? 1 : -1);
  const last = axis === -1 || axis === output.length - 1;
  if (!last) refuse(emission, `TFLite's softmax works along the last axis, not ${axis}`);
  const value = builder.inLayout(emission.input(0), 'onnx');
  return builder.emit('SOFTMAX', [value.id], output, name, [['beta', { kind: 'float', value: 1 }]]);
};

const transpose: EmitRule = (emission) => {
  const { node, builder, name, output } = emission;
  const value = builder.inLayout(emission.input(0), 'onnx');
  const order = intsAttribute(node, 'perm') ?? output.map((_, i) => output.length - 1 - i);
  return builder.emit('TRANSPOSE', [value.id, builder.integers(order)], output, name);
};

const concat: EmitRule = (emission) => {
  const { node, builder, name, output } = emission;
  const inputs = node.inputs.map((_, index) => {
    const constant = emission.constant(index);
    return constant === undefined
      ? builder.inLayout(emission.input(index), 'onnx').id
      : constantIn(emission, constant, 'onnx', `part${index}`);
  });
  const axis = intAttribute(node, 'axis', 0);
  const attributes = [
    ['axis', { kind: 'int', value: axis < 0 ? axis + output.length : axis }],
    ['fused_activation_function', option.activation('NONE')],
  ] as const;
  return builder.emit('CONCATENATION', inputs, output, name, attributes);
};

function reduce(op: string): EmitRule {
  return (emission) => {
    const { node, builder, name, output, version } = emission;
    const value = builder.inLayout(emission.input(0), 'onnx');
    const fromInput = (op === 'SUM' ? version >= 13 : version >= 18) && emission.has(1);
    const axes = fromInput
      ? constantIntegers(emission, 1)
      : (intsAttribute(node, 'axes') ?? value.shape.map((_, i) => i));
    const attributes = [
      ['keep_dims', { kind: 'bool', value: intAttribute(node, 'keepdims', 1) === 1 }],
    ] as const;
    return builder.emit(op, [value.id, builder.integers(axes)], output, name, attributes);
  };
}

const same: EmitRule = (emission) => emission.input(0);

/** Everything but convolutions and pooling. */
export const otherRules: Readonly<Record<string, EmitRule>> = {
  Relu: unary('RELU'),
  Clip: clip,
  Sigmoid: unary('LOGISTIC'),
  Tanh: unary('TANH'),
  HardSwish: unary('HARD_SWISH'),
  Sqrt: unary('SQRT'),
  Exp: unary('EXP'),
  Log: unary('LOG'),
  Abs: unary('ABS'),
  Neg: unary('NEG'),
  Elu: unary('ELU'),
  LeakyRelu: unary('LEAKY_RELU', ({ node }) => [
    ['alpha', { kind: 'float', value: floatAttribute(node, 'alpha', 0.01) }],
  ]),
  Add: binary('ADD', true),
  Sub: binary('SUB', true),
  Mul: binary('MUL', true),
  Div: binary('DIV', true),
  Pow: binary('POW', false),
  Max: binary('MAXIMUM', false),
  Min: binary('MINIMUM', false),
  Reshape: reshape,
  Flatten: reshape,
  Squeeze: reshape,
  Unsqueeze: reshape,
  Gemm: gemm,
  MatMul: matMul,
  Softmax: softmax,
  Transpose: transpose,
  Concat: concat,
  ReduceMean: reduce('MEAN'),
  ReduceSum: reduce('SUM'),
  ReduceMax: reduce('REDUCE_MAX'),
  Identity: same,
  Dropout: same,
};
