import { intAttribute, intsAttribute } from '../../ir/attribute.ts';
import type { DType } from '../../ir/dtype.ts';
import { isFloat } from '../../ir/dtype.ts';
import { dtypeOf } from '../../ir/onnxDataTypes.ts';
import type { Dim, Shape } from '../../ir/types.ts';
import { elementCount, isStatic } from '../../ir/types.ts';
import { permute } from '../content.ts';
import { axisOf, productOf, quotientOf } from '../dims.ts';
import { fitsContent, known, unknownShape } from '../known.ts';
import type { Known, OpContext, Operator } from '../operator.ts';
import { axesOf, dtypeAt, listParameter, onnx, sameAsFirst } from './kit.ts';

/** The element type an integer attribute names; `fallback` when it is absent or out of range. */
export function dtypeAttribute(context: OpContext, name: string, fallback?: DType): DType | undefined {
  const number = intAttribute(context.node, name, 0);
  return number === 0 ? fallback : (dtypeOf(number) ?? fallback);
}

/** The content of an input that is worth carrying along: never that of a large constant. */
export function smallContent(context: OpContext, index: number): readonly Dim[] | undefined {
  const dtype = dtypeAt(context, index);
  if (dtype === undefined || !fitsContent(dtype, elementCount(context.shape(index)))) return undefined;
  return context.input(index).content;
}

/** Same elements, other shape. */
function reshaped(context: OpContext, shape: Shape | undefined): readonly Known[] {
  return [known(dtypeAt(context, 0), shape, smallContent(context, 0))];
}

/** Target `0` copies the input's dimension (unless allowzero), one `-1` takes what is left. */
function reshapeTo(input: Shape | undefined, target: readonly Dim[], allowZero: boolean): Shape {
  const shape = target.map((dim, axis) => (dim === 0 && !allowZero ? (input?.[axis] ?? null) : dim));
  const free = shape.indexOf(-1);
  if (free < 0) return inferMissing(input, shape);
  const others = shape.filter((_, axis) => axis !== free);
  const rest = input === undefined ? null : quotientOf(input, others);
  return shape.map((dim, axis) => (axis === free ? rest : dim));
}

/** A single unknown dimension follows from the number of elements. */
function inferMissing(input: Shape | undefined, shape: Shape): Shape {
  const unknown = shape.flatMap((dim, axis) => (dim === null ? [axis] : []));
  if (unknown.length !== 1 || input === undefined) return shape;
  const rest = quotientOf(
    input,
    shape.filter((dim) => dim !== null),
  );
  return shape.map((dim) => dim ?? rest);
}

/** The target shape is an attribute before version 5. */
function inferReshape(context: OpContext): readonly Known[] {
  const target = intsAttribute(context.node, 'shape') ?? context.input(1).content;
  const input = context.shape(0);
  if (target === undefined) {
    const rank = context.shape(1)?.[0];
    return reshaped(context, unknownShape(rank));
  }
  return reshaped(context, reshapeTo(input, target, intAttribute(context.node, 'allowzero', 0) !== 0));
}

function inferFlatten(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  if (x === undefined) return reshaped(context, [null, null]);
  const given = intAttribute(context.node, 'axis', 1);
  const axis = given < 0 ? given + x.length : given;
  return reshaped(context, [productOf(x.slice(0, axis)), productOf(x.slice(axis))]);
}

/** Axes are an attribute before version 13 and an optional input since. */
function inferSqueeze(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const axes = listParameter(context, 'axes', 1);
  if (x === undefined || axes === 'unknown') return reshaped(context, undefined);
  if (axes === 'missing') {
    return reshaped(
      context,
      x.every((dim) => typeof dim === 'number') ? x.filter((dim) => dim !== 1) : undefined,
    );
  }
  const gone = axesOf(axes, x.length);
  return reshaped(context, gone && x.filter((_, axis) => !gone.has(axis)));
}

function inferUnsqueeze(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const axes = listParameter(context, 'axes', 1);
  if (x === undefined || typeof axes === 'string') return reshaped(context, undefined);
  const added = axesOf(axes, x.length + axes.length);
  if (added === undefined) return reshaped(context, undefined);
  let next = 0;
  const shape = Array.from({ length: x.length + added.size }, (_, axis) =>
    added.has(axis) ? 1 : (x[next++] ?? null),
  );
  return reshaped(context, shape);
}

/** `start` and `end` cut the shape since version 15. */
function inferShape(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  if (x === undefined) return [known('int64', [null])];
  const clamp = (value: number) => Math.min(x.length, Math.max(0, value < 0 ? value + x.length : value));
  const start = clamp(intAttribute(context.node, 'start', 0));
  const end = clamp(intAttribute(context.node, 'end', x.length));
  const content = x.slice(start, Math.max(start, end));
  return [known('int64', [content.length], content)];
}

function inferSize(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  return [known('int64', [], x && [productOf(x)])];
}

/** Casting to an integer truncates; to bool tells zero from the rest. */
function castContent(content: readonly Dim[] | undefined, to: DType): readonly Dim[] | undefined {
  if (content === undefined || !fitsContent(to, content.length)) return undefined;
  return content.map((value) => {
    if (typeof value !== 'number') return to === 'bool' ? null : value;
    if (to === 'bool') return value === 0 ? 0 : 1;
    return isFloat(to) ? value : Math.trunc(value);
  });
}

function inferCast(context: OpContext): readonly Known[] {
  const to = dtypeAttribute(context, 'to');
  return [known(to, context.shape(0), to && castContent(smallContent(context, 0), to))];
}

function inferCastLike(context: OpContext): readonly Known[] {
  const to = dtypeAt(context, 1);
  return [known(to, context.shape(0), to && castContent(smallContent(context, 0), to))];
}

/** Everything that is known of the input, sequences and constants included. */
function inferIdentity(context: OpContext): readonly Known[] {
  return [context.input(0)];
}

/** The mask is boolean since version 10 and has the data's type before. */
function inferDropout(context: OpContext): readonly Known[] {
  const [out = {}] = sameAsFirst(context);
  const mask = known(context.version >= 10 ? 'bool' : dtypeAt(context, 0), context.shape(0));
  return [out, mask];
}

function inferTranspose(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  if (x === undefined) return [known(dtypeAt(context, 0), undefined)];
  const order = intsAttribute(context.node, 'perm') ?? x.map((_, axis) => x.length - 1 - axis);
  const axes = order.map((axis) => axisOf(axis, x.length));
  const shape = axes.map((axis) => (axis === undefined ? null : (x[axis] ?? null)));
  const content = isStatic(x) && !axes.includes(undefined) ? smallContent(context, 0) : undefined;
  const moved = content && permute(content, x as readonly number[], axes as readonly number[]);
  return [known(dtypeAt(context, 0), shape, moved)];
}

const view = { view: true } as const;

export const shapeOperators: readonly Operator[] = [
  onnx('Reshape', 'shape', inferReshape, view),
  onnx('Flatten', 'shape', inferFlatten, view),
  onnx('Squeeze', 'shape', inferSqueeze, view),
  onnx('Unsqueeze', 'shape', inferUnsqueeze, view),
  onnx('Shape', 'shape', inferShape),
  onnx('Size', 'shape', inferSize),
  onnx('Identity', 'shape', inferIdentity, view),
  onnx('Dropout', 'shape', inferDropout, { ...view, settings: [1, 2] }),
  onnx('Cast', 'movement', inferCast),
  onnx('CastLike', 'movement', inferCastLike, { settings: [1] }),
  onnx('BitCast', 'shape', inferCast, view),
  onnx('Transpose', 'movement', inferTranspose),
];
