import { attr, intAttribute } from '../../ir/attribute.ts';
import { intTensor } from '../../ir/numbers.ts';
import { withAttribute } from './convolution.ts';
import type { ChannelFlow, Operands } from './flow.ts';
import { at, holdNode, inputsOf, listOf, optional, outputsOf, positive } from './flow.ts';

interface Cut {
  readonly axis: number;
  readonly start: number;
  readonly step: number;
}

function cutsOf(context: Operands): readonly Cut[] | undefined {
  const [x] = inputsOf(context.node);
  const dims = x === undefined ? undefined : context.shape(x);
  const starts = listOf(context, 'starts', 1);
  const steps = optional(context.node, 4) === undefined ? starts?.map(() => 1) : listOf(context, 'steps', 4);
  const given = optional(context.node, 3) !== undefined || context.node.attributes.has('axes');
  const axes = given ? listOf(context, 'axes', 3) : starts?.map((_, i) => i);
  if (dims === undefined || starts === undefined || steps === undefined || axes === undefined)
    return undefined;
  return axes.map((each, i) => {
    const axis = positive(each, dims.length);
    const size = Number(dims[axis]);
    const start = starts[i] as number;
    return {
      axis,
      start: Math.min(size, Math.max(0, start < 0 ? start + size : start)),
      step: steps[i] as number,
    };
  });
}

/** Index by index where the step is 1; other cuts hold their axis. */
export const slice: ChannelFlow = {
  flow(context) {
    const [x] = inputsOf(context.node);
    const [y] = outputsOf(context.node);
    const cuts = cutsOf(context);
    if (x === undefined || y === undefined || cuts === undefined) return holdNode(context);
    const cut = new Map(cuts.map((each) => [each.axis, each]));
    (context.shape(x) ?? []).forEach((size, axis) => {
      const found = cut.get(axis);
      const taken = context.shape(y)?.[axis];
      if (found === undefined) return context.tie(at(x, axis), at(y, axis));
      if (found.step !== 1 || typeof size !== 'number' || typeof taken !== 'number') return;
      for (let i = 0; i < taken; i += 1) context.tieAt(at(x, axis), found.start + i, at(y, axis), i);
      context.free(at(x, axis));
      context.free(at(y, axis));
    });
  },
  refit(context) {
    const { node, version } = context;
    const [x] = inputsOf(node);
    const [y] = outputsOf(node);
    const cuts = cutsOf(context);
    if (x === undefined || y === undefined || cuts === undefined) return node;
    if (!cuts.some(({ axis }) => context.kept(at(x, axis)) !== undefined)) return node;
    const ends = listOf(context, 'ends', 2) ?? [];
    const start = cuts.map((cut) => leftBefore(context.kept(at(x, cut.axis)), cut.start));
    const end = cuts.map((cut, i) =>
      context.kept(at(x, cut.axis)) === undefined
        ? (ends[i] as number)
        : (start[i] as number) + Number(context.keptShape(y)?.[cut.axis]),
    );
    const first = cuts.map((cut, i) =>
      context.kept(at(x, cut.axis)) === undefined
        ? (listOf(context, 'starts', 1)?.[i] as number)
        : (start[i] as number),
    );
    if (version < 10)
      return withAttribute(withAttribute(node, 'starts', attr.ints(first)), 'ends', attr.ints(end));
    const list = (name: string, values: readonly number[]) =>
      context.constant(`${node.id}/${name}`, intTensor('int64', [values.length], values));
    return { ...node, inputs: [x, list('starts', first), list('ends', end), ...node.inputs.slice(3)] };
  },
};

/** How many of the indices that are left come before `index`. */
export function leftBefore(kept: readonly number[] | undefined, index: number): number {
  return kept === undefined ? index : kept.filter((each) => each < index).length;
}

/** Constant indices pick channels; with others, the axis they point into stays as it is. */
export const gather: ChannelFlow = {
  flow(context) {
    const { node } = context;
    const [x, indices] = inputsOf(node);
    const [y] = outputsOf(node);
    const from = x === undefined ? undefined : context.shape(x);
    const by = indices === undefined ? undefined : context.shape(indices);
    if (x === undefined || y === undefined || indices === undefined || from === undefined || by === undefined)
      return holdNode(context);
    const axis = positive(intAttribute(node, 'axis', 0), from.length);
    from.forEach((_, each) => {
      if (each !== axis) context.tie(at(x, each), at(y, each < axis ? each : each + by.length - 1));
    });
    const size = from[axis];
    const picks = context.isConstant(indices) ? context.numbers(indices) : undefined;
    if (picks === undefined || typeof size !== 'number' || by.length > 1) {
      context.hold(at(x, axis));
      if (!context.isConstant(indices)) by.forEach((_, i) => context.tie(at(indices, i), at(y, axis + i)));
      return;
    }
    if (by.length === 0) context.hold(at(x, axis), positive(picks[0] as number, size));
    else picks.forEach((pick, i) => context.tieAt(at(x, axis), positive(pick, size), at(y, axis), i));
    context.free(at(x, axis));
    if (by.length === 1) context.free(at(y, axis));
  },
  refit(context) {
    const { node } = context;
    const [x, indices] = inputsOf(node);
    const [y] = outputsOf(node);
    const picks = context.numbers(indices);
    if (x === undefined || y === undefined || indices === undefined || picks === undefined) return node;
    const axis = positive(intAttribute(node, 'axis', 0), context.shape(x)?.length ?? 0);
    const kept = context.kept(at(x, axis));
    if (kept === undefined) return node;
    const size = Number(context.shape(x)?.[axis]);
    const scalar = context.shape(indices)?.length === 0;
    const left = scalar
      ? picks
      : (context.kept(at(y, axis)) ?? picks.map((_, i) => i)).map((i) => picks[i] as number);
    const moved = left.map((pick) => leftBefore(kept, positive(pick, size)));
    const dtype = context.model.dialect === 'onnx' ? 'int64' : 'int32';
    const constant = context.constant(
      `${node.id}/indices`,
      intTensor(dtype, scalar ? [] : [moved.length], moved),
    );
    return { ...node, inputs: node.inputs.map((id, i) => (i === 1 ? constant : id)) };
  },
};
