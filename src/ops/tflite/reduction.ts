import { intAttribute } from '../../ir/attribute.ts';
import type { Shape } from '../../ir/types.ts';
import { axisOf } from '../dims.ts';
import { scalarOf } from '../known.ts';
import type { Known, OpContext, Operator } from '../operator.ts';
import {
  asDeclared,
  axesOf,
  contentAt,
  numbersAt,
  out,
  perInput,
  replaceDim,
  sameAsFirst,
  shaped,
  tflite,
} from './kit.ts';

function reducedShape(context: OpContext): Shape | undefined {
  const x = context.shape(0);
  const axes = numbersAt(context, 1);
  const gone = x && axes && axesOf(axes, x.length);
  if (x === undefined || gone === undefined) return undefined;
  if (intAttribute(context.node, 'keep_dims', 0) !== 0)
    return x.map((dim, axis) => (gone.has(axis) ? 1 : dim));
  return x.filter((_, axis) => !gone.has(axis));
}

function inferReduce(fold?: (values: readonly number[]) => number): Operator['infer'] {
  return (context) => {
    const values = fold && context.shape(0)?.length === 1 ? contentAt(context, 0) : undefined;
    const numbers = values?.every((value) => typeof value === 'number')
      ? (values as readonly number[])
      : undefined;
    const content = fold && numbers && numbers.length > 0 ? [fold(numbers)] : undefined;
    return [out(context, reducedShape(context), 0, { content })];
  };
}

const reduce = (name: string, fold?: (values: readonly number[]) => number): Operator =>
  tflite(name, 'reduction', inferReduce(fold), { cost: perInput(1), settings: [1] });

function argShape(context: OpContext): Shape | undefined {
  const x = context.shape(0);
  const given = scalarOf(context.input(1));
  const axis = x && given !== undefined ? axisOf(given, x.length) : undefined;
  return x && axis !== undefined ? x.filter((_, index) => index !== axis) : undefined;
}

/** The largest `k` of the last axis: values and their positions. */
function inferTopK(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const k = contentAt(context, 1)?.[0] ?? null;
  const shape = x && x.length > 0 ? replaceDim(x, x.length - 1, k) : undefined;
  return [out(context, shape), out(context, shape, 1, { dtype: 'int32' })];
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
const product = (values: readonly number[]) => values.reduce((total, value) => total * value, 1);

/** The number of segments is an operand. */
function unsortedShape(context: OpContext): Shape | undefined {
  const x = context.shape(0);
  const ids = context.shape(1);
  const count = contentAt(context, 2)?.[0] ?? null;
  return x && ids && [count, ...x.slice(ids.length)];
}

export const reductionOperators: readonly Operator[] = [
  reduce('MEAN'),
  reduce('SUM', sum),
  reduce('REDUCE_PROD', product),
  reduce('REDUCE_MAX', (values) => Math.max(...values)),
  reduce('REDUCE_MIN', (values) => Math.min(...values)),
  reduce('REDUCE_ANY'),
  reduce('REDUCE_ALL'),
  tflite('ARG_MAX', 'reduction', shaped(argShape), { cost: perInput(1), settings: [1] }),
  tflite('ARG_MIN', 'reduction', shaped(argShape), { cost: perInput(1), settings: [1] }),
  tflite('TOPK_V2', 'reduction', inferTopK, { cost: perInput(1), settings: [1] }),
  tflite('CUMSUM', 'reduction', sameAsFirst, { cost: perInput(1), settings: [1] }),
  tflite('SEGMENT_SUM', 'reduction', asDeclared, { cost: perInput(1) }),
  ...['SUM', 'PROD', 'MAX', 'MIN'].map((name) =>
    tflite(`UNSORTED_SEGMENT_${name}`, 'reduction', shaped(unsortedShape), {
      cost: perInput(1),
      settings: [2],
    }),
  ),
];
