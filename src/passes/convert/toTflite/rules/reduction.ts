import { attr } from '../../../../ir/attribute.ts';
import { floatTensor } from '../../../../ir/numbers.ts';
import type { Placed } from '../builder.ts';
import { option } from '../builder.ts';
import type { Emission, Rule } from '../emission.ts';

const plain = { fused_activation_function: option.activation('NONE') };

function axesOf(emission: Emission, since: number): readonly number[] {
  const rank = emission.shapeIn(0).length;
  const given = emission.list('axes', 1, since);
  if ((given === undefined || given.length === 0) && emission.int('noop_with_empty_axes', 0) === 1) return [];
  const all = given === undefined || given.length === 0 ? Array.from({ length: rank }, (_, i) => i) : given;
  return all.map((axis) => (axis < 0 ? axis + rank : axis));
}

function reduce(op: string, since = 18): Rule {
  return (emission) => {
    const value = emission.operand(0);
    const axes = axesOf(emission, since);
    if (axes.length === 0) return value;
    const attributes = { keep_dims: option.flag(emission.int('keepdims', 1) === 1) };
    return emission.make(op, [value, emission.builder.integers(axes)], { dtype: value.dtype, attributes });
  };
}

/** Sums of squares, and their root for the norm. */
function squares(root: boolean): Rule {
  return (emission) => {
    const value = emission.operand(0);
    const square = emission.step('MUL', [value, value], value.shape, { attributes: plain });
    const attributes = { keep_dims: option.flag(emission.int('keepdims', 1) === 1) };
    const inputs = [square, emission.builder.integers(axesOf(emission, 18))];
    if (!root) return emission.make('SUM', inputs, { attributes });
    return emission.make('SQRT', [emission.step('SUM', inputs, emission.output, { attributes })]);
  };
}

function argument(op: 'ARG_MAX' | 'ARG_MIN'): Rule {
  return (emission) => {
    const { builder, name, output } = emission;
    const shape = emission.shapeIn(0);
    const axis = emission.axis(0);
    if (emission.int('select_last_index', 0) === 1)
      emission.refuse('the last of equal elements is not covered');
    const attributes = { output_type: option.type(2, 'INT32') };
    const inputs = [emission.operand(0), builder.integers([axis], [])];
    if (emission.int('keepdims', 1) === 0) return emission.make(op, inputs, { dtype: 'int32', attributes });
    const made = emission.step(
      op,
      inputs,
      shape.filter((_, i) => i !== axis),
      { dtype: 'int32', attributes },
    );
    return builder.reshape(made, output, name);
  };
}

const topK: Rule = (emission) => {
  const { builder, node } = emission;
  const rank = emission.shapeIn(0).length;
  if (emission.axis(-1) !== rank - 1 || emission.int('largest', 1) === 0)
    emission.refuse('only the largest along the last axis are covered');
  const names = node.outputs.map((id, index) => id ?? `${emission.name}_${index}`);
  const count = builder.integers(emission.integers(1).slice(0, 1), []);
  return builder.emitMany(
    'TOPK_V2',
    [emission.operand(0), count],
    [
      { name: names[0] as string, shape: emission.output },
      { name: names[1] ?? `${emission.name}_indices`, shape: emission.output, dtype: 'int32' },
    ],
  );
};

/** (x - mean) / sqrt(variance + epsilon), over these axes. */
function normalized(emission: Emission, value: Placed, axes: readonly number[], epsilon: number): Placed {
  const { builder } = emission;
  const over = builder.integers(axes);
  const kept = value.shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim));
  const attributes = { keep_dims: option.flag(true) };
  const mean = emission.step('MEAN', [value, over], kept, { attributes });
  const squared = emission.step('SQUARED_DIFFERENCE', [value, mean], value.shape);
  const variance = emission.step('MEAN', [squared, over], kept, { attributes });
  const scale = emission.step(
    'RSQRT',
    [emission.step('ADD', [variance, builder.scalar(epsilon)], kept, { attributes: plain })],
    kept,
  );
  const centred = emission.step('SUB', [value, mean], value.shape, { attributes: plain });
  return emission.step('MUL', [centred, scale], value.shape, { attributes: plain });
}

