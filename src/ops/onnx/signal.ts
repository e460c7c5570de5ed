import { intAttribute, intsAttribute, stringAttribute } from '../../ir/attribute.ts';
import type { Dim } from '../../ir/types.ts';
import { elementCount } from '../../ir/types.ts';
import { axisOf, combine } from '../dims.ts';
import { known, scalarOf } from '../known.ts';
import type { CostContext, Known, OpContext, OpCost, Operator } from '../operator.ts';
import { dtypeAt, has, onnx, outputCount, perOutput, replaceDim, unknownCost, outputsText } from './kit.ts';
import { dtypeAttribute } from './shape.ts';

/** Bins that are kept: all, or the first half and one when the spectrum is symmetric. */
function bins(length: Dim, onesided: boolean): Dim {
  return onesided ? combine(combine(length, '/', 2), '+', 1) : length;
}

/** Complex results have two values in the last axis. The axis is an input since version 20. */
function inferDft(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const dtype = dtypeAt(context, 0);
  const given =
    context.version >= 20
      ? has(context.node, 2)
        ? scalarOf(context.input(2))
        : -2
      : intAttribute(context.node, 'axis', 1);
  const axis = x && given !== undefined ? axisOf(given, x.length) : undefined;
  if (x === undefined || axis === undefined) return [known(dtype, undefined)];
  const one = intAttribute(context.node, 'onesided', 0) !== 0;
  const inverse = intAttribute(context.node, 'inverse', 0) !== 0;
  const own = x[axis] ?? null;
  // Half a spectrum stands for a signal of even length unless the length is given.
  const whole = one && inverse ? combine(combine(own, '-', 1), '*', 2) : own;
  const length = has(context.node, 1) ? (scalarOf(context.input(1)) ?? null) : whole;
  const shape = replaceDim(
    replaceDim(x, axis, bins(length, one && !inverse)),
    x.length - 1,
    one && inverse ? 1 : 2,
  );
  return [known(dtype, shape)];
}

/** signal [N, L, 1 or 2], frame step, window, frame length: [N, frames, bins, 2]. */
function inferStft(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const step = scalarOf(context.input(1));
  const length = frameLength(context) ?? null;
  const one = intAttribute(context.node, 'onesided', 1) !== 0;
  const frames =
    step === undefined ? null : combine(combine(combine(x?.[1] ?? null, '-', length), '/', step), '+', 1);
  return [known(dtypeAt(context, 0), x && [x[0] ?? null, frames, bins(length, one), 2])];
}

/** Samples per frame: given, else the window's. */
function frameLength(context: OpContext): Dim | undefined {
  return has(context.node, 3) ? scalarOf(context.input(3)) : context.shape(2)?.[0];
}

/** 5·n·log2(n) per transform, the usual count for a fast Fourier transform. */
function fourierCost(lengthOf: (context: CostContext) => Dim | undefined): (context: CostContext) => OpCost {
  return (context) => {
    const outputs = outputCount(context);
    const length = lengthOf(context);
    if (outputs === undefined || typeof length !== 'number') return unknownCost;
    const each = 2.5 * Math.log2(Math.max(2, length));
    return {
      macs: 0,
      otherOps: Math.round(outputs * each),
      formula: `${outputsText(context)} × 2.5·log2(${length})`,
    };
  };
}

const inferWindow = (context: OpContext): readonly Known[] => [
  known(dtypeAttribute(context, 'output_datatype', 'float32'), [context.input(0).content?.[0] ?? null]),
];

/** Filter bank [DFT bins, mel bins]. */
function inferMel(context: OpContext): readonly Known[] {
  const mel = context.input(0).content?.[0] ?? null;
  const length = context.input(1).content?.[0] ?? null;
  return [known(dtypeAttribute(context, 'output_datatype', 'float32'), [bins(length, true), mel])];
}

/** The determinant of n×n matrices by elimination: 2/3·n³ operations each. */
function determinantCost(context: CostContext): OpCost {
  const size = context.shape(0)?.at(-1);
  const matrices = elementCount(context.shape(0)?.slice(0, -2));
  if (typeof size !== 'number' || matrices === undefined) return unknownCost;
  const each = Math.round((2 * size ** 3) / 3);
  return { macs: 0, otherOps: matrices * each, formula: `${matrices} matrices × 2/3·${size}³` };
}

/** The output has one place per n-gram index that occurs. */
function inferTfIdf(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const places = intsAttribute(context.node, 'ngram_indexes');
  const width = places === undefined ? null : places.reduce((most, place) => Math.max(most, place + 1), 0);
  return [known('float32', x && [...x.slice(0, -1), width])];
}

/** Pieces padded to the longest split, and how many there are in each. */
function inferStringSplit(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  return [known('string', x && [...x, null]), known('int64', x)];
}

/** Stop words are dropped from [C] or [1, C]; without any, every string stays. */
function inferNormalizer(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const stop = context.node.attributes.get('stopwords');
  const drops = stop?.kind === 'strings' && stop.value.length > 0;
  return [known('string', drops ? x && [...x.slice(0, -1), null] : x)];
}

/** An encoded image's size stands in its bytes; grey images have one channel. */
function inferImageDecoder(context: OpContext): readonly Known[] {
  const grey = stringAttribute(context.node, 'pixel_format', 'RGB') === 'Grayscale';
  return [known('uint8', [null, null, grey ? 1 : 3])];
}

/** Text operators: shapes follow, the work depends on the strings. */
const textCost = (): OpCost => ({
  macs: 0,
  otherOps: undefined,
  formula: 'unknown: the work depends on the text',
});

export const signalOperators: readonly Operator[] = [
  onnx('DFT', 'other', inferDft, { cost: fourierCost((context) => context.shape(0)?.at(-2)) }),
  onnx('STFT', 'other', inferStft, { cost: fourierCost(frameLength) }),
  ...['HannWindow', 'HammingWindow', 'BlackmanWindow'].map((name) =>
    onnx(name, 'constant', inferWindow, { cost: perOutput(4) }),
  ),
  onnx('MelWeightMatrix', 'constant', inferMel, { cost: perOutput(2) }),
  onnx('Det', 'other', (context) => [known(dtypeAt(context, 0), context.shape(0)?.slice(0, -2))], {
    cost: determinantCost,
  }),
  onnx('TfIdfVectorizer', 'other', inferTfIdf, { cost: textCost }),
  onnx('StringSplit', 'other', inferStringSplit, { cost: textCost }),
  onnx('ImageDecoder', 'other', inferImageDecoder, {
    cost: () => ({ macs: 0, otherOps: undefined, formula: 'unknown: the work depends on the image' }),
  }),
  onnx('StringNormalizer', 'other', inferNormalizer, { cost: textCost }),
  onnx('StringConcat', 'other', (context) => [known('string', context.shape(0))], { cost: textCost }),
  onnx('RegexFullMatch', 'other', (context) => [known('bool', context.shape(0))], { cost: textCost }),
];
