import { intAttribute } from '../../ir/attribute.ts';
import type { Shape } from '../../ir/types.ts';
import { axisOf } from '../dims.ts';
import { known, numbersOf, scalarOf } from '../known.ts';
import type { Known, OpContext, Operator } from '../operator.ts';
import {
  axesOf,
  dtypeAt,
  listParameter,
  onnx,
  perInput,
  replaceDim,
  sameAsFirst,
  unknownDims,
} from './kit.ts';
import { smallContent } from './shape.ts';

/** Work per input element: one addition or comparison, plus the function applied before it. */
const reductions: readonly (readonly [name: string, operations: number])[] = [
  ['ReduceSum', 1],
  ['ReduceMean', 1],
  ['ReduceMax', 1],
  ['ReduceMin', 1],
  ['ReduceProd', 1],
  ['ReduceL1', 2],
  ['ReduceL2', 2],
  ['ReduceSumSquare', 2],
  ['ReduceLogSum', 1],
  ['ReduceLogSumExp', 3],
];

/** Axes are an attribute first (until 13 for ReduceSum, 18 for the others) and an optional input later. */
function reducedShape(context: OpContext): Shape | undefined {
  const x = context.shape(0);
  if (x === undefined) return undefined;
  const keep = intAttribute(context.node, 'keepdims', 1) !== 0;
  const axes = listParameter(context, 'axes', 1);
  if (axes === 'unknown') return keep ? unknownDims(x.length) : undefined;
  if (axes === 'missing' || axes.length === 0) {
    if (intAttribute(context.node, 'noop_with_empty_axes', 0) !== 0) return x;
    return keep ? x.map(() => 1) : [];
  }
  const gone = axesOf(axes, x.length);
  if (gone === undefined) return undefined;
  return keep ? x.map((dim, axis) => (gone.has(axis) ? 1 : dim)) : x.filter((_, axis) => !gone.has(axis));
}

const folds: Readonly<Record<string, (values: readonly number[]) => number>> = {
  ReduceProd: (values) => values.reduce((product, value) => product * value, 1),
  ReduceSum: (values) => values.reduce((sum, value) => sum + value, 0),
  ReduceMax: (values) => Math.max(...values),
  ReduceMin: (values) => Math.min(...values),
};

function inferReduce(context: OpContext): readonly Known[] {
  const shape = reducedShape(context);
  const fold = folds[context.node.op];
  const whole = context.shape(0)?.length === 1 && shape?.every((dim) => dim === 1);
  const values = whole && smallContent(context, 0) !== undefined ? numbersOf(context.input(0)) : undefined;
  const content =
    fold !== undefined && values !== undefined && values.length > 0 ? [fold(values)] : undefined;
  return [known(dtypeAt(context, 0), shape, content)];
}

function inferArg(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const axis = x && axisOf(intAttribute(context.node, 'axis', 0), x.length);
  if (x === undefined || axis === undefined) return [known('int64', undefined)];
  const keep = intAttribute(context.node, 'keepdims', 1) !== 0;
  return [known('int64', keep ? replaceDim(x, axis, 1) : x.filter((_, index) => index !== axis))];
}

/** `k` is an attribute before version 10 and an input since. */
function inferTopK(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const dtype = dtypeAt(context, 0);
  const axis = x && axisOf(intAttribute(context.node, 'axis', -1), x.length);
  const k = context.version < 10 ? intAttribute(context.node, 'k', 0) : scalarOf(context.input(1));
  const given = context.input(1).content?.[0];
  const shape = x && axis !== undefined ? replaceDim(x, axis, k ?? given ?? null) : undefined;
  return [known(dtype, shape), known('int64', shape)];
}

/** Classes and weights give the loss; `reduction: none` keeps one per sample. */
function inferLoss(context: OpContext): readonly Known[] {
  const keeps = context.node.attributes.get('reduction');
  const none = keeps?.kind === 'string' && String.fromCharCode(...keeps.value) === 'none';
  const dtype = dtypeAt(context, 0);
  return [known(dtype, none ? context.shape(1) : []), known(dtype, context.shape(0))];
}

function inferCumulative(context: OpContext): readonly Known[] {
  const shape = context.shape(0);
  const values = shape?.length === 1 && smallContent(context, 0) ? numbersOf(context.input(0)) : undefined;
  const plain =
    intAttribute(context.node, 'exclusive', 0) === 0 && intAttribute(context.node, 'reverse', 0) === 0;
  if (values === undefined || !plain || context.node.op !== 'CumSum') return sameAsFirst(context);
  let sum = 0;
  return [
    known(
      dtypeAt(context, 0),
      shape,
      values.map((value) => (sum += value)),
    ),
  ];
}

export const reductionOperators: readonly Operator[] = [
  ...reductions.map(([name, operations]) =>
    onnx(name, 'reduction', inferReduce, { cost: perInput(operations) }),
  ),
  onnx('ArgMax', 'reduction', inferArg, { cost: perInput(1) }),
  onnx('ArgMin', 'reduction', inferArg, { cost: perInput(1) }),
  onnx('TopK', 'reduction', inferTopK, { cost: perInput(1, 'comparisons, at least') }),
  onnx('CumSum', 'reduction', inferCumulative, { cost: perInput(1) }),
  onnx('CumProd', 'reduction', inferCumulative, { cost: perInput(1) }),
  onnx('SoftmaxCrossEntropyLoss', 'reduction', inferLoss, { cost: perInput(6) }),
  onnx('NegativeLogLikelihoodLoss', 'reduction', inferLoss, { cost: perInput(1) }),
];
