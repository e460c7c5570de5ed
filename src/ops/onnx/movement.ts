import { intAttribute, intsAttribute, stringAttribute } from '../../ir/attribute.ts';
import type { Dim, Shape } from '../../ir/types.ts';
import { elementCount, isStatic } from '../../ir/types.ts';
import { concatenate } from '../content.ts';
import { axisOf, combine, sumOf } from '../dims.ts';
import { fitsContent, known, numbersOf, scalarOf } from '../known.ts';
import type { CostContext, Known, OpContext, OpCost, Operator } from '../operator.ts';
import {
  contribDomain,
  dtypeAt,
  has,
  nchwcDomain,
  onnx,
  outputCount,
  presentInputs,
  replaceDim,
  shapesOf,
  unknownCost,
  unknownDims,
  outputsText,
} from './kit.ts';

function inferConcat(context: OpContext, inputs: readonly number[]): readonly Known[] {
  const dtype = dtypeAt(context, inputs[0] ?? 0);
  const shapes = shapesOf(context, inputs);
  const first = shapes?.[0];
  const axis = first && axisOf(intAttribute(context.node, 'axis', 1), first.length);
  if (shapes === undefined || first === undefined || axis === undefined) return [known(dtype, undefined)];
  const shape = first.map((dim, index) => {
    const along = shapes.map((each) => each[index] ?? null);
    return index === axis ? sumOf(along) : (along.find((each) => typeof each === 'number') ?? dim);
  });
  return [known(dtype, shape, joined(context, inputs, shape, axis))];
}

/** An input of known shape and unknown content leaves holes, not ignorance of its neighbours. */
function joined(
  context: OpContext,
  inputs: readonly number[],
  shape: Shape,
  axis: number,
): readonly Dim[] | undefined {
  const dtype = dtypeAt(context, inputs[0] ?? 0);
  const shapes = inputs.map((index) => context.shape(index));
  if (dtype === undefined || !shapes.every(isStatic)) return undefined;
  // Parts that do not fit together (damage) may be larger than their concatenation seems.
  if (![shape, ...shapes].every((each) => fitsContent(dtype, elementCount(each)))) return undefined;
  const parts = inputs.map(
    (index, at) => context.input(index).content ?? unknownDims(elementCount(shapes[at]) ?? 0),
  );
  return concatenate(parts, shapes, axis);
}

/** QLinearConcat: result scale and zero point, then (tensor, scale, zero point) triples. */
function qlinearInputs(context: OpContext): readonly number[] {
  return presentInputs(context.node).filter((index) => index >= 2 && (index - 2) % 3 === 0);
}

/** Padding amounts are an attribute before version 11 and an input since; axes may be given since 18. */
function inferPad(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const dtype = dtypeAt(context, 0);
  if (x === undefined) return [known(dtype, undefined)];
  const attribute = intsAttribute(context.node, 'pads') ?? intsAttribute(context.node, 'paddings');
  const pads = attribute ?? context.input(1).content;
  const axes = has(context.node, 3) ? numbersOf(context.input(3)) : x.map((_, axis) => axis);
  if (pads === undefined || axes === undefined) return [known(dtype, unknownDims(x.length))];
  let shape: Shape = x;
  axes.forEach((given, at) => {
    const axis = axisOf(given, x.length);
    if (axis === undefined) return;
    const padding = combine(pads[at] ?? null, '+', pads[at + axes.length] ?? null);
    shape = replaceDim(shape, axis, combine(x[axis] ?? null, '+', padding));
  });
  return [known(dtype, shape)];
}

/** Repeats per axis; version 1 had a count and an axis instead. */
function inferTile(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const repeats = context.input(1).content;
  if (x === undefined) return [known(dtypeAt(context, 0), undefined)];
  if (context.version < 6) {
    const axis = scalarOf(context.input(2));
    const shape = x.map((dim, at) =>
      axis === undefined ? null : at === axis ? combine(dim, '*', repeats?.[0] ?? null) : dim,
    );
    return [known(dtypeAt(context, 0), shape)];
  }
  return [
    known(
      dtypeAt(context, 0),
      x.map((dim, axis) => combine(dim, '*', repeats?.[axis] ?? null)),
    ),
  ];
}

