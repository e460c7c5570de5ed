import { attr, floatAttribute, intAttribute } from '../../../../ir/attribute.ts';
import { isFloat } from '../../../../ir/dtype.ts';
import type { ValueId } from '../../../../ir/model.ts';
import type { Emission, Rule } from '../emission.ts';

/** The same operator in ONNX. */
function same(op: string, count = 1): Rule {
  return (emission) =>
    emission.emit(
      op,
      Array.from({ length: count }, (_, index) => emission.operand(index)),
    );
}

function clipped(emission: Emission, value: ValueId, low: number, high: number): ValueId {
  return emission.emit('Clip', [value, emission.scalar(low), emission.scalar(high)]);
}

const clip =
  (low: number, high: number): Rule =>
  (emission) =>
    clipped(emission, emission.operand(0), low, high);

/** Written out: the operator Gelu is younger than the opset that all runtimes here load. */
const gelu: Rule = (emission) => {
  const x = emission.operand(0);
  const half = emission.emit('Mul', [x, emission.scalar(0.5)]);
  const inner =
    intAttribute(emission.node, 'approximate', 0) === 1
      ? emission.emit('Tanh', [tanhArgument(emission, x)])
      : emission.emit('Erf', [emission.emit('Mul', [x, emission.scalar(Math.SQRT1_2)])]);
  return emission.emit('Mul', [half, emission.emit('Add', [inner, emission.scalar(1)])]);
};

/** sqrt(2 / pi) (x + 0.044715 x³), Hendrycks and Gimpel 2016. */
function tanhArgument(emission: Emission, x: ValueId): ValueId {
  const cube = emission.emit('Mul', [emission.emit('Mul', [x, x]), x]);
  const bent = emission.emit('Add', [x, emission.emit('Mul', [cube, emission.scalar(0.044715)])]);
  return emission.emit('Mul', [bent, emission.scalar(Math.sqrt(2 / Math.PI))]);
}

const squaredDifference: Rule = (emission) => {
  const difference = emission.emit('Sub', [emission.operand(0), emission.operand(1)]);
  return emission.emit('Mul', [difference, difference]);
};

const square: Rule = (emission) => {
  const x = emission.operand(0);
  return emission.emit('Mul', [x, x]);
};

const reciprocalRoot: Rule = (emission) =>
  emission.emit('Reciprocal', [emission.emit('Sqrt', [emission.operand(0)])]);

const isFloating = (emission: Emission) => isFloat(emission.dtypeOf(emission.value(0)));

/** Of integers, what Mod leaves is taken away first, so that the quotient is exact and rounded down. */
const floorDiv: Rule = (emission) => {
  const [a, b] = [emission.operand(0), emission.operand(1)];
  if (isFloating(emission)) return emission.emit('Floor', [emission.emit('Div', [a, b])]);
  return emission.emit('Div', [emission.emit('Sub', [a, emission.emit('Mod', [a, b])]), b]);
};

const floorMod: Rule = (emission) => {
  const [a, b] = [emission.operand(0), emission.operand(1)];
  if (!isFloating(emission)) return emission.emit('Mod', [a, b]);
  const whole = emission.emit('Floor', [emission.emit('Div', [a, b])]);
  return emission.emit('Sub', [a, emission.emit('Mul', [whole, b])]);
};

/** SELECT takes a vector of conditions for the first axis, which ONNX would line up with the last one. */
const select: Rule = (emission) => {
  const condition = emission.shapeOf(emission.value(0));
  const rank = emission.shapeOf(emission.output()).length;
  const tall =
    emission.node.op === 'SELECT' && condition.length === 1 && rank > 1 && (condition[0] as number) > 1;
  const first = tall
    ? emission.reshape(emission.operand(0), [condition[0] as number, ...Array<number>(rank - 1).fill(1)])
    : emission.operand(0);
  return emission.emit('Where', [first, emission.operand(1), emission.operand(2)]);
};

const notEqual: Rule = (emission) =>
  emission.emit('Not', [emission.emit('Equal', [emission.operand(0), emission.operand(1)])]);

const cast: Rule = (emission) => emission.cast(emission.operand(0), emission.dtypeOf(emission.output()));

const sum: Rule = (emission) =>
  emission.emit(
    'Sum',
    emission.node.inputs.map((_, index) => emission.operand(index)),
  );

const softmax: Rule = (emission) => {
  const beta = floatAttribute(emission.node, 'beta', 1);
  const value = emission.operand(0);
  const scaled = beta === 1 ? value : emission.emit('Mul', [value, emission.scalar(beta)]);
  return emission.emit('Softmax', [scaled], { axis: attr.int(-1) });
};

/** x / max(|x|, 1e-6) along the last axis. */
const l2Normalization: Rule = (emission) => {
  const x = emission.operand(0);
  const axes = emission.builder.int64(`${emission.name}_axes`, [-1]);
  const squares = emission.emit('ReduceSum', [emission.emit('Mul', [x, x]), axes], { keepdims: attr.int(1) });
  const norm = emission.emit('Max', [emission.emit('Sqrt', [squares]), emission.scalar(1e-6)]);
  return emission.emit('Div', [x, norm]);
};

/** Quantization itself lies in the tensors, so these only pass the value on. */
const pass: Rule = (emission) => emission.operand(0);

export const pointwiseRules: Readonly<Record<string, Rule>> = {
  MUL: same('Mul', 2),
  DIV: same('Div', 2),
  POW: same('Pow', 2),
  MAXIMUM: same('Max', 2),
  MINIMUM: same('Min', 2),
  ADD_N: sum,
  SQUARED_DIFFERENCE: squaredDifference,
  FLOOR_DIV: floorDiv,
  FLOOR_MOD: floorMod,
  EQUAL: same('Equal', 2),
  NOT_EQUAL: notEqual,
  LESS: same('Less', 2),
  LESS_EQUAL: same('LessOrEqual', 2),
  GREATER: same('Greater', 2),
  GREATER_EQUAL: same('GreaterOrEqual', 2),
  LOGICAL_AND: same('And', 2),
  LOGICAL_OR: same('Or', 2),
  LOGICAL_NOT: same('Not'),
  SELECT: select,
  SELECT_V2: select,
  RELU: same('Relu'),
  RELU6: clip(0, 6),
  RELU_N1_TO_1: clip(-1, 1),
  RELU_0_TO_1: clip(0, 1),
  PRELU: same('PRelu', 2),
  ELU: same('Elu'),
  GELU: gelu,
  LOGISTIC: same('Sigmoid'),
  TANH: same('Tanh'),
  HARD_SWISH: same('HardSwish'),
  EXP: same('Exp'),
  LOG: same('Log'),
  SQRT: same('Sqrt'),
  RSQRT: reciprocalRoot,
  SQUARE: square,
  NEG: same('Neg'),
  ABS: same('Abs'),
  SIGN: same('Sign'),
  FLOOR: same('Floor'),
  CEIL: same('Ceil'),
  ROUND: same('Round'),
  SIN: same('Sin'),
  COS: same('Cos'),
  CAST: cast,
  SOFTMAX: softmax,
  LOG_SOFTMAX: (emission) => emission.emit('LogSoftmax', [emission.operand(0)], { axis: attr.int(-1) }),
  L2_NORMALIZATION: l2Normalization,
  DEQUANTIZE: pass,
};
