import { intAttribute } from '../../ir/attribute.ts';
import type { ValueId } from '../../ir/model.ts';
import { indexOf } from '../../ir/walk.ts';
import type { ChannelFlow, FlowContext } from './flow.ts';
import { at, inputsOf, outputsOf, positive } from './flow.ts';

/**
 * The shape of a value as numbers: sizes that somebody may look at stay. Where all readers pick elements by constants,
 * only those are held.
 */
export const shapeOf: ChannelFlow = {
  flow(context) {
    const { node } = context;
    const [x] = inputsOf(node);
    const [y] = outputsOf(node);
    const rank = x === undefined ? undefined : context.shape(x)?.length;
    if (x === undefined || y === undefined || rank === undefined) return;
    const seen =
      node.attributes.has('start') || node.attributes.has('end') ? undefined : readAxes(context, y, rank);
    for (let axis = 0; axis < rank; axis += 1)
      if (seen === undefined || seen.has(axis)) context.hold(at(x, axis));
      else context.free(at(x, axis));
  },
};

/** Operators that hand sizes on, element by element. */
const carriers = new Set(['Slice', 'Gather', 'Concat', 'Squeeze', 'Unsqueeze', 'Cast', 'Identity']);

/** Whether the numbers end up in target shapes only, which are written anew after a cut. */
function onlyTargets(context: FlowContext, id: ValueId): boolean {
  const { uses, isOutput } = indexOf(context.model.graphs[0]);
  if (isOutput.has(id)) return false;
  return (uses.get(id) ?? []).every(({ node, index }) => {
    if ((node.op === 'Reshape' || node.op === 'Expand') && index === 1) return true;
    const [next] = outputsOf(node);
    return carriers.has(node.op) && next !== undefined && onlyTargets(context, next);
  });
}

/** The elements of a shape that its readers take out to compute with; `undefined` when one may take any. */
function readAxes(context: FlowContext, shape: ValueId, rank: number): ReadonlySet<number> | undefined {
  const { uses, isOutput } = indexOf(context.model.graphs[0]);
  if (isOutput.has(shape)) return undefined;
  const seen = new Set<number>();
  for (const { node, index } of uses.get(shape) ?? []) {
    const [next] = outputsOf(node);
    if ((node.op === 'Reshape' || node.op === 'Expand') && index === 1) continue;
    if (carriers.has(node.op) && next !== undefined && onlyTargets(context, next)) continue;
    const picks = index === 0 ? picksOf(context, node, rank) : undefined;
    if (picks === undefined) return undefined;
    for (const pick of picks) seen.add(pick);
  }
  return seen;
}

function picksOf(
  context: FlowContext,
  reader: FlowContext['node'],
  rank: number,
): readonly number[] | undefined {
  if (reader.op === 'Gather' && intAttribute(reader, 'axis', 0) === 0)
    return context.numbers(reader.inputs[1])?.map((pick) => positive(pick, rank));
  if (reader.op !== 'Slice' || reader.inputs.length < 3) return undefined;
  const [start] = context.numbers(reader.inputs[1]) ?? [];
  const [end] = context.numbers(reader.inputs[2]) ?? [];
  const step = reader.inputs[4] ? context.numbers(reader.inputs[4])?.[0] : 1;
  if (start === undefined || end === undefined || step !== 1) return undefined;
  const all = Array.from({ length: rank }, (_, axis) => axis);
  return all.slice(start, end);
}
