import { attr, floatAttribute, stringAttribute } from '../../../../ir/attribute.ts';
import { isFloat } from '../../../../ir/dtype.ts';
import { readFloats } from '../../../../ir/numbers.ts';
import type { Placed } from '../builder.ts';
import { option } from '../builder.ts';
import type { Emission, Rule } from '../emission.ts';

const plain = { fused_activation_function: option.activation('NONE') };

function unary(
  op: string,
  attributes: (emission: Emission) => Record<string, ReturnType<typeof attr.int>> = () => ({}),
): Rule {
  return (emission) => emission.make(op, [emission.operand(0)], { attributes: attributes(emission) });
}

function binary(op: string, fusable = false): Rule {
  return (emission) => {
    const inputs = [emission.operand(0), emission.operand(1)];
    return emission.make(op, inputs, {
      dtype: (inputs[0] as Placed).dtype,
      ...(fusable && { attributes: plain }),
    });
  };
}

/** Any number of operands, two at a time. */
function variadic(op: string, fusable = false): Rule {
  return (emission) => {
    const [first, ...rest] = emission.node.inputs.map((_, index) => emission.operand(index)) as [
      Placed,
      ...Placed[],
    ];
    if (rest.length === 0) return first;
    const attributes = fusable ? plain : {};
    return rest.reduce(
      (sum, each, i) =>
        i === rest.length - 1
          ? emission.make(op, [sum, each], { dtype: sum.dtype, attributes })
          : emission.step(op, [sum, each], broadcast(sum.shape, each.shape), {
              dtype: sum.dtype,
              attributes,
            }),
      first,
    );
  };
}

function broadcast(a: readonly number[], b: readonly number[]): readonly number[] {
  const rank = Math.max(a.length, b.length);
  const at = (shape: readonly number[], i: number) => shape[i - (rank - shape.length)] ?? 1;
  return Array.from({ length: rank }, (_, i) => Math.max(at(a, i), at(b, i)));
}

const mean: Rule = (emission) => {
  const sum = variadic('ADD', true)(emission) as Placed;
  const share = emission.builder.scalar(1 / emission.node.inputs.length);
  return emission.step('MUL', [sum, share], sum.shape, { attributes: plain });
};

/** Short writing for chains of steps of one shape. */
function calculator(emission: Emission) {
  const shape = emission.output;
  const number = (value: number | Placed) =>
    typeof value === 'number' ? emission.builder.scalar(value) : value;
  const two = (op: string) => (a: number | Placed, b: number | Placed) =>
    emission.step(op, [number(a), number(b)], shape, { attributes: plain });
  const one = (op: string) => (a: Placed) => emission.step(op, [a], shape);
  const bare = (op: string) => (a: number | Placed, b: number | Placed) =>
    emission.step(op, [number(a), number(b)], shape);
  return {
    add: two('ADD'),
    sub: two('SUB'),
    mul: two('MUL'),
    div: two('DIV'),
    max: bare('MAXIMUM'),
    min: bare('MINIMUM'),
    one,
  };
}

/** The last step takes the name of the output. */
function named(emission: Emission, op: string, a: Placed | number, b: Placed | number): Placed {
  const number = (value: number | Placed) =>
    typeof value === 'number' ? emission.builder.scalar(value) : value;
  const fused = ['ADD', 'SUB', 'MUL', 'DIV'].includes(op);
  return emission.make(op, [number(a), number(b)], fused ? { attributes: plain } : {});
}

const clip: Rule = (emission) => {
  const { node, version } = emission;
  const bound = (index: number, name: string, fallback: number) => {
    if (version < 11) return floatAttribute(node, name, fallback);
    return emission.has(index) ? (emission.floats(index)[0] ?? fallback) : fallback;
  };
  const [low, high] = [bound(1, 'min', -Infinity), bound(2, 'max', Infinity)];
  const x = emission.operand(0);
  if (low === 0 && high === 6) return emission.make('RELU6', [x]);
  if (low === -1 && high === 1) return emission.make('RELU_N1_TO_1', [x]);
  if (low === 0 && high === Infinity) return emission.make('RELU', [x]);
  if (high === Infinity) return low === -Infinity ? x : named(emission, 'MAXIMUM', x, low);
  return named(emission, 'MINIMUM', low === -Infinity ? x : calculator(emission).max(x, low), high);
};

