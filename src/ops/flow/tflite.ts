import { intAttribute, intsAttribute } from '../../ir/attribute.ts';
import { attr } from '../../ir/attribute.ts';
import { intTensor } from '../../ir/numbers.ts';
import { withAttribute } from './convolution.ts';
import type { ChannelFlow, FlowTable } from './flow.ts';
import {
  alike,
  at,
  elementwise,
  holdNode,
  inputsOf,
  optional,
  outputsOf,
  positive,
  tieAll,
  unary,
} from './flow.ts';
import { concat, depthToSpace, tieConcat, view } from './movement.ts';
import { pooling, tfliteArg, tfliteReduce } from './reduction.ts';
import { targetOf, tieReshape } from './reshape.ts';
import { gather, leftBefore } from './slicing.ts';
import {
  batchMatmul,
  convLike,
  depthwise,
  fullyConnected,
  tfliteLstm,
  tfliteTransposeConv,
} from './tfliteLayers.ts';

/** Parts are of equal size and stay so: the same indices go from each. */
const split: ChannelFlow = {
  flow(context) {
    const axis = context.numbers(optional(context.node, 0))?.[0];
    const x = optional(context.node, 1);
    const rank = x === undefined ? undefined : context.shape(x)?.length;
    const [first, ...others] = outputsOf(context.node);
    if (axis === undefined || x === undefined || rank === undefined || first === undefined)
      return holdNode(context);
    const along = positive(axis, rank);
    tieConcat(context, [first, ...others], x, along);
    for (const other of others) context.tie(at(first, along), at(other, along));
  },
};

const splitV: ChannelFlow = {
  flow(context) {
    const axis = context.numbers(optional(context.node, 2))?.[0];
    const x = optional(context.node, 0);
    const rank = x === undefined ? undefined : context.shape(x)?.length;
    if (axis === undefined || x === undefined || rank === undefined) return holdNode(context);
    tieConcat(context, outputsOf(context.node), x, positive(axis, rank));
  },
  refit(context) {
    const { node } = context;
    const axis = context.numbers(optional(node, 2))?.[0] ?? 0;
    const sizes = outputsOf(node).map((id) => {
      const shape = context.keptShape(id) ?? [];
      return Number(shape[positive(axis, shape.length)]);
    });
    const constant = context.constant('split_sizes', intTensor('int32', [sizes.length], sizes));
    return { ...node, inputs: node.inputs.map((id, i) => (i === 1 ? constant : id)) };
  },
};

const slice: ChannelFlow = {
  flow(context) {
    const [x] = inputsOf(context.node);
    const [y] = outputsOf(context.node);
    const begin = context.numbers(optional(context.node, 1));
    if (
      x === undefined ||
      y === undefined ||
      begin === undefined ||
      !context.isConstant(optional(context.node, 2))
    )
      return holdNode(context);
    (context.shape(y) ?? []).forEach((count, axis) => {
      if (typeof count !== 'number') return;
      for (let i = 0; i < count; i += 1)
        context.tieAt(at(x, axis), (begin[axis] as number) + i, at(y, axis), i);
      context.free(at(x, axis));
    });
  },
  refit(context) {
    const { node } = context;
    const [x] = inputsOf(node);
    const [y] = outputsOf(node);
    const begin = context.numbers(optional(node, 1));
    if (x === undefined || y === undefined || begin === undefined) return node;
    const starts = begin.map((start, axis) => leftBefore(context.kept(at(x, axis)), start));
    const sizes = (context.keptShape(y) ?? []).map(Number);
    const list = (name: string, values: readonly number[]) =>
      context.constant(name, intTensor('int32', [values.length], values));
    return { ...node, inputs: [x, list('begin', starts), list('size', sizes)] };
  },
};

/** Axes that are taken whole pass through; cut, new and dropped ones stay as they are. */
const stridedSlice: ChannelFlow = {
  flow(context) {
    const { node } = context;
    const [x] = inputsOf(node);
    const [y] = outputsOf(node);
    const [begin, strides] = [context.numbers(optional(node, 1)), context.numbers(optional(node, 3))];
    const reshapes = ['ellipsis_mask', 'new_axis_mask', 'shrink_axis_mask', 'offset'].some(
      (name) => intAttribute(node, name, 0) !== 0,
    );
    if (x === undefined || y === undefined || begin === undefined || strides === undefined || reshapes)
      return holdNode(context);
    const [from, to] = [context.shape(x) ?? [], context.shape(y) ?? []];
    // An end beyond the axis is cut off by the kernel, so what is taken whole stays whole.
    const whole = (axis: number) => from[axis] === to[axis] && (strides[axis] ?? 1) === 1;
    tieAll(context, x, y, new Set(from.flatMap((_, axis) => (whole(axis) ? [] : [axis]))));
  },
};

const transpose: ChannelFlow = {
  flow(context) {
    const [x] = inputsOf(context.node);
    const [y] = outputsOf(context.node);
    const perm = context.numbers(optional(context.node, 1));
    if (x === undefined || y === undefined || perm === undefined) return holdNode(context);
    perm.forEach((from, to) => context.tie(at(x, from), at(y, to)));
  },
};

