import { intAttribute } from '../../ir/attribute.ts';
import type { ValueType } from '../../ir/types.ts';
import { axisOf } from '../dims.ts';
import { known, shapeOf, tensorTypeOf } from '../known.ts';
import type { Known, OpContext, Operator } from '../operator.ts';
import { dtypeAt, has, onnx, replaceDim, unknownDims } from './kit.ts';
import { dtypeAttribute } from './shape.ts';

function sequenceOf(element: ValueType | undefined): readonly Known[] {
  return [element === undefined ? {} : { type: { kind: 'sequence', element } }];
}

function elementOf(context: OpContext): ValueType | undefined {
  const { type } = context.input(0);
  return type?.kind === 'sequence' ? type.element : undefined;
}

/** A sequence's elements share a type; where shapes differ from the element's only the rank is kept. */
function inferInsert(context: OpContext): readonly Known[] {
  const element = tensorTypeOf({ ...(elementOf(context) && { type: elementOf(context) as ValueType }) });
  const added = tensorTypeOf(context.input(1));
  if (element?.shape === undefined || added?.shape === undefined) return sequenceOf(added ?? element);
  const rank = element.shape.length;
  const same = element.shape.every((dim, axis) => dim === added.shape?.[axis]);
  const joined = known(
    element.dtype,
    rank === added.shape.length ? (same ? element.shape : unknownDims(rank)) : undefined,
  );
  return sequenceOf(joined.type);
}

/** Split pieces: one long without keepdims, else of the length given when it is a scalar. */
function inferSplitTo(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const axis = x && axisOf(intAttribute(context.node, 'axis', 0), x.length);
  if (x === undefined || axis === undefined) return sequenceOf(known(dtypeAt(context, 0), undefined).type);
  const split = has(context.node, 1) ? context.input(1).content : [1];
  const each = split?.length === 1 ? (split[0] ?? null) : null;
  const drop = !has(context.node, 1) && intAttribute(context.node, 'keepdims', 1) === 0;
  const piece = drop ? x.filter((_, index) => index !== axis) : replaceDim(x, axis, each);
  return sequenceOf(known(dtypeAt(context, 0), piece).type);
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
    sequenceOf(known(dtypeAttribute(context, 'dtype', 'float32'), undefined).type),
  ),
  onnx('SequenceConstruct', 'control', (context) => sequenceOf(context.input(0).type)),
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
