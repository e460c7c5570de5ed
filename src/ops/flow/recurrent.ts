import { attr, intAttribute } from '../../ir/attribute.ts';
import type { AxisOfValue, ChannelFlow, FlowContext } from './flow.ts';
import { at, holdNode, optional } from './flow.ts';
import { withAttribute } from './convolution.ts';

/** Every block of `units` along the axis is the hidden units once more (gates, biases). */
function tieBlocks(context: FlowContext, axis: AxisOfValue, units: number, to: AxisOfValue): void {
  const size = context.shape(axis.id)?.[axis.axis];
  if (typeof size !== 'number' || size % units > 0) {
    context.hold(axis);
    context.hold(to);
    return;
  }
  for (let i = 0; i < size; i += 1) context.tieAt(axis, i, to, i % units);
}

/**
 * LSTM, GRU and RNN of ONNX: a hidden unit is one row of each gate in W and R, one column of R, and one element of the
 * state and the output; both directions lose the same ones.
 */
export const onnxRecurrent: ChannelFlow = {
  flow(context) {
    const { node } = context;
    const operand = (index: number) => optional(node, index);
    const [x, w, r] = [operand(0), operand(1), operand(2)];
    const units = r === undefined ? undefined : context.shape(r)?.[2];
    if (x === undefined || w === undefined || r === undefined || typeof units !== 'number')
      return holdNode(context);
    if (intAttribute(node, 'layout', 0) !== 0) return holdNode(context);
    const hidden = at(r, 2);
    context.tie(at(x, 2), at(w, 2));
    tieBlocks(context, at(w, 1), units, hidden);
    tieBlocks(context, at(r, 1), units, hidden);
    for (const index of [3, 7]) {
      const id = operand(index);
      if (id !== undefined) tieBlocks(context, at(id, 1), units, hidden);
    }
    for (const id of [operand(5), operand(6), node.outputs[1], node.outputs[2]])
      if (id) context.tie(at(id, 2), hidden);
    const [y] = node.outputs;
    if (y) context.tie(at(y, 3), hidden);
  },
  refit(context) {
    const { node } = context;
    const r = optional(node, 2);
    const units = r === undefined ? undefined : context.keptShape(r)?.[2];
    if (typeof units !== 'number' || !node.attributes.has('hidden_size')) return node;
    return withAttribute(node, 'hidden_size', attr.int(units));
  },
};
