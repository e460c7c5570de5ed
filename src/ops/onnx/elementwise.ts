import { intAttribute } from '../../ir/attribute.ts';
import type { DType } from '../../ir/dtype.ts';
import { isFloat } from '../../ir/dtype.ts';
import { elementCount, type Dim } from '../../ir/types.ts';
import { broadcast, combine } from '../dims.ts';
import { fitsContent, known, shapeOf, tensorTypeOf } from '../known.ts';
import type { CostContext, Known, OpContext, OpCost, Operator } from '../operator.ts';
import {
  broadcastAll,
  contribDomain,
  dtypeAt,
  onnx,
  outputCount,
  perOutput,
  presentInputs,
  unknownCost,
  outputsText,
} from './kit.ts';

type Fold = (a: Dim, b: Dim, float: boolean) => Dim;
type Compute = (a: number, b: number) => number;

/** Element `index` of an operand broadcast to `shape`. */
function broadcastIndexer(operand: readonly number[], shape: readonly number[]): (index: number) => number {
  if (operand.length === shape.length && operand.every((dim, axis) => dim === shape[axis])) {
    return (index) => index;
  }
  const offset = shape.length - operand.length;
  return (index) => {
    let rest = index;
    let at = 0;
    let step = 1;
    for (let axis = shape.length - 1; axis >= offset; axis -= 1) {
      const size = shape[axis] as number;
      const own = operand[axis - offset] as number;
      at += (own === 1 ? 0 : rest % size) * step;
      step *= own;
      rest = Math.floor(rest / size);
    }
    return at;
  };
}

/** Content of an elementwise operator's result, when that of every operand is known. */
function foldContent(
  context: OpContext,
  dtype: DType | undefined,
  apply: (operands: readonly Dim[]) => Dim,
): readonly Dim[] | undefined {
  const operands = presentInputs(context.node).map((index) => context.input(index));
  const shapes = operands.map(shapeOf);
  if (dtype === undefined || shapes.some((shape) => shape === undefined)) return undefined;
  const shape = broadcast(shapes as readonly (readonly Dim[])[]);
  const count = elementCount(shape);
  // A constant's content may have to be read from the file, so the others are asked first.
  if (operands.some((operand) => operand.constant === undefined && operand.content === undefined))
    return undefined;
  if (count === undefined || !fitsContent(dtype, count)) return undefined;
  const contents = operands.map((operand) => operand.content);
  if (contents.some((content) => content === undefined)) return undefined;
  const at = shapes.map((each) => broadcastIndexer(each as readonly number[], shape as readonly number[]));
  return Array.from({ length: count }, (_, index) =>
    apply(contents.map((content, operand) => content?.[at[operand]?.(index) ?? -1] ?? null)),
  );
}

function inferFolded(context: OpContext, result: DType | undefined, fold: Fold): readonly Known[] {
  const float = isFloat(dtypeAt(context, 0) ?? 'float32');
  const type = tensorTypeOf(broadcastAll(context, result));
  const content = foldContent(context, type?.dtype, (operands) =>
    operands.slice(1).reduce<Dim>((a, b) => fold(a, b, float), operands[0] ?? null),
  );
  return [known(type?.dtype, type?.shape, content)];
}

const numeric =
  (compute: Compute): Fold =>
  (a, b) =>
    typeof a === 'number' && typeof b === 'number' ? compute(a, b) : null;

const add: Fold = (a, b) => combine(a, '+', b);
const sub: Fold = (a, b) => combine(a, '-', b);
const mul: Fold = (a, b) => combine(a, '*', b);

/** Integer division truncates towards zero. */
const div: Fold = (a, b, float) => {
  if (typeof a === 'number' && typeof b === 'number')
    return float ? a / b : b === 0 ? null : Math.trunc(a / b);
  return float ? null : combine(a, '/', b);
};

/** `fmod` 0 takes the sign of the divisor (Python), 1 that of the dividend (C). */
function inferMod(context: OpContext): readonly Known[] {
  const c = intAttribute(context.node, 'fmod', 0) !== 0;
  const fold = numeric((a, b) => (b === 0 ? Number.NaN : c ? a % b : a - b * Math.floor(a / b)));
  return inferFolded(context, dtypeAt(context, 0), fold);
}

/** Operators before version 7 named a broadcast axis; the result still has the first operand's shape then. */
function inferArithmetic(fold: Fold): Operator['infer'] {
  return (context) => {
    if (context.version < 7 && intAttribute(context.node, 'broadcast', 0) !== 0) {
      return [known(dtypeAt(context, 0), context.shape(0))];
    }
    return inferFolded(context, dtypeAt(context, 0), fold);
  };
}

const binary = (name: string, fold: Fold): Operator =>
  onnx(name, 'elementwise', inferArithmetic(fold), { cost: perOutput(1), inPlace: true });

const truth = (value: boolean): number => (value ? 1 : 0);

const isNegative = (dim: Dim): boolean => typeof dim === 'number' && dim < 0;

/**
 * Equality of symbols is known when they are the same symbol, and against a negative number, which no size is: exporters
 * write `shape == -1` to find out which sizes to keep.
 */
const equal: Fold = (a, b) => {
  if (a === null || b === null) return null;
  if (a === b) return 1;
  const numbers = typeof a === 'number' && typeof b === 'number';
  return numbers || isNegative(a) || isNegative(b) ? 0 : null;
};