/** The target is an operand or an option, and some files have both. */
const reshape: ChannelFlow = {
  flow(context) {
    const [x] = inputsOf(context.node);
    const [y] = outputsOf(context.node);
    const to = y === undefined ? undefined : context.shape(y);
    if (
      x === undefined ||
      y === undefined ||
      to === undefined ||
      targetOf(to, undefined, false) === undefined
    )
      return holdNode(context);
    tieReshape(context, x, y);
  },
  refit(context) {
    const { node } = context;
    const [x, given] = inputsOf(node);
    const [y] = outputsOf(node);
    const target = y === undefined ? undefined : targetOf(context.keptShape(y) ?? [], undefined, false);
    if (x === undefined || target === undefined) return node;
    const open = given === undefined ? intsAttribute(node, 'new_shape') : context.numbers(given);
    const sizes = target.map((size, axis) => (open?.[axis] === -1 ? -1 : size));
    const changed = node.attributes.has('new_shape')
      ? withAttribute(node, 'new_shape', attr.ints(sizes))
      : node;
    if (given === undefined) return changed;
    return { ...changed, inputs: [x, context.constant('shape', intTensor('int32', [sizes.length], sizes))] };
  },
};

/** Paddings are pairs, one per axis; padded axes stay. */
const pad: ChannelFlow = {
  flow(context) {
    const [x] = inputsOf(context.node);
    const [y] = outputsOf(context.node);
    const pads = context.numbers(optional(context.node, 1));
    if (x === undefined || y === undefined || pads === undefined) return holdNode(context);
    const padded = (axis: number) => pads[2 * axis] !== 0 || pads[2 * axis + 1] !== 0;
    tieAll(
      context,
      x,
      y,
      new Set((context.shape(x) ?? []).flatMap((_, axis) => (padded(axis) ? [axis] : []))),
    );
  },
};

/** Only the channels pass through: batch and space are exchanged. */
const lastOnly: ChannelFlow = {
  flow(context) {
    const [x] = inputsOf(context.node);
    const [y] = outputsOf(context.node);
    const rank = x === undefined ? undefined : context.shape(x)?.length;
    if (x === undefined || y === undefined || rank === undefined) return holdNode(context);
    context.tie(at(x, rank - 1), at(y, rank - 1));
  },
};

const lastHeld: ChannelFlow = unary((_, rank) => new Set([rank - 1]));

/** Operators that are not listed hold all of their operands. */
export const tfliteFlows: FlowTable = {
  ...alike(
    'ABS CAST CEIL COS ELU EXP FLOOR GELU HARD_SWISH LEAKY_RELU LOG LOGICAL_NOT LOGISTIC NEG QUANTIZE DEQUANTIZE RELU ' +
      'RELU6 RELU_0_TO_1 RELU_N1_TO_1 ROUND RSQRT SIGN SIN SQRT SQUARE TANH FAKE_QUANT',
    unary(),
  ),
  ...alike(
    'ADD ADD_N ATAN2 DIV EQUAL FLOOR_DIV FLOOR_MOD GREATER GREATER_EQUAL LESS LESS_EQUAL LOGICAL_AND LOGICAL_OR MAXIMUM ' +
      'MINIMUM MUL NOT_EQUAL POW PRELU SELECT_V2 SQUARED_DIFFERENCE SUB',
    elementwise,
  ),
  ...alike('SOFTMAX LOG_SOFTMAX L2_NORMALIZATION LOCAL_RESPONSE_NORMALIZATION', lastHeld),
  CONV_2D: convLike(0, 3),
  CONV_3D: convLike(4, 3),
  DEPTHWISE_CONV_2D: depthwise,
  TRANSPOSE_CONV: tfliteTransposeConv,
  FULLY_CONNECTED: fullyConnected,
  BATCH_MATMUL: batchMatmul,
  UNIDIRECTIONAL_SEQUENCE_LSTM: tfliteLstm,
  CONCATENATION: concat,
  SPLIT: split,
  SPLIT_V: splitV,
  SLICE: slice,
  STRIDED_SLICE: stridedSlice,
  GATHER: {
    flow: (context) =>
      intAttribute(context.node, 'batch_dims', 0) === 0 ? gather.flow(context) : holdNode(context),
    ...(gather.refit && { refit: gather.refit }),
  },
  TRANSPOSE: transpose,
  RESHAPE: reshape,
  ...alike('SQUEEZE EXPAND_DIMS', view),
  ...alike('PAD PADV2 MIRROR_PAD', pad),
  ...alike('SPACE_TO_BATCH_ND BATCH_TO_SPACE_ND RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR', lastOnly),
  ...alike('SPACE_TO_DEPTH DEPTH_TO_SPACE', depthToSpace),
  ...alike('AVERAGE_POOL_2D MAX_POOL_2D L2_POOL_2D', pooling('last')),
  ...alike('MEAN SUM REDUCE_MAX REDUCE_MIN REDUCE_PROD', tfliteReduce),
  ...alike('ARG_MAX ARG_MIN', tfliteArg),
};
