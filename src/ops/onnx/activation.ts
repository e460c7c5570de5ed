import { known, numbersOf, scalarOf } from '../known.ts';
import type { OpContext, Operator, Known } from '../operator.ts';
import { contribDomain, dtypeAt, onnx, perOutput, sameAsFirst } from './kit.ts';

/**
 * Operations per element: additions, multiplications, comparisons and divisions count one each, and so does one call
 * of exp, log, tanh or erf.
 */
const table: readonly (readonly [name: string, operations: number, domain?: string])[] = [
  ['LeakyRelu', 2],
  ['ThresholdedRelu', 1],
  ['Elu', 3],
  ['Celu', 4],
  ['Selu', 4],
  ['Sigmoid', 4],
  ['Tanh', 1],
  ['HardSigmoid', 4],
  ['HardSwish', 5],
  ['Swish', 5],
  ['Softplus', 3],
  ['Softsign', 3],
  ['Mish', 5],
  ['Gelu', 5],
  ['Shrink', 2],
  ['Softmax', 5],
  ['LogSoftmax', 5],
  ['Hardmax', 2],
  ['Gelu', 5, contribDomain],
  ['FastGelu', 8, contribDomain],
  ['BiasGelu', 6, contribDomain],
  ['QuickGelu', 6, contribDomain],
];

/** Lookup-table activations of quantized graphs: x, its scale and zero point, the result's. */
const quantized = ['QLinearSigmoid', 'QLinearLeakyRelu', 'QLinearSoftmax'];

/** Limits are attributes before version 11 and inputs since; content flows through for shape arithmetic. */
function inferClip(context: OpContext): readonly Known[] {
  const low = scalarOf(context.input(1)) ?? Number.NEGATIVE_INFINITY;
  return clipped(context, low, scalarOf(context.input(2)) ?? Number.POSITIVE_INFINITY);
}

function clipped(context: OpContext, low: number, high: number): readonly Known[] {
  const known0 = context.shape(0)?.length === undefined ? undefined : context.input(0);
  const content = known0 && small(known0) ? numbersOf(known0) : undefined;
  return [
    known(
      dtypeAt(context, 0),
      context.shape(0),
      content?.map((value) => Math.min(high, Math.max(low, value))),
    ),
  ];
}

/** A weight is not read for its content. */
function small(value: Known): boolean {
  return value.constant === undefined || value.constant.data.length <= 64;
}

export const activationOperators: readonly Operator[] = [
  ...table.map(([name, operations, domain = '']) =>
    onnx(name, 'activation', sameAsFirst, { domain, cost: perOutput(operations), inPlace: true }),
  ),
  ...quantized.map((name) =>
    onnx(name, 'activation', sameAsFirst, {
      domain: contribDomain,
      cost: perOutput(1, 'table look-up'),
      inPlace: true,
      settings: [1, 2, 3, 4],
    }),
  ),
  onnx('Relu', 'activation', (context) => clipped(context, 0, Number.POSITIVE_INFINITY), {
    cost: perOutput(1),
    inPlace: true,
  }),
  onnx('Clip', 'activation', inferClip, { cost: perOutput(2), inPlace: true, settings: [1, 2] }),
];