/** max(x, 0) + alpha elu(min(x, 0)): TFLite's ELU has an alpha of 1. */
function scaledElu(emission: Emission, alpha: number, gamma: number): Placed {
  const { max, min, mul, one } = calculator(emission);
  const x = emission.operand(0);
  if (alpha === 1 && gamma === 1) return emission.make('ELU', [x]);
  return named(emission, 'ADD', mul(max(x, 0), gamma), mul(one('ELU')(min(x, 0)), alpha * gamma));
}

/** max(x, 0) + log(1 + exp(-|x|)), which does not overflow. */
function softplusOf(emission: Emission): readonly [Placed, Placed] {
  const { add, max, one } = calculator(emission);
  const x = emission.operand(0);
  return [max(x, 0), one('LOG')(add(one('EXP')(one('NEG')(one('ABS')(x))), 1))];
}

const softplus: Rule = (emission) => named(emission, 'ADD', ...softplusOf(emission));

const mish: Rule = (emission) => {
  const { add, one } = calculator(emission);
  return named(emission, 'MUL', emission.operand(0), one('TANH')(add(...softplusOf(emission))));
};

const softsign: Rule = (emission) => {
  const { add, one } = calculator(emission);
  const x = emission.operand(0);
  return named(emission, 'DIV', x, add(one('ABS')(x), 1));
};

const hardSigmoid: Rule = (emission) => {
  const { add, mul, max } = calculator(emission);
  const line = add(mul(emission.operand(0), emission.float('alpha', 0.2)), emission.float('beta', 0.5));
  return named(emission, 'MINIMUM', max(line, 0), 1);
};

/** x times the HardSigmoid of x that MobileNetV3 uses is HARD_SWISH. */
const multiply: Rule = (emission) => {
  for (const index of [0, 1]) {
    const gate = emission.maker(index);
    const isGate = gate?.op === 'HardSigmoid' && gate.inputs[0] === emission.node.inputs[1 - index];
    const sixth = isGate && Math.abs(floatAttribute(gate, 'alpha', 0.2) - 1 / 6) < 1e-6;
    if (sixth && floatAttribute(gate, 'beta', 0.5) === 0.5)
      return emission.make('HARD_SWISH', [emission.operand(1 - index)]);
  }
  return binary('MUL', true)(emission);
};

const gelu: Rule = (emission) =>
  emission.make('GELU', [emission.operand(0)], {
    attributes: {
      approximate: option.flag(stringAttribute(emission.node, 'approximate', 'none') === 'tanh'),
    },
  });

const reciprocal: Rule = (emission) => named(emission, 'DIV', 1, emission.operand(0));

const remainder: Rule = (emission) => {
  if (emission.int('fmod', 0) === 1)
    emission.refuse('the remainder with the sign of the dividend is not covered');
  return binary('FLOOR_MOD')(emission);
};

/** Integers are divided towards zero in both formats. */
const divide: Rule = binary('DIV', true);

function compare(op: string): Rule {
  return (emission) => emission.make(op, [emission.operand(0), emission.operand(1)], { dtype: 'bool' });
}

const select: Rule = (emission) => {
  const inputs = [0, 1, 2].map((index) => emission.operand(index));
  return emission.make('SELECT_V2', inputs, { dtype: (inputs[1] as Placed).dtype });
};

const prelu: Rule = (emission) => {
  const slope = emission.constant(1) ?? emission.refuse('its slope is not constant');
  return readFloats(slope).length === 1
    ? emission.make('LEAKY_RELU', [emission.operand(0)], {
        attributes: { alpha: attr.float(readFloats(slope)[0] ?? 0) },
      })
    : emission.make('PRELU', [emission.operand(0), emission.operand(1)]);
};

