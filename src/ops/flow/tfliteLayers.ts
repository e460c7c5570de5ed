import { intAttribute } from '../../ir/attribute.ts';
import type { ValueId } from '../../ir/model.ts';
import { intTensor } from '../../ir/numbers.ts';
import type { AxisOfValue, ChannelFlow, FlowContext } from './flow.ts';
import { at, holdNode, inputsOf, optional, outputsOf } from './flow.ts';
import { tieFilters } from './convolution.ts';
import { tieMatmul } from './matmul.ts';

function biasOf(context: FlowContext, index: number): readonly AxisOfValue[] {
  const id = optional(context.node, index);
  return id === undefined ? [] : [at(id, 0)];
}

/** Filters OHWI, or DHWIO for volumes; channels last. A filter narrower than the input works in groups. */
export function convLike(outputAxis: number, inputAxis: number): ChannelFlow {
  return {
    flow(context) {
      const [x, w] = inputsOf(context.node);
      const [y] = outputsOf(context.node);
      if (x === undefined || w === undefined || y === undefined) return holdNode(context);
      const last = (context.shape(x)?.length ?? 0) - 1;
      const channels = context.shape(x)?.[last];
      const width = context.shape(w)?.[inputAxis];
      if (typeof channels !== 'number' || typeof width !== 'number' || channels % width > 0)
        return holdNode(context);
      context.tie(at(x, 0), at(y, 0));
      tieFilters(context, {
        x: at(x, last),
        y: at(y, last),
        weightIn: at(w, inputAxis),
        weightOut: at(w, outputAxis),
        perOutput: biasOf(context, 2),
        groups: channels / width,
      });
    },
  };
}

/** Each channel has its own filters, `depth_multiplier` of them side by side. */
export const depthwise: ChannelFlow = {
  flow(context) {
    const [x, w] = inputsOf(context.node);
    const [y] = outputsOf(context.node);
    if (x === undefined || w === undefined || y === undefined) return holdNode(context);
    const [inputs, outputs] = [context.shape(x)?.[3], context.shape(y)?.[3]];
    if (typeof inputs !== 'number' || typeof outputs !== 'number' || outputs % inputs > 0)
      return holdNode(context);
    context.tie(at(x, 0), at(y, 0));
    context.tie(at(w, 3), at(y, 3));
    for (const bias of biasOf(context, 2)) context.tie(bias, at(y, 3));
    for (let o = 0; o < outputs; o += 1)
      context.tieAt(at(y, 3), o, at(x, 3), Math.floor(o / (outputs / inputs)));
  },
};

/** Operands: the result's shape, filters OHWI, input, bias. */
export const tfliteTransposeConv: ChannelFlow = {
  flow(context) {
    const { node } = context;
    const [shape, w, x] = [optional(node, 0), optional(node, 1), optional(node, 2)];
    const [y] = outputsOf(node);
    if (w === undefined || x === undefined || y === undefined || !context.isConstant(shape))
      return holdNode(context);
    context.tie(at(x, 0), at(y, 0));
    tieFilters(context, {
      x: at(x, 3),
      y: at(y, 3),
      weightIn: at(w, 3),
      weightOut: at(w, 0),
      perOutput: biasOf(context, 3),
      groups: 1,
    });
  },
  refit(context) {
    const { node } = context;
    const target = context.numbers(node.inputs[0]);
    const [y] = outputsOf(node);
    const channels = y === undefined ? undefined : context.keptShape(y)?.[3];
    if (target === undefined || typeof channels !== 'number') return node;
    const shape = context.constant(
      'output_shape',
      intTensor('int32', [4], [...target.slice(0, 3), channels]),
    );
    return { ...node, inputs: [shape, ...node.inputs.slice(1)] };
  },
};

/** Weights `[units, depth]`; the input's rows may be spread over several axes. */
export const fullyConnected: ChannelFlow = {
  flow(context) {
    const { node } = context;
    const [x, w] = inputsOf(node);
    const [y] = outputsOf(node);
    const from = x === undefined ? undefined : context.shape(x);
    const to = y === undefined ? undefined : context.shape(y);
    if (x === undefined || w === undefined || y === undefined || from === undefined || to === undefined)
      return holdNode(context);
    if (intAttribute(node, 'weights_format', 0) !== 0) return holdNode(context);
    context.tie(at(w, 0), at(y, to.length - 1));
    for (const bias of biasOf(context, 2)) context.tie(bias, at(y, to.length - 1));
    tieDepth(context, x, at(w, 1));
    if (from.length === to.length)
      for (let axis = 0; axis < from.length - 1; axis += 1) context.tie(at(x, axis), at(y, axis));
  },
};

/** The last axes of the input that together have as many elements as a row of the weights. */
function tieDepth(context: FlowContext, x: ValueId, depth: AxisOfValue): void {
  const shape = context.shape(x) ?? [];
  const wanted = context.shape(depth.id)?.[depth.axis];
  let count = 1;
  for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
    count *= Number(shape[axis]);
    if (count !== wanted) continue;
    const parts = shape.flatMap((dim, i) => (i >= axis && dim !== 1 ? [at(x, i)] : []));
    if (parts.length === 1) context.tie(parts[0] as AxisOfValue, depth);
    else context.product(depth, parts);
    return;
  }
  context.holdAll(x);
  context.hold(depth);
}

export const batchMatmul: ChannelFlow = {
  flow(context) {
    const [a, b] = inputsOf(context.node);
    const [y] = outputsOf(context.node);
    if (a === undefined || b === undefined || y === undefined) return;
    const flag = (name: string) => intAttribute(context.node, name, 0) !== 0;
    tieMatmul(context, a, b, y, { a: flag('adj_x'), b: flag('adj_y') });
  },
};

/**
 * UNIDIRECTIONAL_SEQUENCE_LSTM: the units are the rows of every gate's matrices and the columns of the projection; the
 * width of the output is the columns of the recurrent matrices, and without a projection these are the units.
 */
export const tfliteLstm: ChannelFlow = {
  flow(context) {
    const { node } = context;
    const [x, first] = [optional(node, 0), optional(node, 2)];
    const [y] = outputsOf(node);
    const normalized = [20, 21, 22, 23].some((index) => optional(node, index) !== undefined);
    if (x === undefined || first === undefined || y === undefined || normalized) return holdNode(context);
    const units = at(first, 0);
    const width = at(y, (context.shape(y)?.length ?? 1) - 1);
    const each = (indexes: readonly number[], tie: (id: ValueId) => void) => {
      for (const index of indexes) {
        const id = optional(node, index);
        if (id !== undefined) tie(id);
      }
    };
    each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], (id) => context.tie(at(id, 0), units));
    each([1, 2, 3, 4], (id) => context.tie(at(id, 1), at(x, (context.shape(x)?.length ?? 1) - 1)));
    each([5, 6, 7, 8], (id) => context.tie(at(id, 1), width));
    each([18], (id) => context.tie(at(id, 1), width));
    each([19], (id) => context.tie(at(id, 1), units));
    const projection = optional(node, 16);
    if (projection === undefined) return context.tie(units, width);
    context.tie(at(projection, 1), units);
    context.tie(at(projection, 0), width);
    each([17], (id) => context.tie(at(id, 0), width));
  },
};
