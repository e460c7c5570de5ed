import type { Attribute, Node, ValueId } from '../../ir/model.ts';
import { attr, intAttribute } from '../../ir/attribute.ts';
import type { AxisOfValue, ChannelFlow, FlowContext, RefitContext } from './flow.ts';
import { at, holdNode, optional, outputsOf } from './flow.ts';

/** Operands of a convolution of either dialect, and which axes are channels. */
interface Filters {
  readonly x: AxisOfValue;
  readonly y: AxisOfValue;
  readonly weightIn: AxisOfValue;
  readonly weightOut: AxisOfValue;
  /** Vectors with one element per output channel: bias, scales. */
  readonly perOutput: readonly AxisOfValue[];
  readonly groups: number;
}

/**
 * Without groups the input meets the weight's input axis and the output its output axis. Groups must stay alike: with
 * more groups than channels in each (depthwise among them) whole groups go, otherwise the same channels of every group.
 */
export function tieFilters(context: FlowContext, filters: Filters): void {
  const { x, y, weightIn, weightOut, perOutput, groups } = filters;
  context.tie(weightOut, y);
  for (const each of perOutput) context.tie(each, y);
  if (groups === 1) {
    context.tie(x, weightIn);
    return;
  }
  const inputs = context.shape(x.id)?.[x.axis];
  const outputs = context.shape(y.id)?.[y.axis];
  if (
    typeof inputs !== 'number' ||
    typeof outputs !== 'number' ||
    inputs % groups > 0 ||
    outputs % groups > 0
  ) {
    for (const axis of [x, y, weightIn, weightOut]) context.hold(axis);
    return;
  }
  const [perIn, perOut] = [inputs / groups, outputs / groups];
  const whole = wholeGroups(groups, perIn);
  for (let group = 0; group < groups; group += 1) {
    for (let i = 0; i < perIn; i += 1)
      if (whole) context.tieAt(x, group * perIn + i, y, group * perOut);
      else context.tieAt(x, group * perIn + i, weightIn, i);
    for (let o = 1; o < perOut; o += 1) if (whole) context.tieAt(y, group * perOut + o, y, group * perOut);
    for (let o = 0; o < perOut; o += 1) if (!whole) context.tieAt(y, group * perOut + o, y, o);
  }
  if (whole) context.hold(weightIn);
}

function wholeGroups(groups: number, perGroup: number): boolean {
  return groups > perGroup;
}

function onnxFilters(context: FlowContext, transposed: boolean): Filters | undefined {
  const { node } = context;
  const x = optional(node, 0);
  const w = optional(node, 1);
  const [y] = outputsOf(node);
  if (x === undefined || w === undefined || y === undefined) return undefined;
  const bias = optional(node, 2);
  return {
    x: at(x, 1),
    y: at(y, 1),
    weightIn: at(w, 1),
    weightOut: at(w, 0),
    perOutput: bias === undefined ? [] : [at(bias, 0)],
    groups: transposed ? 1 : intAttribute(node, 'group', 1),
  };
}

/** The batch passes through; everything else of the map is held by not being mentioned. */
function tieBatch(context: FlowContext, x: ValueId, y: ValueId): void {
  context.tie(at(x, 0), at(y, 0));
}

export const conv: ChannelFlow = {
  flow(context) {
    const filters = onnxFilters(context, false);
    // FusedConv may add a fourth operand.
    if (filters === undefined || context.node.inputs.length > 3) return holdNode(context);
    tieBatch(context, filters.x.id, filters.y.id);
    tieFilters(context, filters);
  },
  refit: (context) => regrouped(context, 0),
};

/** Whole groups may have gone: the number of groups follows the channels. */
function regrouped(context: RefitContext, input: number): Node {
  const { node } = context;
  const groups = intAttribute(node, 'group', 1);
  const x = optional(node, input);
  if (groups === 1 || x === undefined) return node;
  const before = context.shape(x)?.[1];
  const after = context.keptShape(x)?.[1];
  if (typeof before !== 'number' || typeof after !== 'number' || !wholeGroups(groups, before / groups))
    return node;
  return withAttribute(node, 'group', attr.int((groups * after) / before));
}

export function withAttribute(node: Node, name: string, value: Attribute): Node {
  return { ...node, attributes: new Map(node.attributes).set(name, value) };
}

/** Weights are `[inputs, outputs per group, …]`. */
export const convTranspose: ChannelFlow = {
  flow(context) {
    const filters = onnxFilters(context, true);
    if (filters === undefined) return holdNode(context);
    const { x, y, perOutput } = filters;
    const w = filters.weightIn.id;
    const groups = intAttribute(context.node, 'group', 1);
    tieBatch(context, x.id, y.id);
    context.tie(x, at(w, 0));
    for (const each of perOutput) context.tie(each, y);
    if (groups === 1) return context.tie(at(w, 1), y);
    const inputs = context.shape(x.id)?.[1];
    const perOut = context.shape(w)?.[1];
    if (typeof inputs !== 'number' || typeof perOut !== 'number') return holdNode(context);
    const perIn = inputs / groups;
    const whole = wholeGroups(groups, perIn);
    for (let group = 0; group < groups; group += 1) {
      for (let i = 0; i < perIn; i += 1)
        context.tieAt(x, group * perIn + i, whole ? y : x, whole ? group * perOut : i);
      for (let o = 0; o < perOut; o += 1)
        context.tieAt(y, group * perOut + o, whole ? y : at(w, 1), whole ? group * perOut : o);
    }
    if (whole) context.hold(at(w, 1));
  },
  refit: (context) => regrouped(context, 0),
};

/** Integer convolutions of ONNX: `qlinear` has scales and zero points between its operands. */
export const qlinearConv: ChannelFlow = {
  flow(context) {
    const { node } = context;
    const [x, w] = [optional(node, 0), optional(node, 3)];
    const [y] = outputsOf(node);
    if (x === undefined || w === undefined || y === undefined) return holdNode(context);
    const perOutput = [4, 5, 8].flatMap((index) => {
      const id = optional(node, index);
      return id !== undefined && context.shape(id)?.length === 1 && context.shape(id)?.[0] !== 1
        ? [at(id, 0)]
        : [];
    });
    tieBatch(context, x, y);
    tieFilters(context, {
      x: at(x, 1),
      y: at(y, 1),
      weightIn: at(w, 1),
      weightOut: at(w, 0),
      perOutput,
      groups: intAttribute(node, 'group', 1),
    });
  },
  refit: (context) => regrouped(context, 0),
};
