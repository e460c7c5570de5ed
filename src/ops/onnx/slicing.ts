import { intAttribute, intsAttribute } from '../../ir/attribute.ts';
import type { Dim, Shape } from '../../ir/types.ts';
import { isStatic } from '../../ir/types.ts';
import { takeAlong } from '../content.ts';
import { axisOf, combine } from '../dims.ts';
import { known } from '../known.ts';
import type { Known, OpContext, Operator } from '../operator.ts';
import { dtypeAt, has, listParameter, onnx, replaceDim, unknownDims } from './kit.ts';
import { smallContent } from './shape.ts';

/** Sizes: an attribute before version 13, an input since; otherwise equal parts, the last one smaller. */
function inferSplit(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const dtype = dtypeAt(context, 0);
  const outputs = context.node.outputs.length;
  const axis = x && axisOf(intAttribute(context.node, 'axis', 0), x.length);
  if (x === undefined || axis === undefined)
    return Array.from({ length: outputs }, () => known(dtype, undefined));
  const sizes = splitSizes(context, x[axis] ?? null, outputs);
  const content = isStatic(x) ? smallContent(context, 0) : undefined;
  let start = 0;
  return Array.from({ length: outputs }, (_, index) => {
    const size = sizes[index] ?? null;
    const part =
      typeof size === 'number' ? cut(content, x, axis, { start, end: start + size, step: 1 }) : undefined;
    start += typeof size === 'number' ? size : 0;
    return known(dtype, replaceDim(x, axis, size), part);
  });
}

function splitSizes(context: OpContext, size: Dim, outputs: number): readonly Dim[] {
  const given = listParameter(context, 'split', 1);
  if (given === 'unknown') return [];
  if (given !== 'missing') return given;
  const parts = intAttribute(context.node, 'num_outputs', outputs);
  if (typeof size !== 'number') return Array.from({ length: outputs }, () => combine(size, '/', parts));
  const each = Math.ceil(size / parts);
  return Array.from({ length: outputs }, (_, index) => Math.max(0, Math.min(each, size - index * each)));
}

interface SliceRange {
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

/** Starts, ends, axes and steps are attributes before version 10 and inputs since. */
function inferSlice(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const dtype = dtypeAt(context, 0);
  if (x === undefined) return [known(dtype, undefined)];
  const starts = sliceList(context, 'starts', 1);
  const ends = sliceList(context, 'ends', 2);
  const axes = sliceAxes(context, starts?.length, x.length);
  if (axes === undefined) return [known(dtype, unknownDims(x.length))];
  const steps = has(context.node, 4) ? context.input(4).content : undefined;
  let shape: Shape = x;
  let content = isStatic(x) ? smallContent(context, 0) : undefined;
  axes.forEach((axis, at) => {
    const step = steps === undefined ? (has(context.node, 4) ? null : 1) : (steps[at] ?? null);
    const range = sliceRange(x[axis] ?? null, starts?.[at] ?? null, ends?.[at] ?? null, step);
    const dim =
      range === undefined ? symbolicSlice(x[axis] ?? null, starts?.[at], ends?.[at], step) : lengthOf(range);
    content = range && cut(content, shape, axis, range);
    shape = replaceDim(shape, axis, dim);
  });
  return [known(dtype, shape, content)];
}

function sliceList(context: OpContext, name: string, index: number): readonly Dim[] | undefined {
  return intsAttribute(context.node, name) ?? context.input(index).content;
}

function sliceAxes(
  context: OpContext,
  count: number | undefined,
  rank: number,
): readonly number[] | undefined {
  const given = listParameter(context, 'axes', 3);
  if (given === 'unknown') return undefined;
  if (given !== 'missing') {
    const axes = given.map((axis) => axisOf(axis, rank));
    return axes.every((axis) => axis !== undefined) ? (axes as readonly number[]) : undefined;
  }
  return count === undefined ? undefined : Array.from({ length: Math.min(count, rank) }, (_, axis) => axis);
}

function sliceRange(size: Dim, start: Dim, end: Dim, step: Dim): SliceRange | undefined {
  if (typeof size !== 'number' || typeof start !== 'number' || typeof end !== 'number') return undefined;
  if (typeof step !== 'number' || step === 0) return undefined;
  const low = step < 0 ? -1 : 0;
  const high = step < 0 ? size - 1 : size;
  const clamp = (value: number) => Math.min(high, Math.max(low, value < 0 ? value + size : value));
  return { start: Math.min(size - (step < 0 ? 1 : 0), Math.max(0, clamp(start))), end: clamp(end), step };
}

function lengthOf({ start, end, step }: SliceRange): number {
  return Math.max(0, Math.ceil((end - start) / step));
}

/** Content along a range of one axis; `undefined` where the range (of a damaged Split) leaves the axis. */
function cut(
  content: readonly Dim[] | undefined,
  shape: Shape,
  axis: number,
  range: SliceRange,
): readonly Dim[] | undefined {
  if (content === undefined || !isStatic(shape)) return undefined;
  if (content.length === 0) return content;
  const length = lengthOf(range);
  if (length > (shape[axis] ?? 0)) return undefined;
  const picks = Array.from({ length }, (_, index) => range.start + index * range.step);
  return takeAlong(content, shape, axis, picks);
}

/** Slices of symbolic sizes that can still be named: all of it, all but the first or last few, the first few. */
function symbolicSlice(size: Dim, start: Dim | undefined, end: Dim | undefined, step: Dim): Dim {
  if (step !== 1 || typeof start !== 'number' || end === undefined || end === null) return null;
  if (typeof end === 'string') return start === 0 && typeof size === 'string' && size === end ? size : null;
  const toTheEnd = end >= 2 ** 31 - 1;
  if (toTheEnd && start >= 0) return combine(size, '-', start);
  if (toTheEnd) return null;
  if (end < 0 && start >= 0) return combine(size, '-', start - end);
  return null;
}

export const slicingOperators: readonly Operator[] = [
  onnx('Split', 'movement', inferSplit),
  onnx('Slice', 'movement', inferSlice),
];
