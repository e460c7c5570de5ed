import { intsAttribute } from '../../ir/attribute.ts';
import type { DType } from '../../ir/dtype.ts';
import type { Node } from '../../ir/model.ts';
import type { Dim, Shape } from '../../ir/types.ts';
import { elementCount } from '../../ir/types.ts';
import { axisOf, broadcast } from '../dims.ts';
import { dtypeOf, known, numbersOf, shapeOf } from '../known.ts';
import type { CostContext, Known, OpContext, OpCost, Operator, OpFamily } from '../operator.ts';

/** An ONNX operator of the default domain, unless `domain` says otherwise. */
export function onnx(
  name: string,
  family: OpFamily,
  infer: Operator['infer'],
  more: Partial<Omit<Operator, 'dialect' | 'name' | 'family' | 'infer'>> = {},
): Operator {
  return { dialect: 'onnx', domain: '', name, family, infer, ...more };
}

export const contribDomain = 'com.microsoft';
/** Blocked-channel operators in graphs that ONNX Runtime saved after its layout optimization. */
export const nchwcDomain = 'com.microsoft.nchwc';

export function dtypeAt(context: OpContext, index: number): DType | undefined {
  return dtypeOf(context.input(index));
}

/** Whether the optional input is there. */
export function has(node: Node, index: number): boolean {
  const input = node.inputs[index];
  return input !== undefined && input !== null && input !== '';
}

/** The first input's type, unchanged. */
export function sameAsFirst(context: OpContext): readonly Known[] {
  return [known(dtypeAt(context, 0), context.shape(0))];
}

/** Shapes of these inputs, or `undefined` when one is unranked. */
export function shapesOf(context: OpContext, indexes: readonly number[]): readonly Shape[] | undefined {
  const shapes = indexes.map((index) => context.shape(index));
  return shapes.every((shape) => shape !== undefined) ? (shapes as readonly Shape[]) : undefined;
}

export function presentInputs(node: Node): readonly number[] {
  return node.inputs.flatMap((_, index) => (has(node, index) ? [index] : []));
}

/** Broadcast of all present inputs, with the first input's element type or the one given. */
export function broadcastAll(context: OpContext, dtype = dtypeAt(context, 0)): Known {
  const shapes = shapesOf(context, presentInputs(context.node));
  return known(dtype, shapes && broadcast(shapes));
}

/**
 * Axes that moved from an attribute to input `index` over the versions: whichever the node has. `missing` when neither
 * is there, `unknown` when an input is there but its content is not known.
 */
export function listParameter(
  context: OpContext,
  name: string,
  index: number,
): readonly number[] | 'missing' | 'unknown' {
  const attribute = intsAttribute(context.node, name);
  if (attribute !== undefined) return attribute;
  if (!has(context.node, index)) return 'missing';
  return numbersOf(context.input(index)) ?? 'unknown';
}

/** Non-negative axes, or `undefined` when one is outside the rank. */
export function axesOf(axes: readonly number[], rank: number): ReadonlySet<number> | undefined {
  const found = new Set<number>();
  for (const axis of axes) {
    const positive = axisOf(axis, rank);
    if (positive === undefined) return undefined;
    found.add(positive);
  }
  return found;
}

/** A shape of unknown sizes. */
export function unknownDims(rank: number): Shape {
  return Array.from({ length: rank }, () => null);
}

export function replaceDim(shape: Shape, axis: number, dim: Dim): Shape {
  return shape.map((each, index) => (index === axis ? dim : each));
}

export function outputCount(context: CostContext, index = 0): number | undefined {
  const type = context.output(index).type;
  return type?.kind === 'tensor' ? elementCount(type.shape) : undefined;
}

export function inputCount(context: OpContext, index = 0): number | undefined {
  return elementCount(context.shape(index));
}

export const unknownCost: OpCost = {
  macs: undefined,
  otherOps: undefined,
  formula: 'unknown: a shape is not known',
};

/** "1·64·112·112 outputs", for formulas. */
export function outputsText(context: CostContext): string {
  return sizesText(shapeOf(context.output(0)), 'output');
}

export function inputsText(context: OpContext): string {
  return sizesText(context.shape(0), 'input');
}

function sizesText(shape: Shape | undefined, what: string): string {
  const count = elementCount(shape);
  return count === 1 ? `1 ${what}` : `${shape?.join('·')} ${what}s`;
}

/** Work of `perElement` operations for each output element. */
export function perOutput(perElement: number, what = ''): (context: CostContext) => OpCost {
  return (context) => elementWork(outputCount(context), perElement, outputsText(context), what);
}

/** Work of `perElement` operations for each element of the first input. */
export function perInput(perElement: number, what = ''): (context: CostContext) => OpCost {
  return (context) => elementWork(inputCount(context), perElement, inputsText(context), what);
}

function elementWork(count: number | undefined, perElement: number, elements: string, what: string): OpCost {
  if (count === undefined) return unknownCost;
  const detail = what === '' ? '' : ` (${what})`;
  return { macs: 0, otherOps: count * perElement, formula: `${elements} × ${perElement}${detail}` };
}

/** Known multiply-accumulates with a formula, or unknown when a factor is. */
export function macs(count: number | undefined, formula: string, otherOps: number | undefined = 0): OpCost {
  return count === undefined || !Number.isFinite(count) ? unknownCost : { macs: count, otherOps, formula };
}
