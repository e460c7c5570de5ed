import { intAttribute, intsAttribute } from '../../ir/attribute.ts';
import type { DType } from '../../ir/dtype.ts';
import type { Dim, Shape } from '../../ir/types.ts';
import { elementCount } from '../../ir/types.ts';
import { axisOf, broadcast, combine } from '../dims.ts';
import { known, numbersOf, scalarOf } from '../known.ts';
import type { CostContext, Known, OpContext, OpCost, Operator, OpFamily } from '../operator.ts';
import {
  contribDomain,
  dtypeAt,
  onnx,
  outputCount,
  outputsText,
  perInput,
  perOutput,
  replaceDim,
  sameAsFirst,
  unknownCost,
} from './kit.ts';
import { dtypeAttribute } from './shape.ts';

/**
 * Operators of com.microsoft that ONNX Runtime's transformer and quantization tools write, and that have no relative in
 * the default domain. Shapes follow ONNX Runtime's ContribOperators documentation.
 */
const contrib = (
  name: string,
  family: OpFamily,
  infer: Operator['infer'],
  more: Partial<Omit<Operator, 'dialect' | 'name' | 'family' | 'infer'>> = {},
): Operator => onnx(name, family, infer, { domain: contribDomain, ...more });

const typed =
  (dtype: DType): Operator['infer'] =>
  (context) => [known(dtype, context.shape(0))];

/** The last axis halves: one half gates the other. */
function inferSplitGelu(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  return [known(dtypeAt(context, 0), x && [...x.slice(0, -1), combine(x.at(-1) ?? null, '/', 2)])];
}

function inferDropout(context: OpContext): readonly Known[] {
  return [...sameAsFirst(context), known('bool', context.shape(0))];
}

/** Distances between all rows of two matrices. */
function inferDistances(context: OpContext): readonly Known[] {
  return [known(dtypeAt(context, 0), [context.shape(0)?.[0] ?? null, context.shape(1)?.[0] ?? null])];
}

function distanceCost(context: CostContext): OpCost {
  const outputs = outputCount(context);
  const width = context.shape(0)?.at(-1);
  if (outputs === undefined || typeof width !== 'number') return unknownCost;
  return { macs: 0, otherOps: outputs * width * 3, formula: `${outputsText(context)} × ${width} × 3` };
}

function inferExpandDims(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const given = scalarOf(context.input(1));
  const axis = x && given !== undefined ? axisOf(given, x.length + 1) : undefined;
  const shape = axis === undefined ? undefined : x && [...x.slice(0, axis), 1, ...x.slice(axis)];
  return [known(dtypeAt(context, 0), shape)];
}

/** Transforms of the last axis; complex numbers have two elements in a further one. */
function inferRfft(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const last = x?.at(-1) ?? null;
  const bins =
    intAttribute(context.node, 'onesided', 1) === 0 ? last : combine(combine(last, '/', 2), '+', 1);
  return [known(dtypeAt(context, 0), x && [...x.slice(0, -1), bins, 2])];
}

function inferIrfft(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const bins = x?.at(-2) ?? null;
  const size =
    intAttribute(context.node, 'onesided', 1) === 0 ? bins : combine(combine(bins, '-', 1), '*', 2);
  return [known(dtypeAt(context, 0), x && [...x.slice(0, -2), size])];
}

function transformCost(context: CostContext): OpCost {
  const outputs = outputCount(context);
  const size = context.shape(0)?.at(context.node.op === 'Rfft' ? -1 : -2);
  if (outputs === undefined || typeof size !== 'number') return unknownCost;
  const each = 2.5 * Math.log2(Math.max(2, size));
  return {
    macs: 0,
    otherOps: Math.round(outputs * each),
    formula: `${outputsText(context)} × 2.5·log2(${size})`,
  };
}

/** Two thirds of n³ to eliminate and n³ for each of the n right-hand sides: 2·n³ per matrix. */
function inverseCost(context: CostContext): OpCost {
  const count = elementCount(context.shape(0));
  const size = context.shape(0)?.at(-1);
  if (count === undefined || typeof size !== 'number') return unknownCost;
  return { macs: 0, otherOps: 2 * count * size, formula: `${count} elements × 2·${size}` };
}

/** Operands and zero points alternate. */
function inferMulInteger(context: OpContext): readonly Known[] {
  const [a, b] = [context.shape(0), context.shape(2)];
  return [known('int32', a && b && broadcast([a, b]))];
}

