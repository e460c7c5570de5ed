import { intAttribute } from '../../ir/attribute.ts';
import type { Dim, Shape, ValueType } from '../../ir/types.ts';
import { axisOf, sumOf } from '../dims.ts';
import { known, numbersOf, scalarOf, shapeOf, tensorTypeOf } from '../known.ts';
import type { Known, OpContext, Operator } from '../operator.ts';
import { dtypeAt, has, onnx, replaceDim } from './kit.ts';
import { dtypeAttribute } from './shape.ts';

/** Longest sequence whose elements are followed one by one. */
const mostElements = 256;

function sequenceOf(element: ValueType | undefined): readonly Known[] {
  return [element === undefined ? {} : { type: { kind: 'sequence', element } }];
}

/** A sequence of these; what its elements share is its element type. */
function listed(elements: readonly Known[], fallback?: ValueType): readonly Known[] {
  const types = elements.map(tensorTypeOf);
  const shared = known(types[0]?.dtype, types.map((type) => type?.shape).reduce(joinRank, types[0]?.shape));
  const [sequence = {}] = sequenceOf(elements.length === 0 ? fallback : shared.type);
  return [elements.length > mostElements ? sequence : { ...sequence, elements }];
}

/** What two shapes share, dimension by dimension; nothing when their ranks differ. */
function joinRank(a: Shape | undefined, b: Shape | undefined): Shape | undefined {
  if (a === undefined || b === undefined || a.length !== b.length) return undefined;
  return a.map((dim, axis) => (dim === b[axis] ? dim : null));
}

function elementOf(context: OpContext): ValueType | undefined {
  const { type } = context.input(0);
  return type?.kind === 'sequence' ? type.element : undefined;
}

/** The place among `count` that an optional input says, the last by default; negative ones count from the end. */
function placeOf(context: OpContext, index: number, count: number, fallback: number): number | undefined {
  const given = has(context.node, index) ? scalarOf(context.input(index)) : fallback;
  return given === undefined ? undefined : given < 0 ? given + count : given;
}

function inferInsert(context: OpContext): readonly Known[] {
  const { elements } = context.input(0);
  const added = context.input(1);
  const place = elements && placeOf(context, 2, elements.length, elements.length);
  if (elements !== undefined && place !== undefined) {
    return listed([...elements.slice(0, place), added, ...elements.slice(place)]);
  }
  const type = elementOf(context);
  const element = type && tensorTypeOf({ type });
  const other = tensorTypeOf(added);
  return sequenceOf(known(element?.dtype ?? other?.dtype, joinRank(element?.shape, other?.shape)).type);
}

function inferErase(context: OpContext): readonly Known[] {
  const { elements } = context.input(0);
  const place = elements && placeOf(context, 1, elements.length, elements.length - 1);
  if (elements === undefined || place === undefined) return sequenceOf(elementOf(context));
  return listed(
    elements.filter((_, index) => index !== place),
    elementOf(context),
  );
}

function inferAt(context: OpContext): readonly Known[] {
  const { elements } = context.input(0);
  const place = elements && placeOf(context, 1, elements.length, 0);
  const found = place === undefined ? undefined : elements?.[place];
  const type = elementOf(context);
  return [found ?? (type === undefined ? {} : { type })];
}

/** Pieces one long without a split, of the length given when it is a scalar, else as listed. */
function inferSplitTo(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const dtype = dtypeAt(context, 0);
  const axis = x && axisOf(intAttribute(context.node, 'axis', 0), x.length);
  if (x === undefined || axis === undefined) return sequenceOf(known(dtype, undefined).type);
  const whole = has(context.node, 1);
  const drop = !whole && intAttribute(context.node, 'keepdims', 1) === 0;
  const piece = (size: Dim) =>
    known(dtype, drop ? x.filter((_, at) => at !== axis) : replaceDim(x, axis, size));
  const sizes = pieceSizes(context, x[axis] ?? null, whole);
  return sizes === undefined ? sequenceOf(piece(whole ? null : 1).type) : listed(sizes.map(piece));
}

function pieceSizes(context: OpContext, size: Dim, given: boolean): readonly number[] | undefined {
  const split = given ? numbersOf(context.input(1)) : [1];
  if (split === undefined) return undefined;
  const listedSizes = given && context.shape(1)?.length === 1;
  if (listedSizes) return split;
  const each = split[0] ?? 0;
  if (typeof size !== 'number' || !(each > 0) || size / each > mostElements) return undefined;
  return Array.from({ length: Math.ceil(size / each) }, (_, index) => Math.min(each, size - index * each));
}

/** The sum along the axis, or as many as are stacked, where the elements are known. */
function inferConcatFrom(context: OpContext): readonly Known[] {
  const { elements } = context.input(0);
  const type = elementOf(context);
  const shape = type && shapeOf({ type });
  const dtype = type?.kind === 'tensor' ? type.dtype : undefined;
  const stack = intAttribute(context.node, 'new_axis', 0) !== 0;
  const axis = shape && axisOf(intAttribute(context.node, 'axis', 0), shape.length + (stack ? 1 : 0));
  if (shape === undefined || axis === undefined) return [known(dtype, undefined)];
  if (stack) return [known(dtype, [...shape.slice(0, axis), elements?.length ?? null, ...shape.slice(axis)])];
  const size = elements === undefined ? null : sumOf(elements.map((each) => shapeOf(each)?.[axis] ?? null));
  return [known(dtype, replaceDim(shape, axis, size))];
}

function inferLength(context: OpContext): readonly Known[] {
  const { elements } = context.input(0);
  return [known('int64', [], elements && [elements.length])];
}

export const sequenceOperators: readonly Operator[] = [
  onnx('SequenceEmpty', 'control', (context) =>
    listed([], known(dtypeAttribute(context, 'dtype', 'float32'), undefined).type),
  ),
  onnx('SequenceConstruct', 'control', (context) =>
    listed(context.node.inputs.map((_, index) => context.input(index))),
  ),
  onnx('SequenceInsert', 'control', inferInsert),
  onnx('SequenceErase', 'control', inferErase),
  onnx('SequenceAt', 'control', inferAt),
  onnx('SequenceLength', 'control', inferLength),
  onnx('SplitToSequence', 'control', inferSplitTo),
  onnx('ConcatFromSequence', 'control', inferConcatFrom),
];
