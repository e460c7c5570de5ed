import { floatTensor } from '../../../../ir/numbers.ts';
import type { Placed } from '../builder.ts';
import { option } from '../builder.ts';
import type { Emission, Rule } from '../emission.ts';

const none = option.activation('NONE');

/** The input times a constant matrix, whose weights become [outputs, inputs]. */
function fullyConnected(
  emission: Emission,
  value: Placed,
  turned: boolean,
  bias: Placed,
  last: boolean,
): Placed {
  const weights = emission.weight(1, turned ? [0, 1] : [1, 0], 0);
  const shape = [...value.shape.slice(0, -1), weights.shape[0] as number];
  const making = {
    attributes: {
      fused_activation_function: none,
      weights_format: option.type(0, 'DEFAULT'),
      keep_num_dims: option.flag(shape.length > 2),
    },
  };
  const inputs = [value, weights, bias];
  return last
    ? emission.make('FULLY_CONNECTED', inputs, making)
    : emission.step('FULLY_CONNECTED', inputs, shape, making);
}

function constantBias(emission: Emission, values: Float32Array): Placed {
  return emission.builder.constant(`${emission.name}_bias`, floatTensor([values.length], values));
}

const gemm: Rule = (emission) => {
  const { builder, name } = emission;
  const [alpha, beta] = [emission.float('alpha', 1), emission.float('beta', 1)];
  const turned = emission.int('transB', 0) === 1;
  const first = emission.operand(0);
  const a = emission.int('transA', 0) === 1 ? builder.transpose(first, [1, 0], `${name}_a`) : first;
  const [rows, columns] = emission.shapeIn(1) as [number, number];
  const outputs = turned ? rows : columns;
  const given = emission.has(2) ? emission.constant(2) : undefined;
  const count = given?.dims.reduce((product, dim) => product * dim, 1);
  const vector = !emission.has(2) || count === 1 || (count === outputs && given?.dims.at(-1) === outputs);
  if (emission.constant(1) !== undefined && alpha === 1 && vector) {
    const values = emission.has(2) ? emission.floats(2) : new Float32Array(1);
    const bias = Float32Array.from(
      { length: outputs },
      (_, i) => (values[values.length === 1 ? 0 : i] ?? 0) * beta,
    );
    return fullyConnected(emission, a, turned, constantBias(emission, bias), true);
  }
  const shape = [a.shape[0] as number, outputs];
  const attributes = { adj_x: option.flag(false), adj_y: option.flag(turned) };
  const product = emission.step('BATCH_MATMUL', [a, emission.operand(1)], shape, { attributes });
  const times = (value: Placed, factor: number) =>
    factor === 1
      ? value
      : emission.step('MUL', [value, builder.scalar(factor)], value.shape, {
          attributes: { fused_activation_function: none },
        });
  const scaled = times(product, alpha);
  if (!emission.has(2)) return scaled;
  return emission.make('ADD', [scaled, times(emission.operand(2), beta)], {
    attributes: { fused_activation_function: none },
  });
};

const matMul: Rule = (emission) => {
  const { builder, name, output } = emission;
  const [left, right] = [emission.shapeIn(0), emission.shapeIn(1)];
  if (emission.constant(1) !== undefined && right.length === 2 && emission.constant(0) === undefined) {
    const value = emission.operand(0);
    const rows = left.length === 1 ? builder.reshape(value, [1, ...left], `${name}_row`) : value;
    const bias = constantBias(emission, new Float32Array(right[1] as number));
    if (left.length > 1) return fullyConnected(emission, rows, false, bias, true);
    return builder.reshape(fullyConnected(emission, rows, false, bias, false), output, name);
  }
  if (left.length < 2 || right.length < 2) emission.refuse('products with vectors are not covered');
  const attributes = { adj_x: option.flag(false), adj_y: option.flag(false) };
  return emission.make('BATCH_MATMUL', [emission.operand(0), emission.operand(1)], { attributes });
};

export const productRules: Readonly<Record<string, Rule>> = { Gemm: gemm, MatMul: matMul };
