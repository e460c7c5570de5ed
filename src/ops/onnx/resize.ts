import { intsAttribute, stringAttribute } from '../../ir/attribute.ts';
import type { Dim, Shape } from '../../ir/types.ts';
import { axisOf } from '../dims.ts';
import { known, numbersOf } from '../known.ts';
import type { CostContext, Known, OpContext, OpCost, Operator } from '../operator.ts';
import { dtypeAt, has, onnx, outputCount, replaceDim, unknownCost, unknownDims, outputsText } from './kit.ts';

/** Where the scales and sizes sit: Resize 10 has scales at 1, later versions a region of interest before them. */
function operandsOf(context: OpContext): { scales: number; sizes: number } {
  if (context.node.op === 'Upsample' || context.version < 11) return { scales: 1, sizes: -1 };
  return { scales: 2, sizes: 3 };
}

function inferResize(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const dtype = dtypeAt(context, 0);
  if (x === undefined) return [known(dtype, undefined)];
  const axes = (intsAttribute(context.node, 'axes') ?? x.map((_, axis) => axis)).map((axis) =>
    axisOf(axis, x.length),
  );
  const at = operandsOf(context);
  const sizes = at.sizes >= 0 && has(context.node, at.sizes) ? context.input(at.sizes).content : undefined;
  if (sizes !== undefined) return [known(dtype, sized(context, x, axes, sizes))];
  const scales = attributeScales(context) ?? numbersOf(context.input(at.scales));
  if (scales === undefined || scales.length !== axes.length) return [known(dtype, unknownDims(x.length))];
  return [known(dtype, scaled(x, axes, scales))];
}

/** Upsample carried its scales in an attribute before version 9. */
function attributeScales(context: OpContext): readonly number[] | undefined {
  const attribute = context.node.attributes.get('scales');
  return attribute?.kind === 'floats' ? attribute.value : undefined;
}

function scaled(x: Shape, axes: readonly (number | undefined)[], scales: readonly number[]): Shape {
  let shape: Shape = x;
  axes.forEach((axis, at) => {
    if (axis === undefined) return;
    const dim = x[axis] ?? null;
    const scale = scales[at] as number;
    const size: Dim = typeof dim === 'number' ? Math.floor(dim * scale) : scale === 1 ? dim : null;
    shape = replaceDim(shape, axis, size);
  });
  return shape;
}

/** With an aspect-ratio policy (version 18) one scale, the smallest or largest wanted, serves all axes. */
function sized(
  context: OpContext,
  x: Shape,
  axes: readonly (number | undefined)[],
  sizes: readonly Dim[],
): Shape {
  const policy = stringAttribute(context.node, 'keep_aspect_ratio_policy', 'stretch');
  const ratios = axes.map((axis, at) => {
    const [from, to] = [axis === undefined ? null : x[axis], sizes[at]];
    return typeof from === 'number' && typeof to === 'number' ? to / from : Number.NaN;
  });
  const common = policy === 'not_larger' ? Math.min(...ratios) : Math.max(...ratios);
  let shape: Shape = x;
  axes.forEach((axis, at) => {
    if (axis === undefined) return;
    const from = x[axis];
    const kept = typeof from === 'number' && !Number.isNaN(common) ? Math.round(from * common) : null;
    shape = replaceDim(shape, axis, policy === 'stretch' ? (sizes[at] ?? null) : kept);
  });
  return shape;
}

/** Operations per output: four taps in 2-D for linear, sixteen for cubic, none for nearest. */
const interpolation: Readonly<Record<string, number>> = { nearest: 0, linear: 8, bilinear: 8, cubic: 35 };

function resizeCost(context: CostContext): OpCost {
  const outputs = outputCount(context);
  const mode = stringAttribute(context.node, 'mode', 'nearest');
  const each = interpolation[mode];
  if (outputs === undefined || each === undefined) return unknownCost;
  return { macs: 0, otherOps: outputs * each, formula: `${outputsText(context)} × ${each} (${mode})` };
}

export const resizeOperators: readonly Operator[] = [
  onnx('Resize', 'movement', inferResize, { cost: resizeCost, settings: [1, 2, 3] }),
  onnx('Upsample', 'movement', inferResize, { cost: resizeCost, settings: [1] }),
];