const comparison = (name: string, fold: Fold): Operator =>
  onnx(name, 'elementwise', (context) => inferFolded(context, 'bool', fold), { cost: perOutput(1) });

function inferUnary(compute?: (value: number) => number): Operator['infer'] {
  return (context) => {
    const dtype = dtypeAt(context, 0);
    const shape = context.shape(0);
    if (compute === undefined) return [known(dtype, shape)];
    const content = foldContent(context, dtype, ([value]) =>
      typeof value === 'number' ? compute(value) : null,
    );
    return [known(dtype, shape, content)];
  };
}

const unary = (name: string, compute?: (value: number) => number): Operator =>
  onnx(name, 'elementwise', inferUnary(compute), { cost: perOutput(1), inPlace: true });

/** Round half to even. */
function roundEven(value: number): number {
  const down = Math.floor(value);
  const gap = value - down;
  if (gap !== 0.5) return Math.round(value);
  return down % 2 === 0 ? down : down + 1;
}

/** Sum, Mean, Max and Min of any number of operands: one operation per operand and output. */
function variadicCost(context: CostContext): OpCost {
  const count = outputCount(context);
  const operands = presentInputs(context.node).length;
  if (count === undefined) return unknownCost;
  const each = Math.max(1, operands - 1);
  return { macs: 0, otherOps: count * each, formula: `${outputsText(context)} × ${each} operations` };
}

const variadic = (name: string, fold: Fold): Operator =>
  onnx(name, 'elementwise', (context) => inferFolded(context, dtypeAt(context, 0), fold), {
    cost: variadicCost,
    inPlace: true,
  });

function inferWhere(context: OpContext): readonly Known[] {
  const dtype = dtypeAt(context, 1);
  const type = tensorTypeOf(broadcastAll(context, dtype));
  const content = foldContent(context, dtype, ([condition, yes, no]) =>
    typeof condition !== 'number'
      ? yes === no
        ? (yes ?? null)
        : null
      : condition
        ? (yes ?? null)
        : (no ?? null),
  );
  return [known(type?.dtype, type?.shape, content)];
}

function inferNot(context: OpContext): readonly Known[] {
  const content = context
    .input(0)
    .content?.map((value) => (typeof value === 'number' ? truth(value === 0) : null));
  return [known('bool', context.shape(0), content)];
}

/** QLinearAdd and QLinearMul: a, its scale and zero point, b, its scale and zero point, the result's. */
function inferQLinear(context: OpContext): readonly Known[] {
  const a = context.shape(0);
  const b = context.shape(3);
  return [known(dtypeAt(context, 0), a && b && broadcast([a, b]))];
}

const qlinear = (name: string): Operator =>
  onnx(name, 'elementwise', inferQLinear, {
    domain: contribDomain,
    cost: perOutput(1),
    settings: [1, 2, 4, 5, 6, 7],
  });

const predicate = (name: string): Operator =>
  onnx(name, 'elementwise', (context) => [known('bool', context.shape(0))], { cost: perOutput(1) });

export const elementwiseOperators: readonly Operator[] = [
  binary('Add', add),
  binary('Sub', sub),
  binary('Mul', mul),
  binary('Div', div),
  binary('Pow', numeric(Math.pow)),
  binary('PRelu', () => null),
  binary('BitShift', () => null),
  binary('BitwiseAnd', () => null),
  binary('BitwiseOr', () => null),
  binary('BitwiseXor', () => null),
  onnx('Mod', 'elementwise', inferMod, { cost: perOutput(1), inPlace: true }),
  comparison('Equal', equal),
  comparison(
    'Greater',
    numeric((a, b) => truth(a > b)),
  ),
  comparison(
    'GreaterOrEqual',
    numeric((a, b) => truth(a >= b)),
  ),
  comparison(
    'Less',
    numeric((a, b) => truth(a < b)),
  ),
  comparison(
    'LessOrEqual',
    numeric((a, b) => truth(a <= b)),
  ),
  comparison(
    'And',
    numeric((a, b) => truth(a !== 0 && b !== 0)),
  ),
  comparison(
    'Or',
    numeric((a, b) => truth(a !== 0 || b !== 0)),
  ),
  comparison(
    'Xor',
    numeric((a, b) => truth((a !== 0) !== (b !== 0))),
  ),
  onnx('Not', 'elementwise', inferNot, { cost: perOutput(1), inPlace: true }),
  onnx('Where', 'elementwise', inferWhere, { cost: perOutput(1) }),
  variadic('Sum', add),
  variadic('Mean', () => null),
  variadic('Max', numeric(Math.max)),
  variadic('Min', numeric(Math.min)),
  unary('Abs', Math.abs),
  unary('Neg', (value) => -value),
  unary('Ceil', Math.ceil),
  unary('Floor', Math.floor),
  unary('Round', roundEven),
  unary('Sqrt', Math.sqrt),
  unary('Reciprocal', (value) => 1 / value),
  unary('Exp', Math.exp),
  unary('Log', Math.log),
  unary('Sign', Math.sign),
  ...['Sin', 'Cos', 'Tan', 'Asin', 'Acos', 'Atan', 'Sinh', 'Cosh', 'Asinh', 'Acosh', 'Atanh'].map((name) =>
    unary(name),
  ),
  unary('Erf'),
  unary('BitwiseNot'),
  predicate('IsNaN'),
  predicate('IsInf'),
  qlinear('QLinearAdd'),
  qlinear('QLinearMul'),
];