/** Blocks of space and channels take each other's place; both are whole multiples. */
function inferBlocks(context: OpContext, toSpace: boolean): readonly Known[] {
  const x = context.shape(0);
  const block = intAttribute(context.node, 'blocksize', 1);
  if (x?.length !== 4) return [known(dtypeAt(context, 0), x)];
  const [n = null, c = null, h = null, w = null] = x;
  const [deep, wide] = toSpace ? (['/', '*'] as const) : (['*', '/'] as const);
  const shape = [n, combine(c, deep, block * block), combine(h, wide, block), combine(w, wide, block)];
  return [known(dtypeAt(context, 0), shape)];
}

function sameShape(context: OpContext): readonly Known[] {
  return [known(dtypeAt(context, 0), context.shape(0))];
}

/** Blocked channels are padded to the block; the attribute has the real number. */
function inferReorderOutput(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const channels = intAttribute(context.node, 'channels', 0);
  return [known(dtypeAt(context, 0), x && channels > 0 ? replaceDim(x, 1, channels) : x)];
}

/** Col2Im folds column blocks back into an image of the given size. */
function inferCol2Im(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const image = context.input(1).content;
  const block = context.input(2).content;
  if (x === undefined || image === undefined || block === undefined)
    return [known(dtypeAt(context, 0), undefined)];
  const taps = block.reduce<Dim>((product, dim) => combine(product, '*', dim), 1);
  return [known(dtypeAt(context, 0), [x[0] ?? null, combine(x[1] ?? null, '/', taps), ...image])];
}

/** CenterCropPad brings the named axes to the given sizes. */
function inferCropPad(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const sizes = context.input(1).content;
  if (x === undefined) return [known(dtypeAt(context, 0), undefined)];
  const axes = intsAttribute(context.node, 'axes') ?? x.map((_, axis) => axis);
  let shape: Shape = x;
  axes.forEach((given, at) => {
    const axis = axisOf(given, x.length);
    if (axis !== undefined) shape = replaceDim(shape, axis, sizes?.[at] ?? null);
  });
  return [known(dtypeAt(context, 0), shape)];
}

/** AffineGrid: theta [N, 2, 3] and a size [N, C, H, W] give coordinates [N, H, W, 2]; likewise in 3-D. */
function inferAffineGrid(context: OpContext): readonly Known[] {
  const size = context.input(1).content;
  return [known(dtypeAt(context, 0), size && [size[0] ?? null, ...size.slice(2), size.length - 2])];
}

/** The grid gives the spatial sizes; channels come from the image. */
function inferGridSample(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const grid = context.shape(1);
  return [known(dtypeAt(context, 0), x && grid && [x[0] ?? null, x[1] ?? null, ...grid.slice(1, -1)])];
}

const gridWork: Readonly<Record<string, number>> = { nearest: 0, cubic: 35, bicubic: 35 };

/** Interpolation per output, counted as for Resize. */
function gridCost(context: CostContext, mode: string): OpCost {
  const outputs = outputCount(context);
  const each = gridWork[mode] ?? 8;
  if (outputs === undefined) return unknownCost;
  return { macs: 0, otherOps: outputs * each, formula: `${outputsText(context)} × ${each} (${mode})` };
}

export const movementOperators: readonly Operator[] = [
  onnx('Concat', 'movement', (context) => inferConcat(context, presentInputs(context.node))),
  onnx('QLinearConcat', 'movement', (context) => inferConcat(context, qlinearInputs(context)), {
    domain: contribDomain,
  }),
  onnx('Pad', 'movement', inferPad, { settings: [2] }),
  onnx('Pad', 'movement', inferPad, { settings: [2], domain: contribDomain }),
  onnx('Tile', 'movement', inferTile),
  onnx('DepthToSpace', 'movement', (context) => inferBlocks(context, true)),
  onnx('SpaceToDepth', 'movement', (context) => inferBlocks(context, false)),
  onnx('ReverseSequence', 'movement', sameShape),
  onnx('Trilu', 'movement', sameShape),
  onnx('Trilu', 'movement', sameShape, { domain: contribDomain }),
  onnx('Col2Im', 'movement', inferCol2Im),
  onnx('CenterCropPad', 'movement', inferCropPad),
  onnx('AffineGrid', 'movement', inferAffineGrid),
  onnx('ReorderInput', 'movement', sameShape, { domain: nchwcDomain }),
  onnx('ReorderOutput', 'movement', inferReorderOutput, { domain: nchwcDomain }),
  ...['', contribDomain].map((domain) =>
    onnx('GridSample', 'movement', inferGridSample, {
      domain,
      cost: (context) => gridCost(context, stringAttribute(context.node, 'mode', 'linear')),
    }),
  ),
];
