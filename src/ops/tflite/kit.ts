import { intAttribute } from '../../ir/attribute.ts';
import type { DType } from '../../ir/dtype.ts';
import type { Model, Node } from '../../ir/model.ts';
import type { Dim, Shape, TensorType } from '../../ir/types.ts';
import { elementCount } from '../../ir/types.ts';
import { indexOf } from '../../ir/walk.ts';
import { broadcast } from '../dims.ts';
import { dtypeOf, fitsContent, known, numbersOf } from '../known.ts';
import type { CostContext, Known, OpContext, OpCost, Operator, OpFamily } from '../operator.ts';

type Rest = Partial<Omit<Operator, 'dialect' | 'domain' | 'name' | 'family' | 'infer'>>;

/** A builtin operator of TFLite. */
export function tflite(name: string, family: OpFamily, infer: Operator['infer'], more: Rest = {}): Operator {
  return { dialect: 'tflite', domain: '', name, family, infer, ...more };
}

/** The type that the file declares for an output. */
function declared(context: OpContext, index: number): TensorType | undefined {
  const type = context.declared(index);
  return type?.kind === 'tensor' || type?.kind === 'sparse' ? type : undefined;
}

/**
 * What is known of output `index`: the shape that the rule gives, and where the rule cannot know, what the file
 * declares. The element type is the declared one; `dtype` serves outputs that have no declaration.
 */
export function out(
  context: OpContext,
  shape: Shape | undefined,
  index = 0,
  more: { dtype?: DType | undefined; content?: readonly Dim[] | undefined } = {},
): Known {
  const type = declared(context, index);
  const dtype = type?.dtype ?? more.dtype ?? dtypeOf(context.input(0));
  if (shape === undefined) return known(dtype, type?.shape, more.content);
  const known0 = type?.shape?.length === shape.length ? type.shape : undefined;
  return known(
    dtype,
    shape.map((dim, axis) => dim ?? known0?.[axis] ?? null),
    more.content,
  );
}

/** One output, shaped by `rule`. */
export function shaped(rule: (context: OpContext) => Shape | undefined): Operator['infer'] {
  return (context) => [out(context, rule(context))];
}

/** Every output as the file declares it: for operators whose result shape depends on data. */
export const asDeclared: Operator['infer'] = (context) =>
  context.node.outputs.map((_, index) => out(context, undefined, index));

/** The first input's shape. */
export const sameAsFirst = shaped((context) => context.shape(0));

/** NumPy broadcasting of all present inputs. */
export function broadcastShape(context: OpContext): Shape | undefined {
  const shapes = presentInputs(context.node).map((index) => context.shape(index));
  return shapes.every((shape) => shape !== undefined) ? broadcast(shapes) : undefined;
}

export function presentInputs(node: Node): readonly number[] {
  return node.inputs.flatMap((input, index) => (input === null ? [] : [index]));
}

/** Whether the optional input is there. */
export function has(node: Node, index: number): boolean {
  return node.inputs[index] !== undefined && node.inputs[index] !== null;
}

/** Numbers in an input that sets parameters (axes, sizes, paddings). */
export function numbersAt(context: OpContext, index: number): readonly number[] | undefined {
  return contentAt(context, index) === undefined ? undefined : numbersOf(context.input(index));
}

/** Content of a small input; that of a weight is never looked at. */
export function contentAt(context: OpContext, index: number): readonly Dim[] | undefined {
  if (!has(context.node, index)) return undefined;
  const input = context.input(index);
  const dtype = dtypeOf(input);
  if (dtype === undefined || !fitsContent(dtype, elementCount(context.shape(index)))) return undefined;
  return input.content;
}

/** Axes counted from the front, or `undefined` when one lies outside the rank. */
export function axesOf(axes: readonly number[], rank: number): ReadonlySet<number> | undefined {
  const found = axes.map((axis) => (axis < 0 ? axis + rank : axis));
  return found.every((axis) => axis >= 0 && axis < rank) ? new Set(found) : undefined;
}

export function replaceDim(shape: Shape, axis: number, dim: Dim): Shape {
  return shape.map((each, index) => (index === axis ? dim : each));
}

export function unknownDims(rank: number): Shape {
  return Array.from({ length: rank }, () => null);
}

export function outputShape(context: CostContext, index = 0): Shape | undefined {
  const { type } = context.output(index);
  return type?.kind === 'tensor' || type?.kind === 'sparse' ? type.shape : undefined;
}

export const outputCount = (context: CostContext, index = 0) => elementCount(outputShape(context, index));
export const inputCount = (context: OpContext, index = 0) => elementCount(context.shape(index));

export const unknownCost: OpCost = {
  macs: undefined,
  otherOps: undefined,
  formula: 'unknown: a shape is not known',
};

/** Operations per output element of a fused activation, by its number in the schema. */
const fusedOperations = [0, 1, 2, 2, 1, 1];
const fusedNames = ['', 'RELU', 'RELU_N1_TO_1', 'RELU6', 'TANH', 'SIGN_BIT'];

/** Elementwise work of the activation that an operator applies to its output. */
function fused(context: CostContext): { ops: number | undefined; text: string } {
  const kind = intAttribute(context.node, 'fused_activation_function', 0);
  const each = fusedOperations[kind] ?? 0;
  if (each === 0) return { ops: 0, text: '' };
  const count = outputCount(context);
  return { ops: count === undefined ? undefined : count * each, text: `, then ${fusedNames[kind]}` };
}

/** Multiply-accumulates with their formula and the fused activation, or unknown when a factor is. */
export function macsCost(
  context: CostContext,
  count: number | undefined,
  formula: string,
  extra = 0,
): OpCost {
  if (count === undefined || !Number.isFinite(count)) return unknownCost;
  const { ops, text } = fused(context);
  return {
    macs: count,
    otherOps: ops === undefined ? undefined : ops + extra,
    formula: `${formula}${text}`,
  };
}

/** `perElement` operations for each output element, and the fused activation. */
export function perOutput(perElement: number, what = ''): (context: CostContext) => OpCost {
  return (context) => work(context, outputCount(context), perElement, 'outputs', what);
}

/** `perElement` operations for each element of the first input, and the fused activation. */
export function perInput(perElement: number, what = ''): (context: CostContext) => OpCost {
  return (context) => work(context, inputCount(context), perElement, 'inputs', what);
}

export function work(
  context: CostContext,
  count: number | undefined,
  perElement: number,
  of: string,
  what = '',
): OpCost {
  const { ops, text } = fused(context);
  if (count === undefined || ops === undefined) return unknownCost;
  const detail = what === '' ? '' : ` (${what})`;
  return {
    macs: 0,
    otherOps: count * perElement + ops,
    formula: `${count} ${of} × ${perElement}${detail}${text}`,
  };
}

/** Shape of a stored operand, for rules that only see the node. */
export function storedShape(
  node: Node,
  index: number,
  model: Model,
): { shape: readonly number[]; constant: boolean } | undefined {
  const id = node.inputs[index];
  if (id === undefined || id === null) return undefined;
  const graph = model.graphs.find((each) => indexOf(each).node.get(node.id) === node);
  const value = graph?.values.get(id);
  if (value === undefined) return undefined;
  if (value.constant !== undefined) return { shape: value.constant.dims, constant: true };
  const shape = value.type?.kind === 'tensor' ? value.type.shape : undefined;
  return shape?.every((dim) => typeof dim === 'number') ? { shape, constant: false } : undefined;
}
