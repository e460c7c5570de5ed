import { intAttribute, intsAttribute } from '../../ir/attribute.ts';
import type { Shape } from '../../ir/types.ts';
import { combine, sumOf } from '../dims.ts';
import type { CostContext, OpContext, OpCost, Operator } from '../operator.ts';
import {
  asDeclared,
  macsCost,
  numbersAt,
  out,
  outputCount,
  perInput,
  perOutput,
  presentInputs,
  replaceDim,
  sameAsFirst,
  shaped,
  tflite,
  unknownCost,
} from './kit.ts';

/**
 * StableHLO operators as LiteRT files carry them (StableHLO specification), and the few builtin operators that speak
 * its language. Operands are never broadcast there, so elementwise results look like their first operand.
 */
const unary = ['ABS', 'NEGATE', 'EXPONENTIAL', 'LOG', 'RSQRT', 'CBRT', 'FLOOR', 'COSINE', 'CONVERT'] as const;
const binary = ['AND', 'OR', 'SUBTRACT', 'DIVIDE', 'POWER', 'REMAINDER'] as const;

const list = (context: OpContext, name: string) => intsAttribute(context.node, name);

function transposed(context: OpContext): Shape | undefined {
  const x = context.shape(0);
  return x && list(context, 'permutation')?.map((axis) => x[axis] ?? null);
}

function concatenated(context: OpContext): Shape | undefined {
  const x = context.shape(0);
  const axis = intAttribute(context.node, 'dimension', 0);
  const sizes = presentInputs(context.node).map((index) => context.shape(index)?.[axis] ?? null);
  return x && replaceDim(x, axis, sumOf(sizes));
}

function sliced(context: OpContext): Shape | undefined {
  const starts = list(context, 'start_indices');
  const limits = list(context, 'limit_indices');
  const strides = list(context, 'strides');
  if (starts === undefined || limits === undefined) return undefined;
  return starts.map((start, axis) => Math.ceil(((limits[axis] ?? 0) - start) / (strides?.[axis] ?? 1)));
}

/** Dimensions of both sides that pair up as batches, then what is left of each. */
function dotShape(context: OpContext): Shape | undefined {
  const [a, b] = [context.shape(0), context.shape(1)];
  const batch = list(context, 'lhs_batching_dimensions') ?? [];
  const left = new Set([...batch, ...(list(context, 'lhs_contracting_dimensions') ?? [])]);
  const right = new Set([
    ...(list(context, 'rhs_batching_dimensions') ?? []),
    ...(list(context, 'rhs_contracting_dimensions') ?? []),
  ]);
  if (a === undefined || b === undefined) return undefined;
  return [
    ...batch.map((axis) => a[axis] ?? null),
    ...a.filter((_, axis) => !left.has(axis)),
    ...b.filter((_, axis) => !right.has(axis)),
  ];
}

function dotCost(context: CostContext): OpCost {
  const outputs = outputCount(context);
  const depth = (list(context, 'lhs_contracting_dimensions') ?? []).map((axis) => context.shape(0)?.[axis]);
  if (outputs === undefined || depth.some((dim) => typeof dim !== 'number')) return unknownCost;
  const each = (depth as number[]).reduce((product, dim) => product * dim, 1);
  return macsCost(context, outputs * each, `${outputs} outputs × ${each} products`);
}

/** Every output sums over the kernel's window and input channels. */
function convolutionCost(context: CostContext): OpCost {
  const outputs = outputCount(context);
  const kernel = context.shape(1);
  const features = intAttribute(context.node, 'kernel_output_feature_dimension', 0);
  const taps = kernel?.filter((_, axis) => axis !== features);
  if (outputs === undefined || taps === undefined || taps.some((dim) => typeof dim !== 'number'))
    return unknownCost;
  const each = (taps as number[]).reduce((product, dim) => product * dim, 1);
  return macsCost(context, outputs * each, `${outputs} outputs × ${taps.join('·')} taps`);
}