const inferHash = (context: OpContext): readonly Known[] => [
  known(intAttribute(context.node, 'positive', 1) === 0 ? 'int32' : 'uint32', context.shape(0)),
];

/** A condition, then each operand with its scale and zero point. */
function inferWhere(context: OpContext): readonly Known[] {
  const shapes = [0, 1, 4].map((index) => context.shape(index));
  const all = shapes.every((shape) => shape !== undefined) ? (shapes as readonly Shape[]) : undefined;
  return [known(dtypeAt(context, 1), all && broadcast(all))];
}

function inferReduce(dtype?: DType): Operator['infer'] {
  return (context) => {
    const x = context.shape(0);
    const axes = intsAttribute(context.node, 'axes');
    const keep = intAttribute(context.node, 'keepdims', 1) !== 0;
    const gone = new Set(x && (axes ?? x.map((_, axis) => axis)).map((axis) => axisOf(axis, x.length)));
    const shape = x?.flatMap((dim, axis): readonly Dim[] => (gone.has(axis) ? (keep ? [1] : []) : [dim]));
    return [known(dtype ?? dtypeAt(context, 0), shape)];
  };
}

/** Signed or not, the sum has 32 bits; the operator leaves which to the declared type, so the sign is the operand's. */
const inferIntegerSum: Operator['infer'] = (context) =>
  inferReduce(dtypeAt(context, 0)?.startsWith('u') ? 'uint32' : 'int32')(context);

/** A learned bias per bucket of distance: [1, heads, queries, keys]. */
function inferRelative(context: OpContext): readonly Known[] {
  const heads = context.shape(0)?.[1] ?? null;
  const lengths = [1, 2].map((index) => context.input(index).content?.[0] ?? null);
  return [known(dtypeAt(context, 0), [1, heads, ...lengths])];
}

function inferGatedRelative(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const length = x?.[1] ?? null;
  return [
    known(
      dtypeAt(context, 0),
      x && [x[0] ?? null, intAttribute(context.node, 'num_heads', 1), length, length],
    ),
  ];
}

/** Rows of all sequences one after another; how many are left depends on the padding. */
function inferRemovePadding(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const batch = x?.[0] ?? null;
  return [
    known(dtypeAt(context, 0), x && [null, x[2] ?? null]),
    known('int32', x && [batch, x[1] ?? null]),
    known('int32', x && [combine(batch, '+', 1)]),
    known('int32', [1]),
  ];
}

function inferRestorePadding(context: OpContext): readonly Known[] {
  const [x, offsets] = [context.shape(0), context.shape(1)];
  return [known(dtypeAt(context, 0), x && offsets && [...offsets, x[1] ?? null])];
}

function inferEmbedding(context: OpContext): readonly Known[] {
  const indices = context.shape(1);
  return [known(dtypeAt(context, 0), indices && [...indices, context.shape(0)?.[1] ?? null])];
}

/** Windows of `size` elements, `step` apart, along one axis; their elements come last. */
function inferUnfold(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const axis = x && axisOf(intAttribute(context.node, 'dim', -1), x.length);
  if (x === undefined || axis === undefined) return [known(dtypeAt(context, 0), undefined)];
  const size = intAttribute(context.node, 'size', 1);
  const step = intAttribute(context.node, 'step', 1);
  const windows = combine(combine(combine(x[axis] ?? null, '-', size), '/', step), '+', 1);
  return [known(dtypeAt(context, 0), [...replaceDim(x, axis, windows), size])];
}

function inferCrop(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const size = numbersOf(context.input(3)) ?? [null, null];
  return [known(dtypeAt(context, 0), x && [context.shape(1)?.[0] ?? null, x[1] ?? null, ...size])];
}

function inferComplex(context: OpContext): readonly Known[] {
  const [a, b] = [context.shape(0), context.shape(1)];
  return [known(dtypeAt(context, 0), a && b && broadcast([a, b]))];
}

/** Token ids of every sequence that a decoding loop returns. */
function inferSearch(context: OpContext): readonly Known[] {
  const batch = context.shape(0)?.[0] ?? null;
  const longest = context.input(1).content?.[0] ?? null;
  if (context.node.op !== 'BeamSearch') return [known('int32', [batch, longest])];
  const returned = context.input(4).content?.[0] ?? null;
  return [
    known('int32', [batch, returned, longest]),
    known('float32', [batch, returned]),
    known('float32', undefined),
  ];
}

const searchCost = (): OpCost => ({
  macs: undefined,
  otherOps: undefined,
  formula: 'unknown: the number of decoding steps depends on data',
});

