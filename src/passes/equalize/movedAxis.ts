import type { Shape } from '../../ir/types.ts';
import { intsAttribute, stringAttribute } from '../../ir/attribute.ts';
import type { Node } from '../../ir/model.ts';
import { readIntegers } from '../../ir/numbers.ts';
import { readableConstant } from '../support/constants.ts';
import { scalarOf } from './carried.ts';
import type { Site, SiteBuilder } from './sites.ts';

interface Moved {
  readonly axis: number;
  /** Channels of the result per channel of the input: more than one after flattening. */
  readonly times: number;
  /** Whether the channels run fastest in what was flattened. */
  readonly inner: boolean;
}

/** Where the channel axis is after an operator; `undefined` when it is gone or mixed with others. */
export function axisAfter(builder: SiteBuilder, node: Node, { axis, value, count }: Site): Moved | undefined {
  const { facts, model } = builder;
  const graph = model.graphs[0];
  const [before, after] = [facts.typeOf(value)?.shape, facts.typeOf(node.outputs[0])?.shape];
  if (before === undefined || after === undefined) return undefined;
  const same: Moved = { axis, times: 1, inner: false };
  const listed = (index: number): number[] | undefined => {
    const tensor = readableConstant(graph, node.inputs[index]);
    return tensor === undefined || tensor.dtype === 'float32' ? undefined : readIntegers(tensor);
  };
  switch (node.op) {
    case 'Transpose':
    case 'TRANSPOSE': {
      const perm = intsAttribute(node, 'perm') ?? listed(1) ?? before.map((_, i) => before.length - 1 - i);
      const to = perm.indexOf(axis);
      return to < 0 ? undefined : { ...same, axis: to };
    }
    case 'Pad':
    case 'PAD':
    case 'MIRROR_PAD':
      return stringAttribute(node, 'mode', 'constant') !== 'constant' || padsZeros(builder, node)
        ? sameCount(after[axis], count, same)
        : undefined;
    case 'Flatten':
    case 'Reshape':
    case 'RESHAPE':
    case 'Squeeze':
    case 'SQUEEZE':
    case 'Unsqueeze':
    case 'EXPAND_DIMS':
      return reshaped(before, after, axis);
    case 'ReduceMean':
    case 'ReduceSum':
    case 'ReduceMax':
    case 'ReduceMin':
    case 'MEAN':
    case 'SUM':
    case 'REDUCE_MAX':
    case 'REDUCE_MIN': {
      const axes = (intsAttribute(node, 'axes') ?? listed(1))?.map((each) =>
        each < 0 ? each + before.length : each,
      );
      if (axes === undefined || axes.includes(axis)) return undefined;
      const kept = after.length === before.length;
      return { ...same, axis: kept ? axis : axis - axes.filter((each) => each < axis).length };
    }
    case 'PRelu':
    case 'PRELU':
      return readableConstant(graph, node.inputs[1]) === undefined ? undefined : same;
    default:
      return before.length === after.length ? sameCount(after[axis], count, same) : undefined;
  }
}

function sameCount(size: unknown, count: number, same: Moved): Moved | undefined {
  return size === count ? same : undefined;
}

function padsZeros(builder: SiteBuilder, node: Node): boolean {
  const value = node.attributes.get('value');
  if (value?.kind === 'float') return value.value === 0;
  const given = node.op === 'Pad' ? node.inputs[2] : undefined;
  return given == null || scalarOf(readableConstant(builder.model.graphs[0], given)) === 0;
}

/** The channel axis keeps its place and size, up to axes of one, or is flattened together with all axes behind it. */
function reshaped(before: Shape, after: Shape, axis: number): Moved | undefined {
  const size = before[axis];
  const inside = productOf(before.slice(axis + 1));
  if (typeof size !== 'number' || inside === undefined) return undefined;
  for (const [to, dim] of after.entries()) {
    const rest = productOf(after.slice(to + 1));
    if (dim === size && rest === inside && (size > 1 || to === axis))
      return { axis: to, times: 1, inner: false };
    if (to === after.length - 1 && dim === size * inside) return { axis: to, times: inside, inner: false };
  }
  // Channels last: rows and columns join them in front.
  const front = productOf(before.slice(1, axis));
  const last = after.length - 1;
  if (
    inside === 1 &&
    axis === before.length - 1 &&
    front !== undefined &&
    after[last] === front * size &&
    last === 1
  )
    return { axis: last, times: front, inner: true };
  return undefined;
}

export function productOf(dims: Shape): number | undefined {
  let product = 1;
  for (const dim of dims) {
    if (typeof dim !== 'number') return undefined;
    product *= dim;
  }
  return product;
}
