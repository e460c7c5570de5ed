import { intsAttribute } from '../../ir/attribute.ts';
import type { Dim, Shape } from '../../ir/types.ts';
import { broadcast, quotientOf } from '../dims.ts';
import type { Known, OpContext, Operator } from '../operator.ts';
import { axesOf, contentAt, has, numbersAt, out, shaped, tflite } from './kit.ts';

/** One dimension of -1 takes what is left. */
function reshapeTo(input: Shape | undefined, target: readonly Dim[]): Shape {
  const free = target.indexOf(-1);
  if (free < 0) return target;
  const others = target.filter((_, axis) => axis !== free);
  const rest = input === undefined ? null : quotientOf(input, others);
  return target.map((dim, axis) => (axis === free ? rest : dim));
}

/** The target is the second operand; old files have it in the options only. */
function inferReshape(context: OpContext): readonly Known[] {
  const given = has(context.node, 1) ? contentAt(context, 1) : intsAttribute(context.node, 'new_shape');
  const isScalar = given?.length === 1 && given[0] === 0;
  const target = isScalar ? [] : given;
  const shape = target && reshapeTo(context.shape(0), target);
  return [out(context, shape, 0, { content: contentAt(context, 0) })];
}

function inferSqueeze(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const given = intsAttribute(context.node, 'squeeze_dims') ?? [];
  const gone = x && axesOf(given, x.length);
  let shape: Shape | undefined;
  if (x !== undefined && gone !== undefined && gone.size > 0) shape = x.filter((_, axis) => !gone.has(axis));
  else if (x?.every((dim) => typeof dim === 'number')) shape = x.filter((dim) => dim !== 1);
  return [out(context, shape, 0, { content: contentAt(context, 0) })];
}

function inferExpandDims(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const axis = numbersAt(context, 1)?.[0];
  const content = contentAt(context, 0);
  if (x === undefined || axis === undefined) return [out(context, undefined, 0, { content })];
  const at = axis < 0 ? axis + x.length + 1 : axis;
  return [out(context, [...x.slice(0, at), 1, ...x.slice(at)], 0, { content })];
}

function inferShapeOf(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  return [out(context, x && [x.length], 0, { dtype: 'int32', content: x })];
}

function inferRank(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  return [out(context, [], 0, { dtype: 'int32', content: x && [x.length] })];
}

/** The broadcast of two shapes that are given as data. */
function inferBroadcastArgs(context: OpContext): readonly Known[] {
  const [a, b] = [contentAt(context, 0), contentAt(context, 1)];
  const content = a && b && broadcast([a, b]);
  return [out(context, content && [content.length], 0, { content })];
}

function broadcastToShape(context: OpContext): Shape | undefined {
  return contentAt(context, 1);
}

export const shapeOperators: readonly Operator[] = [
  tflite('RESHAPE', 'shape', inferReshape, { view: true, settings: [1] }),
  tflite('SQUEEZE', 'shape', inferSqueeze, { view: true }),
  tflite('EXPAND_DIMS', 'shape', inferExpandDims, { view: true, settings: [1] }),
  tflite('SHAPE', 'shape', inferShapeOf),
  tflite('RANK', 'shape', inferRank),
  tflite('BROADCAST_ARGS', 'shape', inferBroadcastArgs),
  tflite('BROADCAST_TO', 'movement', shaped(broadcastToShape), { settings: [1] }),
];
