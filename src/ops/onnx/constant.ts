import type { Attribute, Node } from '../../ir/model.ts';
import { intsAttribute } from '../../ir/attribute.ts';
import type { DType } from '../../ir/dtype.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { Dim, Shape } from '../../ir/types.ts';
import { elementCount, tensorType } from '../../ir/types.ts';
import { broadcast } from '../dims.ts';
import { fitsContent, known, knownConstant, scalarOf, unknownShape } from '../known.ts';
import type { Known, OpContext, Operator } from '../operator.ts';
import { contribDomain, dtypeAt, onnx, replaceDim } from './kit.ts';
import { dtypeAttribute } from './shape.ts';

/** The tensor a Constant node stores as such; its scalar and list forms have none. */
export function storedTensor(node: Node): Tensor | undefined {
  const value = node.attributes.get('value');
  return value?.kind === 'tensor' ? value.value : undefined;
}

const listTypes: Readonly<Record<string, DType>> = {
  value_float: 'float32',
  value_floats: 'float32',
  value_int: 'int64',
  value_ints: 'int64',
  value_string: 'string',
  value_strings: 'string',
};

function inferConstant(context: OpContext): readonly Known[] {
  const tensor = storedTensor(context.node);
  if (tensor !== undefined) return [knownConstant(tensor)];
  for (const [name, dtype] of Object.entries(listTypes)) {
    const attribute = context.node.attributes.get(name);
    if (attribute !== undefined) return [fromAttribute(attribute, dtype)];
  }
  return [{}];
}

function fromAttribute(attribute: Attribute, dtype: DType): Known {
  switch (attribute.kind) {
    case 'int':
      return known(dtype, [], [Number(attribute.value)]);
    case 'float':
      return known(dtype, [], [attribute.value]);
    case 'string':
      return known(dtype, []);
    case 'ints': {
      const content = attribute.value.map(Number);
      return known(dtype, [content.length], content);
    }
    case 'floats':
      return known(dtype, [attribute.value.length], attribute.value);
    case 'strings':
      return known(dtype, [attribute.value.length]);
    default:
      return {};
  }
}

/** A shape given as a tensor: its content, or as many unknown dimensions as it has elements. */
function shapeFrom(context: OpContext, index: number): Shape | undefined {
  const content = context.input(index).content;
  if (content !== undefined) return content;
  return unknownShape(context.shape(index)?.[0]);
}

/** Fills with 0 (float) unless an attribute holds another value. */
function inferConstantOfShape(context: OpContext): readonly Known[] {
  const stored = storedTensor(context.node);
  const value = stored && knownConstant(stored);
  const dtype = stored?.dtype ?? 'float32';
  const shape = shapeFrom(context, 0);
  const count = elementCount(shape);
  const fill: Dim = value === undefined ? 0 : (value.content?.[0] ?? null);
  const content =
    count !== undefined && fitsContent(dtype, count) ? Array.from({ length: count }, () => fill) : undefined;
  return [known(dtype, shape, content)];
}

function inferRange(context: OpContext): readonly Known[] {
  const dtype = dtypeAt(context, 0);
  const [start, limit, delta] = [0, 1, 2].map((index) => scalarOf(context.input(index)));
  if (dtype === undefined || start === undefined || limit === undefined || !delta) {
    return [known(dtype, [symbolicLength(context)])];
  }
  const count = Math.max(0, Math.ceil((limit - start) / delta));
  const content = fitsContent(dtype, count)
    ? Array.from({ length: count }, (_, index) => start + index * delta)
    : undefined;
  return [known(dtype, [count], content)];
}

/** `Range(0, n, 1)` has n elements even when n is a symbol. */
function symbolicLength(context: OpContext): Dim {
  const counts = scalarOf(context.input(0)) === 0 && scalarOf(context.input(2)) === 1;
  return counts ? (context.input(1).content?.[0] ?? null) : null;
}

function inferExpand(context: OpContext): readonly Known[] {
  const dtype = dtypeAt(context, 0);
  const x = context.shape(0);
  const target = shapeFrom(context, 1);
  if (x === undefined || target === undefined) return [known(dtype, undefined)];
  const shape = broadcast([x, target]);
  const count = elementCount(shape);
  const only = elementCount(x) === 1 ? context.input(0).content?.[0] : undefined;
  const content =
    only !== undefined && dtype !== undefined && count !== undefined && fitsContent(dtype, count)
      ? Array.from({ length: count }, () => only)
      : undefined;
  return [known(dtype, shape, content)];
}

const randomFromShape = (context: OpContext): readonly Known[] => [
  known(dtypeAttribute(context, 'dtype', 'float32'), intsAttribute(context.node, 'shape')),
];

const likeFirst = (context: OpContext): readonly Known[] => [
  known(dtypeAttribute(context, 'dtype', dtypeAt(context, 0)), context.shape(0)),
];

function inferMultinomial(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const size = context.node.attributes.get('sample_size');
  const samples = size?.kind === 'int' ? Number(size.value) : 1;
  return [known(dtypeAttribute(context, 'dtype', 'int32'), x && replaceDim(x, 1, samples))];
}

/** Optional: an empty optional of the attribute's type, or one that holds the input. */
function inferOptional(context: OpContext): readonly Known[] {
  const declared = context.node.attributes.get('type');
  const element = declared?.kind === 'type' ? declared.value : context.input(0).type;
  return element === undefined ? [{}] : [{ type: { kind: 'optional', element } }];
}

function inferOptionalElement(context: OpContext): readonly Known[] {
  const { type } = context.input(0);
  return [type?.kind === 'optional' ? { type: type.element } : context.input(0)];
}

export const constantOperators: readonly Operator[] = [
  onnx('Constant', 'constant', inferConstant),
  onnx('ConstantOfShape', 'constant', inferConstantOfShape),
  onnx('Range', 'constant', inferRange),
  onnx('Range', 'constant', inferRange, { domain: contribDomain }),
  onnx('EyeLike', 'constant', likeFirst),
  onnx('RandomNormal', 'constant', randomFromShape),
  onnx('RandomUniform', 'constant', randomFromShape),
  onnx('RandomNormalLike', 'constant', likeFirst),
  onnx('RandomUniformLike', 'constant', likeFirst),
  onnx('Bernoulli', 'constant', likeFirst),
  onnx('Multinomial', 'constant', inferMultinomial),
  onnx('Expand', 'movement', inferExpand),
  onnx('Optional', 'control', inferOptional, { view: true }),
  onnx('OptionalGetElement', 'control', inferOptionalElement, { view: true }),
  onnx('OptionalHasElement', 'control', () => [{ type: tensorType('bool', []) }]),
];
