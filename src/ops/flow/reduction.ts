import { intAttribute, intsAttribute } from '../../ir/attribute.ts';
import { intTensor } from '../../ir/numbers.ts';
import type { ChannelFlow, FlowContext } from './flow.ts';
import { at, holdNode, inputsOf, optional, outputsOf, positive, tieAll } from './flow.ts';

/** Reduced axes stay; the others pass through, wherever they end up. */
function tieReduction(context: FlowContext, axes: readonly number[] | 'all', keeps: boolean): void {
  const [x] = inputsOf(context.node);
  const from = x === undefined ? undefined : context.shape(x);
  if (x === undefined || from === undefined || axes === 'all') return holdNode(context);
  const reduced = new Set(axes.map((axis) => positive(axis, from.length)));
  for (const y of outputsOf(context.node)) {
    let to = 0;
    from.forEach((_, axis) => {
      if (!reduced.has(axis)) context.tie(at(x, axis), at(y, to));
      if (keeps || !reduced.has(axis)) to += 1;
    });
  }
}

export const onnxReduce: ChannelFlow = {
  flow(context) {
    const { node } = context;
    const given = optional(node, 1);
    const axes = given === undefined ? intsAttribute(node, 'axes') : context.numbers(given);
    tieReduction(
      context,
      axes === undefined || axes.length === 0 ? 'all' : axes,
      intAttribute(node, 'keepdims', 1) !== 0,
    );
  },
};

export const onnxArg: ChannelFlow = {
  flow: (context) =>
    tieReduction(
      context,
      [intAttribute(context.node, 'axis', 0)],
      intAttribute(context.node, 'keepdims', 1) !== 0,
    ),
};

/** TFLite: the axes are the second operand; `keeps` names the option. */
export const tfliteReduce: ChannelFlow = {
  flow(context) {
    const axes = context.numbers(optional(context.node, 1));
    tieReduction(context, axes ?? 'all', intAttribute(context.node, 'keep_dims', 0) !== 0);
  },
};

export const tfliteArg: ChannelFlow = {
  flow(context) {
    const axes = context.numbers(optional(context.node, 1));
    tieReduction(context, axes ?? 'all', false);
  },
};

/** Windows slide over the space behind `channels`; batch and channels pass through. */
export function pooling(channels: 1 | 'last'): ChannelFlow {
  return {
    flow(context) {
      const [x] = inputsOf(context.node);
      const rank = x === undefined ? 0 : (context.shape(x)?.length ?? 0);
      for (const y of outputsOf(context.node)) {
        if (x === undefined) return;
        context.tie(at(x, 0), at(y, 0));
        context.tie(at(x, channels === 1 ? 1 : rank - 1), at(y, channels === 1 ? 1 : rank - 1));
      }
    },
  };
}

/** Axes that keep their size pass through; a list of sizes follows the channels. */
export const resize: ChannelFlow = {
  flow(context) {
    const [x] = inputsOf(context.node);
    const [y] = outputsOf(context.node);
    if (x === undefined || y === undefined) return;
    const sizes = optional(context.node, 3);
    if (sizes !== undefined && (!context.isConstant(sizes) || context.node.attributes.has('axes')))
      return holdNode(context);
    if (cropsRegion(context)) return holdNode(context);
    for (const axis of [0, 1]) context.tie(at(x, axis), at(y, axis));
  },
  refit(context) {
    const { node } = context;
    const [y] = outputsOf(node);
    const sizes = context.numbers(optional(node, 3));
    const shape = y === undefined ? undefined : context.keptShape(y);
    if (sizes === undefined || shape === undefined) return node;
    const after = sizes.map((size, axis) =>
      typeof shape[axis] === 'number' ? (shape[axis] as number) : size,
    );
    const constant = context.constant(`${node.id}/sizes`, intTensor('int64', [after.length], after));
    return { ...node, inputs: node.inputs.map((id, i) => (i === 3 ? constant : id)) };
  },
};

/** A region of interest changes what an axis means. */
function cropsRegion(context: FlowContext): boolean {
  const mode = context.node.attributes.get('coordinate_transformation_mode');
  return mode?.kind === 'string' && new TextDecoder().decode(mode.value) === 'tf_crop_and_resize';
}

/** Scale and zero point are scalars, or vectors along `axis`; blocks of scales hold everything. */
export const onnxQuantize: ChannelFlow = {
  flow(context) {
    const { node } = context;
    const [x, ...parameters] = inputsOf(node);
    const [y] = outputsOf(node);
    if (x === undefined || y === undefined) return;
    if (intAttribute(node, 'block_size', 0) !== 0) return holdNode(context);
    tieAll(context, x, y);
    const axis = positive(intAttribute(node, 'axis', 1), context.shape(x)?.length ?? 0);
    for (const id of parameters) {
      const shape = context.shape(id);
      if (shape?.length === 1 && shape[0] !== 1) context.tie(at(id, 0), at(x, axis));
    }
  },
};
