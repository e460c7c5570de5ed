import { isFloat } from '../../ir/dtype.ts';
import type { Dim } from '../../ir/types.ts';
import { combine } from '../dims.ts';
import { dtypeOf } from '../known.ts';
import type { CostContext, Known, OpContext, OpCost, Operator } from '../operator.ts';
import {
  broadcastShape,
  contentAt,
  out,
  outputCount,
  perOutput,
  presentInputs,
  sameAsFirst,
  tflite,
  work,
} from './kit.ts';

type Fold = (a: Dim, b: Dim, float: boolean) => Dim;

/** Folds lists of shape arithmetic: equal lengths, or one element against many. */
function foldContent(context: OpContext, fold: Fold): readonly Dim[] | undefined {
  const [a, b] = [contentAt(context, 0), contentAt(context, 1)];
  if (a === undefined || b === undefined) return undefined;
  if (a.length !== b.length && a.length !== 1 && b.length !== 1) return undefined;
  const rank = Math.max(context.shape(0)?.length ?? 2, context.shape(1)?.length ?? 2);
  if (rank > 1) return undefined;
  const float = isFloat(dtypeOf(context.input(0)) ?? 'float32');
  const at = (list: readonly Dim[], index: number): Dim => list[list.length === 1 ? 0 : index] ?? null;
  return Array.from({ length: Math.max(a.length, b.length) }, (_, index) =>
    fold(at(a, index), at(b, index), float),
  );
}

function inferBinary(fold: Fold | undefined, dtype?: 'bool') {
  return (context: OpContext): readonly Known[] => {
    const content = fold && foldContent(context, fold);
    return [out(context, broadcastShape(context), 0, { dtype, content })];
  };
}

const numeric =
  (compute: (a: number, b: number) => number): Fold =>
  (a, b) =>
    typeof a === 'number' && typeof b === 'number' ? compute(a, b) : null;

/** Integer division truncates towards zero. */
const divide: Fold = (a, b, float) => {
  if (typeof a === 'number' && typeof b === 'number')
    return float ? a / b : b === 0 ? null : Math.trunc(a / b);
  return float ? null : combine(a, '/', b);
};

const binary = (name: string, fold?: Fold): Operator =>
  tflite(name, 'elementwise', inferBinary(fold), { cost: perOutput(1), inPlace: true });

const comparison = (name: string, compute: (a: number, b: number) => boolean): Operator =>
  tflite(
    name,
    'elementwise',
    inferBinary(
      numeric((a, b) => Number(compute(a, b))),
      'bool',
    ),
    {
      cost: perOutput(1),
    },
  );

const unary = (name: string, compute?: (value: number) => number): Operator =>
  tflite(
    name,
    'elementwise',
    (context) => {
      const content = compute && contentAt(context, 0);
      const values = content?.map((value) => (typeof value === 'number' && compute ? compute(value) : null));
      return [out(context, context.shape(0), 0, { content: values })];
    },
    { cost: perOutput(1), inPlace: true },
  );

/** One addition per further operand. */
function sumCost(context: CostContext): OpCost {
  const operands = Math.max(1, presentInputs(context.node).length - 1);
  return work(context, outputCount(context), operands, 'outputs');
}

/** SELECT may choose whole rows by a vector; the result has the shape of what is chosen from. */
function inferSelect(context: OpContext): readonly Known[] {
  const dtype = dtypeOf(context.input(1));
  return [out(context, context.shape(1), 0, { dtype })];
}

function inferSelectV2(context: OpContext): readonly Known[] {
  return [out(context, broadcastShape(context), 0, { dtype: dtypeOf(context.input(1)) })];
}

export const elementwiseOperators: readonly Operator[] = [
  binary('ADD', (a, b) => combine(a, '+', b)),
  binary('SUB', (a, b) => combine(a, '-', b)),
  binary('MUL', (a, b) => combine(a, '*', b)),
  binary('DIV', divide),
  binary('FLOOR_DIV', (a, b, float) =>
    float ? numeric((x, y) => Math.floor(x / y))(a, b, float) : combine(a, '/', b),
  ),
  binary(
    'FLOOR_MOD',
    numeric((a, b) => (b === 0 ? Number.NaN : a - b * Math.floor(a / b))),
  ),
  binary('POW', numeric(Math.pow)),
  binary('MAXIMUM', numeric(Math.max)),
  binary('MINIMUM', numeric(Math.min)),
  binary(
    'SQUARED_DIFFERENCE',
    numeric((a, b) => (a - b) ** 2),
  ),
  binary('ATAN2'),
  binary('BITWISE_XOR'),
  binary('RIGHT_SHIFT'),
  binary(
    'LOGICAL_AND',
    numeric((a, b) => Number(a !== 0 && b !== 0)),
  ),
  binary(
    'LOGICAL_OR',
    numeric((a, b) => Number(a !== 0 || b !== 0)),
  ),
  ...[
    'STABLEHLO_ADD',
    'STABLEHLO_MULTIPLY',
    'STABLEHLO_MAXIMUM',
    'STABLEHLO_MINIMUM',
    'STABLEHLO_SHIFT_LEFT',
  ].map((name) => binary(name)),
  comparison('EQUAL', (a, b) => a === b),
  comparison('NOT_EQUAL', (a, b) => a !== b),
  comparison('LESS', (a, b) => a < b),
  comparison('LESS_EQUAL', (a, b) => a <= b),
  comparison('GREATER', (a, b) => a > b),
  comparison('GREATER_EQUAL', (a, b) => a >= b),
  unary('ABS', Math.abs),
  unary('NEG', (value) => -value),
  unary('SQUARE', (value) => value * value),
  unary('FLOOR', Math.floor),
  unary('CEIL', Math.ceil),
  unary('SIGN', Math.sign),
  unary('SQRT', Math.sqrt),
  unary('LOGICAL_NOT', (value) => Number(value === 0)),
  ...['EXP', 'LOG', 'RSQRT', 'SIN', 'COS', 'ROUND'].map((name) => unary(name)),
  tflite('ADD_N', 'elementwise', sameAsFirst, { cost: sumCost, inPlace: true }),
  tflite('SELECT', 'elementwise', inferSelect, { cost: perOutput(1) }),
  tflite('SELECT_V2', 'elementwise', inferSelectV2, { cost: perOutput(1) }),
  tflite('ZEROS_LIKE', 'constant', sameAsFirst),
];
