import { intAttribute } from '../../ir/attribute.ts';
import type { Dim, Shape, ValueType } from '../../ir/types.ts';
import { axisOf } from '../dims.ts';
import { known, shapeOf, tensorTypeOf } from '../known.ts';
import type { Known, OpContext, Operator } from '../operator.ts';
import { dtypeAt, has, onnx, replaceDim } from './kit.ts';
import { dtypeAttribute } from './shape.ts';

function sequenceOf(element: ValueType | undefined): readonly Known[] {
  return [element === undefined ? {} : { type: { kind: 'sequence', element } }];
}

function elementOf(context: OpContext): ValueType | undefined {
  const { type } = context.input(0);
  return type?.kind === 'sequence' ? type.element : undefined;
}

/**
 * A sequence's elements share a type; where shapes differ from the element's only the rank is kept. A sequence that is
 * known to be empty (its content is) takes the type of what is put in.
 */
function inferInsert(context: OpContext): readonly Known[] {
  const type = elementOf(context);
  const element = type && tensorTypeOf({ type });
  const added = tensorTypeOf(context.input(1));
  const empty = context.input(0).content?.length === 0;
  if (empty) return sequenceOf(added ?? element);
  if (element === undefined || added === undefined) return sequenceOf(known(element?.dtype ?? added?.dtype, undefined).type);
  return sequenceOf(known(element.dtype, joinRank(element.shape, added.shape)).type);
}

/** What two shapes share, dimension by dimension; nothing when their ranks differ. */
function joinRank(a: Shape | undefined, b: Shape | undefined): Shape | undefined {
  if (a === undefined || b === undefined || a.length !== b.length) return undefined;
  return a.map((dim, axis) => (dim === b[axis] ? dim : null));
}

/** All operands are elements. */
function inferConstruct(context: OpContext): readonly Known[] {
  const types = context.node.inputs.map((_, index) => tensorTypeOf(context.input(index)));
  const shapes = types.map((type) => type?.shape);
  return sequenceOf(known(types[0]?.dtype, shapes.reduce(joinRank)).type);
}

/** Split pieces: one long without keepdims, else of the length given when it is a scalar. */
function inferSplitTo(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const axis = x && axisOf(intAttribute(context.node, 'axis', 0), x.length);
  if (x === undefined || axis === undefined) return sequenceOf(known(dtypeAt(context, 0), undefined).type);
  const split = has(context.node, 1) ? context.input(1).content : [1];
  const each = evenPiece(x[axis] ?? null, split);
  const drop = !has(context.node, 1) && intAttribute(context.node, 'keepdims', 1) === 0;
  const piece = drop ? x.filter((_, index) => index !== axis) : replaceDim(x, axis, each);
  return sequenceOf(known(dtypeAt(context, 0), piece).type);
}

/** The length of every piece: a scalar that divides the axis, or equal lengths. */
function evenPiece(size: Dim, split: readonly Dim[] | undefined): Dim {
  const first = split?.[0] ?? null;
  if (split === undefined || split.some((each) => each !== first)) return null;
  if (split.length > 1 || first === 1) return first;
  return typeof size === 'number' && typeof first === 'number' && size % first === 0 ? first : null;
}

/** How many elements are concatenated depends on the program's run. */
function inferConcatFrom(context: OpContext): readonly Known[] {
  const type = elementOf(context);
  const shape = type && shapeOf({ type });
  const dtype = type?.kind === 'tensor' ? type.dtype : undefined;
  const stack = intAttribute(context.node, 'new_axis', 0) !== 0;
  const axis = shape && axisOf(intAttribute(context.node, 'axis', 0), shape.length + (stack ? 1 : 0));
  if (shape === undefined || axis === undefined) return [known(dtype, undefined)];
  if (!stack) return [known(dtype, replaceDim(shape, axis, null))];
  return [known(dtype, [...shape.slice(0, axis), null, ...shape.slice(axis)])];
}

export const sequenceOperators: readonly Operator[] = [
  onnx('SequenceEmpty', 'control', (context) =>
    sequenceOf(known(dtypeAttribute(context, 'dtype', 'float32'), undefined).type).map((value) => ({
      ...value,
      content: [],
    })),
  ),
  onnx('SequenceConstruct', 'control', inferConstruct),
  onnx('SequenceInsert', 'control', inferInsert),
  onnx('SequenceErase', 'control', (context) => sequenceOf(elementOf(context))),
  onnx('SequenceAt', 'control', (context) => {
    const type = elementOf(context);
    return [type === undefined ? {} : { type }];
  }),
  onnx('SequenceLength', 'control', () => [known('int64', [])]),
  onnx('SplitToSequence', 'control', inferSplitTo),
  onnx('ConcatFromSequence', 'control', inferConcatFrom),
];