/** Images whose layout is NHWC; the second output is the sum that was normalized. */
const inferSkipGroup = (context: OpContext): readonly Known[] => [
  ...sameAsFirst(context),
  ...sameAsFirst(context),
];

/** The quantized form carries the scales and zero points of every table after the mask. */
function inferQEmbed(context: OpContext): readonly Known[] {
  const ids = context.shape(0);
  const width = context.shape(2)?.[1] ?? null;
  return [known('float32', ids && [...ids, width]), known('int32', ids && [ids[0] ?? null])];
}

export const contribOperators: readonly Operator[] = [
  contrib('BiasAdd', 'elementwise', sameAsFirst, { cost: perOutput(2), inPlace: true }),
  contrib('BiasSplitGelu', 'activation', inferSplitGelu, { cost: perOutput(7) }),
  contrib('BiasSoftmax', 'activation', sameAsFirst, { cost: perOutput(6), inPlace: true }),
  ...['BiasDropout', 'BitmaskDropout', 'BitmaskBiasDropout'].map((name) =>
    contrib(name, 'elementwise', inferDropout, { cost: perOutput(2) }),
  ),
  contrib('SkipGroupNorm', 'normalization', inferSkipGroup, { cost: perInput(8) }),
  contrib('QEmbedLayerNormalization', 'normalization', inferQEmbed, {
    cost: perOutput(9),
    settings: [8, 9, 10, 11, 12, 13, 14, 15, 16, 17],
  }),
  contrib('CDist', 'other', inferDistances, { cost: distanceCost }),
  contrib('ComplexMul', 'elementwise', inferComplex, { cost: perOutput(3) }),
  contrib('ComplexMulConj', 'elementwise', inferComplex, { cost: perOutput(3) }),
  contrib('CropAndResize', 'movement', inferCrop, { cost: perOutput(8) }),
  contrib(
    'DequantizeWithOrder',
    'quantization',
    (context) => [known(dtypeAttribute(context, 'to', 'float32'), context.shape(0))],
    { cost: perOutput(1), settings: [1] },
  ),
  contrib('QuantizeWithOrder', 'quantization', typed('int8'), { cost: perOutput(1), settings: [1] }),
  contrib('ExpandDims', 'shape', inferExpandDims, { view: true }),
  contrib('Inverse', 'other', sameAsFirst, { cost: inverseCost }),
  contrib('IsAllFinite', 'reduction', () => [known('bool', [])], { cost: perInput(1) }),
  contrib('Rfft', 'other', inferRfft, { cost: transformCost }),
  contrib('Irfft', 'other', inferIrfft, { cost: transformCost }),
  contrib('MulInteger', 'elementwise', inferMulInteger, { cost: perOutput(3), settings: [1, 3] }),
  contrib('MurmurHash3', 'other', inferHash, { cost: perOutput(1) }),
  contrib('NGramRepeatBlock', 'movement', (context) => [known(dtypeAt(context, 1), context.shape(1))], {
    cost: perOutput(1),
  }),
  contrib('QLinearWhere', 'elementwise', inferWhere, { cost: perOutput(1), settings: [2, 3, 5, 6, 7, 8] }),
  contrib('QLinearReduceMean', 'reduction', inferReduce(), { cost: perInput(1), settings: [1, 2, 3, 4] }),
  contrib('ReduceSumInteger', 'reduction', inferIntegerSum, { cost: perInput(1) }),
  contrib('QOrderedGelu', 'activation', sameAsFirst, { cost: perOutput(5), settings: [1, 2] }),
  contrib('QOrderedLayerNormalization', 'normalization', sameAsFirst, {
    cost: perInput(7),
    settings: [1, 4],
  }),
  contrib('RelativePositionBias', 'movement', inferRelative, {
    weights: () => [{ input: 0, kind: 'embedding', outputAxis: 1, activation: 1 }],
  }),
  contrib('GatedRelativePositionBias', 'other', inferGatedRelative, { cost: perOutput(4) }),
  contrib('RemovePadding', 'movement', inferRemovePadding),
  contrib('RestorePadding', 'movement', inferRestorePadding),
  contrib('TorchEmbedding', 'movement', inferEmbedding, {
    weights: () => [{ input: 0, kind: 'embedding', outputAxis: 1, activation: 1 }],
  }),
  contrib('UnfoldTensor', 'movement', inferUnfold),
  ...['BeamSearch', 'WhisperBeamSearch', 'GreedySearch', 'Sampling'].map((name) =>
    contrib(name, 'control', inferSearch, { cost: searchCost }),
  ),
];
