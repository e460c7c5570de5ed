import { attr, intAttribute, intsAttribute, stringAttribute } from '../../ir/attribute.ts';
import type { ValueId } from '../../ir/model.ts';
import { intTensor } from '../../ir/numbers.ts';
import { withAttribute } from './convolution.ts';
import type { ChannelFlow, FlowContext } from './flow.ts';
import { at, holdNode, inputsOf, listOf, optional, outputsOf, positive, tieAll } from './flow.ts';
import { targetOf, tieReshape } from './reshape.ts';

/** Parts side by side along an axis; both dialects. */
export function tieConcat(context: FlowContext, parts: readonly ValueId[], y: ValueId, axis: number): void {
  let offset = 0;
  for (const part of parts) {
    const dims = context.shape(part) ?? [];
    const size = dims[axis];
    if (typeof size !== 'number' || typeof context.shape(y)?.[axis] !== 'number') return holdNode(context);
    dims.forEach((_, each) => {
      if (each !== axis) context.tie(at(part, each), at(y, each));
    });
    for (let i = 0; i < size; i += 1) context.tieAt(at(part, axis), i, at(y, axis), offset + i);
    context.free(at(part, axis));
    offset += size;
  }
  context.free(at(y, axis));
}

export const concat: ChannelFlow = {
  flow(context) {
    const [y] = outputsOf(context.node);
    const rank = y === undefined ? undefined : context.shape(y)?.length;
    if (y === undefined || rank === undefined) return holdNode(context);
    tieConcat(context, inputsOf(context.node), y, positive(intAttribute(context.node, 'axis', 0), rank));
  },
};

/** The parts' sizes are those of the outputs, whichever way the node says them. */
export const split: ChannelFlow = {
  flow(context) {
    const [x] = inputsOf(context.node);
    const rank = x === undefined ? undefined : context.shape(x)?.length;
    if (x === undefined || rank === undefined) return holdNode(context);
    tieConcat(context, outputsOf(context.node), x, positive(intAttribute(context.node, 'axis', 0), rank));
  },
  refit(context) {
    const { node, version } = context;
    const [x] = inputsOf(node);
    const rank = x === undefined ? 0 : (context.shape(x)?.length ?? 0);
    const axis = positive(intAttribute(node, 'axis', 0), rank);
    if (x === undefined || context.kept(at(x, axis)) === undefined) return node;
    const sizes = outputsOf(node).map((id) => Number(context.keptShape(id)?.[axis]));
    if (version < 13) return withAttribute(node, 'split', attr.ints(sizes));
    const given = context.constant(`${node.id}/split`, intTensor('int64', [sizes.length], sizes));
    const attributes = new Map(node.attributes);
    attributes.delete('num_outputs');
    return { ...node, inputs: [x, given], attributes };
  },
};

export const transpose: ChannelFlow = {
  flow(context) {
    const [x] = inputsOf(context.node);
    const [y] = outputsOf(context.node);
    if (x === undefined || y === undefined) return;
    const rank = context.shape(x)?.length ?? 0;
    const perm = intsAttribute(context.node, 'perm') ?? Array.from({ length: rank }, (_, i) => rank - 1 - i);
    perm.forEach((from, to) => context.tie(at(x, from), at(y, to)));
  },
};

/** Reshape, Flatten, Squeeze and Unsqueeze keep the order of the elements. */
export const view: ChannelFlow = {
  flow(context) {
    const [x] = inputsOf(context.node);
    const [y] = outputsOf(context.node);
    if (x !== undefined && y !== undefined) tieReshape(context, x, y);
  },
};

const copiesZeros = (context: { readonly node: FlowContext['node'] }) =>
  intAttribute(context.node, 'allowzero', 0) === 0;

export const reshape: ChannelFlow = {
  flow(context) {
    const [x] = inputsOf(context.node);
    const [y] = outputsOf(context.node);
    const to = y === undefined ? undefined : context.shape(y);
    if (x === undefined || y === undefined || to === undefined) return holdNode(context);
    if (targetOf(to, context.shape(x), copiesZeros(context)) === undefined) return holdNode(context);
    tieReshape(context, x, y);
  },
  refit(context) {
    const { node, version } = context;
    const [x] = inputsOf(node);
    const [y] = outputsOf(node);
    if (x === undefined || y === undefined) return node;
    const target = targetOf(context.keptShape(y) ?? [], context.keptShape(x), copiesZeros(context));
    if (target === undefined) return node;
    if (version < 5) return withAttribute(node, 'shape', attr.ints(target));
    const shape = context.constant(`${node.id}/shape`, intTensor('int64', [target.length], target));
    return { ...node, inputs: [x, shape] };
  },
};

/** Axes that are padded stay. */
export const pad: ChannelFlow = {
  flow(context) {
    const [x] = inputsOf(context.node);
    const [y] = outputsOf(context.node);
    const rank = x === undefined ? 0 : (context.shape(x)?.length ?? 0);
    const pads = listOf(context, 'pads', 1) ?? intsAttribute(context.node, 'paddings');
    const listed =
      optional(context.node, 3) === undefined ? undefined : context.numbers(optional(context.node, 3));
    if (x === undefined || y === undefined || pads === undefined || listed !== undefined)
      return holdNode(context);
    const held = Array.from({ length: rank }, (_, axis) => axis).filter(
      (axis) => pads[axis] !== 0 || pads[axis + rank] !== 0,
    );
    tieAll(context, x, y, new Set(held));
  },
};

/** Equal sizes pass an axis through; the target is written anew. */
export const expand: ChannelFlow = {
  flow(context) {
    const [x] = inputsOf(context.node);
    const [y] = outputsOf(context.node);
    const from = x === undefined ? undefined : context.shape(x);
    const to = y === undefined ? undefined : context.shape(y);
    if (x === undefined || y === undefined || from === undefined || to === undefined)
      return holdNode(context);
    if (to.some((dim) => typeof dim !== 'number')) return holdNode(context);
    from.forEach((dim, axis) => {
      if (dim !== 1) context.tie(at(x, axis), at(y, axis + to.length - from.length));
    });
  },
  refit(context) {
    const { node } = context;
    const [x] = inputsOf(node);
    const [y] = outputsOf(node);
    const target = y === undefined ? undefined : context.keptShape(y)?.map(Number);
    if (x === undefined || target === undefined) return node;
    return {
      ...node,
      inputs: [x, context.constant(`${node.id}/shape`, intTensor('int64', [target.length], target))],
    };
  },
};

/** One channel of the coarse map is a block of channels of the fine one, in the order that the mode says. */
export const depthToSpace: ChannelFlow = {
  flow(context) {
    const { node } = context;
    const [x] = inputsOf(node);
    const [y] = outputsOf(node);
    if (x === undefined || y === undefined) return;
    const block = intAttribute(node, 'blocksize', intAttribute(node, 'block_size', 1)) ** 2;
    const channels = context.model.dialect === 'onnx' ? 1 : 3;
    const toSpace = node.op === 'DepthToSpace' || node.op === 'DEPTH_TO_SPACE';
    const [deep, flat] = toSpace ? [x, y] : [y, x];
    const count = context.shape(flat)?.[channels];
    if (typeof count !== 'number') return holdNode(context);
    const columnRow = stringAttribute(node, 'mode', 'DCR') === 'CRD';
    for (let k = 0; k < block; k += 1)
      for (let c = 0; c < count; c += 1)
        context.tieAt(at(deep, channels), columnRow ? c * block + k : k * count + c, at(flat, channels), c);
  },
};