/** Scale and bias, one number per index of these axes, which are the last ones or the channels. */
function affine(emission: Emission, value: Placed, scale: Placed, bias: Placed | undefined): Placed {
  if (bias === undefined) return emission.make('MUL', [value, scale], { attributes: plain });
  const scaled = emission.step('MUL', [value, scale], value.shape, { attributes: plain });
  return emission.make('ADD', [scaled, bias], { attributes: plain });
}

const layerNormalization: Rule = (emission) => {
  if (emission.node.outputs.filter((id) => id !== null).length > 1)
    emission.refuse('mean and deviation as outputs are not covered');
  const value = emission.operand(0);
  const first = emission.axis(-1);
  const axes = value.shape.map((_, axis) => axis).filter((axis) => axis >= first);
  const normal = normalized(emission, value, axes, emission.float('epsilon', 1e-5));
  return affine(emission, normal, emission.operand(1), emission.has(2) ? emission.operand(2) : undefined);
};

/** Per channel, in a shape that lines up with axis 1. */
function perChannel(emission: Emission, values: Float32Array, suffix: string): Placed {
  const rank = emission.output.length;
  const dims = [values.length, ...Array<number>(Math.max(0, rank - 2)).fill(1)];
  return emission.builder.constant(`${emission.name}_${suffix}`, floatTensor(dims, values));
}

const instanceNormalization: Rule = (emission) => {
  const value = emission.operand(0);
  const axes = value.shape.map((_, axis) => axis).slice(2);
  const normal = normalized(emission, value, axes, emission.float('epsilon', 1e-5));
  return affine(
    emission,
    normal,
    perChannel(emission, emission.floats(1), 'scale'),
    perChannel(emission, emission.floats(2), 'shift'),
  );
};

/** What fusing left: a product and a sum per channel. */
const batchNormalization: Rule = (emission) => {
  const [scale, bias, mean, variance] = [1, 2, 3, 4].map((index) => emission.floats(index)) as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const epsilon = emission.float('epsilon', 1e-5);
  const factor = scale.map((each, c) => each / Math.sqrt((variance[c] as number) + epsilon));
  const shift = bias.map((each, c) => each - (mean[c] as number) * (factor[c] as number));
  return affine(
    emission,
    emission.operand(0),
    perChannel(emission, factor, 'factor'),
    perChannel(emission, shift, 'shift'),
  );
};

const lpNormalization: Rule = (emission) => {
  if (emission.int('p', 2) !== 2 || emission.axis(-1) !== emission.output.length - 1)
    emission.refuse('only the Euclidean norm along the last axis is covered');
  return emission.make('L2_NORMALIZATION', [emission.operand(0)], { attributes: plain });
};

const cumulative: Rule = (emission) => {
  const value = emission.operand(0);
  return emission.make('CUMSUM', [value, emission.builder.integers(emission.integers(1).slice(0, 1), [])], {
    dtype: value.dtype,
    attributes: {
      exclusive: option.flag(emission.int('exclusive', 0) === 1),
      reverse: option.flag(emission.int('reverse', 0) === 1),
    },
  });
};

/** ONNX divides alpha by the size of the window. */
const localResponse: Rule = (emission) => {
  const { builder, name } = emission;
  const size = emission.int('size', 1);
  const map = builder.nhwc(emission.operand(0));
  const made = emission.step('LOCAL_RESPONSE_NORMALIZATION', [map], map.shape, {
    attributes: {
      radius: attr.int((size - 1) / 2),
      bias: attr.float(emission.float('bias', 1)),
      alpha: attr.float(emission.float('alpha', 1e-4) / size),
      beta: attr.float(emission.float('beta', 0.75)),
    },
  });
  return builder.nchw(made, name);
};

export const reductionRules: Readonly<Record<string, Rule>> = {
  ReduceMean: reduce('MEAN'),
  ReduceSum: reduce('SUM', 13),
  ReduceMax: reduce('REDUCE_MAX'),
  ReduceMin: reduce('REDUCE_MIN'),
  ReduceProd: reduce('REDUCE_PROD'),
  ReduceL2: squares(true),
  ReduceSumSquare: squares(false),
  ArgMax: argument('ARG_MAX'),
  ArgMin: argument('ARG_MIN'),
  TopK: topK,
  CumSum: cumulative,
  LayerNormalization: layerNormalization,
  InstanceNormalization: instanceNormalization,
  BatchNormalization: batchNormalization,
  LpNormalization: lpNormalization,
  LRN: localResponse,
};