/** TFLite's softmax works along the last axis; before opset 13 ONNX's flattens all axes from its own on. */
function softmax(op: 'SOFTMAX' | 'LOG_SOFTMAX'): Rule {
  return (emission) => {
    const { builder, name, output, version } = emission;
    const rank = output.length;
    const axis = emission.axis(version < 13 ? 1 : -1, rank);
    const attributes = op === 'SOFTMAX' ? { beta: attr.float(1) } : {};
    const x = emission.operand(0);
    if (axis === rank - 1) return emission.make(op, [x], { attributes });
    if (version < 13) {
      const rows = output.slice(0, axis).reduce((product, dim) => product * dim, 1);
      const flat = [rows, output.reduce((product, dim) => product * dim, 1) / rows];
      const made = emission.step(op, [builder.reshape(x, flat, `${name}_flat`)], flat, { attributes });
      return builder.reshape(made, output, name);
    }
    const order = output.map((_, i) => (i === axis ? rank - 1 : i === rank - 1 ? axis : i));
    const turned = builder.transpose(x, order, `${name}_turned`);
    return builder.transpose(emission.step(op, [turned], turned.shape, { attributes }), order, name);
  };
}

const cast: Rule = (emission) => {
  const x = emission.operand(0);
  const to = emission.int('to', 1);
  const dtype = to === 1 || to === 10 || to === 11 ? 'float32' : to === 9 ? 'bool' : 'int32';
  if (![1, 6, 7, 9, 10, 11].includes(to)) emission.refuse(`type ${to} is not covered`);
  if (x.dtype === dtype) return x;
  if (dtype !== 'int32' || !isFloat(x.dtype)) return emission.make('CAST', [x], { dtype });
  return emission.make('CAST', [x], { dtype });
};

const pass: Rule = (emission) => emission.operand(0);

export const pointwiseRules: Readonly<Record<string, Rule>> = {
  Relu: unary('RELU'),
  Clip: clip,
  LeakyRelu: unary('LEAKY_RELU', ({ node }) => ({ alpha: attr.float(floatAttribute(node, 'alpha', 0.01)) })),
  PRelu: prelu,
  Elu: (emission) => scaledElu(emission, emission.float('alpha', 1), 1),
  Selu: (emission) =>
    scaledElu(emission, emission.float('alpha', 1.6732632), emission.float('gamma', 1.0507009)),
  Sigmoid: unary('LOGISTIC'),
  HardSigmoid: hardSigmoid,
  HardSwish: unary('HARD_SWISH'),
  Tanh: unary('TANH'),
  Gelu: gelu,
  Softplus: softplus,
  Softsign: softsign,
  Mish: mish,
  Softmax: softmax('SOFTMAX'),
  LogSoftmax: softmax('LOG_SOFTMAX'),
  Sqrt: unary('SQRT'),
  Exp: unary('EXP'),
  Log: unary('LOG'),
  Abs: unary('ABS'),
  Neg: unary('NEG'),
  Sign: unary('SIGN'),
  Floor: unary('FLOOR'),
  Ceil: unary('CEIL'),
  Round: unary('ROUND'),
  Sin: unary('SIN'),
  Cos: unary('COS'),
  Reciprocal: reciprocal,
  Add: binary('ADD', true),
  Sub: binary('SUB', true),
  Mul: multiply,
  Div: divide,
  Pow: binary('POW'),
  Mod: remainder,
  Max: variadic('MAXIMUM'),
  Min: variadic('MINIMUM'),
  Sum: variadic('ADD', true),
  Mean: mean,
  Equal: compare('EQUAL'),
  Less: compare('LESS'),
  LessOrEqual: compare('LESS_EQUAL'),
  Greater: compare('GREATER'),
  GreaterOrEqual: compare('GREATER_EQUAL'),
  And: compare('LOGICAL_AND'),
  Or: compare('LOGICAL_OR'),
  Not: (emission) => emission.make('LOGICAL_NOT', [emission.operand(0)], { dtype: 'bool' }),
  Where: select,
  Cast: cast,
  Identity: pass,
  Dropout: pass,
};