/** Window, strides and dilations are operands: the window slides without padding. */
function windowShape(context: OpContext): Shape | undefined {
  const [window, strides, dilations] = [2, 3, 4].map((index) => numbersAt(context, index));
  if (window === undefined || strides === undefined) return undefined;
  return context.shape(0)?.map((dim, axis) => {
    const extent = ((window[axis] ?? 1) - 1) * (dilations?.[axis] ?? 1) + 1;
    return combine(combine(combine(dim, '-', extent), '/', strides[axis] ?? 1), '+', 1);
  });
}

function windowCost(context: CostContext): OpCost {
  const outputs = outputCount(context);
  const window = numbersAt(context, 2) ?? list(context, 'window_dimensions');
  if (outputs === undefined || window === undefined) return unknownCost;
  const taps = window.reduce((product, size) => product * size, 1);
  return { macs: 0, otherOps: outputs * taps, formula: `${outputs} outputs × ${taps} taps` };
}

/** Hash values, one bit vector per function when dense (type 2), else one number. */
function projectionShape(context: OpContext): Shape | undefined {
  const hash = context.shape(0);
  if (hash?.length !== 2) return undefined;
  const dense = intAttribute(context.node, 'type', 0) === 2;
  return [dense ? combine(hash[0] ?? null, '*', hash[1] ?? null) : (hash[0] ?? null)];
}

const unknownWork = (what: string) => (): OpCost => ({
  macs: undefined,
  otherOps: undefined,
  formula: `unknown: ${what}`,
});

const name = (short: string) => `STABLEHLO_${short}`;

export const stablehloOperators: readonly Operator[] = [
  ...unary.map((each) =>
    tflite(name(each), 'elementwise', sameAsFirst, { cost: perOutput(1), inPlace: true }),
  ),
  ...binary.map((each) =>
    tflite(name(each), 'elementwise', sameAsFirst, { cost: perOutput(1), inPlace: true }),
  ),
  tflite(name('COMPARE'), 'elementwise', sameAsFirst, { cost: perOutput(1) }),
  tflite(
    name('CLAMP'),
    'elementwise',
    shaped((context) => context.shape(1)),
    { cost: perOutput(2) },
  ),
  tflite(
    name('SELECT'),
    'elementwise',
    shaped((context) => context.shape(1)),
    { cost: perOutput(1) },
  ),
  tflite(name('RESHAPE'), 'shape', asDeclared, { view: true }),
  tflite(name('TRANSPOSE'), 'movement', shaped(transposed)),
  tflite(name('CONCATENATE'), 'movement', shaped(concatenated)),
  tflite(name('SLICE'), 'movement', shaped(sliced)),
  tflite(
    name('DYNAMIC_SLICE'),
    'movement',
    shaped((context) => list(context, 'slice_sizes')),
  ),
  tflite(name('DYNAMIC_UPDATE_SLICE'), 'movement', sameAsFirst),
  tflite(name('BROADCAST_IN_DIM'), 'movement', asDeclared),
  tflite(name('GATHER'), 'movement', asDeclared),
  tflite(name('SCATTER'), 'movement', sameAsFirst),
  tflite(name('IOTA'), 'constant', asDeclared),
  tflite(name('SORT'), 'other', asDeclared, { cost: unknownWork('the comparisons depend on data') }),
  tflite(name('RNG_BIT_GENERATOR'), 'constant', (context) =>
    context.node.outputs.map((_, index) => out(context, index === 0 ? context.shape(0) : undefined, index)),
  ),
  tflite(name('DOT_GENERAL'), 'matmul', shaped(dotShape), { cost: dotCost }),
  tflite(name('CONVOLUTION'), 'convolution', asDeclared, { cost: convolutionCost }),
  tflite(name('REDUCE'), 'reduction', asDeclared, { cost: perInput(1) }),
  tflite(name('REDUCE_WINDOW'), 'reduction', asDeclared, { cost: windowCost }),
  tflite('REDUCE_WINDOW', 'reduction', shaped(windowShape), { cost: windowCost }),
  tflite('LSH_PROJECTION', 'other', shaped(projectionShape), {
    cost: unknownWork('the hashes depend on data'),
  }),
  tflite('SKIP_GRAM', 'other', asDeclared, { cost: unknownWork('the words depend on data') }),
];
