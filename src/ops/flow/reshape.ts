import type { ValueId } from '../../ir/model.ts';
import type { Dim } from '../../ir/types.ts';
import type { FlowContext } from './flow.ts';
import { at } from './flow.ts';

/** Runs of axes of both sides with the same number of elements; `undefined` when that cannot be told. */
interface Block {
  readonly from: readonly number[];
  readonly to: readonly number[];
}

/**
 * Ties what a reshape carries over: axes that stay, one axis that becomes several and several that become one. Where
 * several become several others, and where sizes are not known, everything is held.
 */
export function tieReshape(context: FlowContext, x: ValueId, y: ValueId): void {
  const from = context.shape(x);
  const to = context.shape(y);
  if (from === undefined || to === undefined) {
    context.holdAll(x);
    context.holdAll(y);
    return;
  }
  for (const block of blocksOf(from, to)) {
    const left = block.from.filter((axis) => from[axis] !== 1);
    const right = block.to.filter((axis) => to[axis] !== 1);
    const [one, other] = [left[0], right[0]];
    if (left.length === 1 && right.length === 1 && one !== undefined && other !== undefined)
      context.tie(at(x, one), at(y, other));
    else if (left.length === 1 && one !== undefined)
      context.product(
        at(x, one),
        right.map((axis) => at(y, axis)),
      );
    else if (right.length === 1 && other !== undefined)
      context.product(
        at(y, other),
        left.map((axis) => at(x, axis)),
      );
    else {
      for (const axis of left) context.hold(at(x, axis));
      for (const axis of right) context.hold(at(y, axis));
    }
  }
}

function blocksOf(from: readonly Dim[], to: readonly Dim[]): Block[] {
  const blocks: Block[] = [];
  let i = 0;
  let j = 0;
  while (i < from.length || j < to.length) {
    const block = nextBlock(from, to, i, j);
    blocks.push(block);
    i += block.from.length;
    j += block.to.length;
  }
  return blocks;
}

/** The shortest run from here on that holds the same elements on both sides; all the rest when there is none. */
function nextBlock(from: readonly Dim[], to: readonly Dim[], i: number, j: number): Block {
  const range = (start: number, end: number) => Array.from({ length: end - start }, (_, k) => start + k);
  const [a, b] = [from[i], to[j]];
  if (a === 1) return { from: [i], to: [] };
  if (b === 1) return { from: [], to: [j] };
  if (a !== null && a !== undefined && a === b) return { from: [i], to: [j] };
  let left = typeof a === 'number' ? a : Number.NaN;
  let right = typeof b === 'number' ? b : Number.NaN;
  let [endLeft, endRight] = [i + 1, j + 1];
  while (left !== right) {
    const takeLeft = left < right;
    const next = takeLeft ? from[endLeft] : to[endRight];
    if (typeof next !== 'number' || next === 0 || Number.isNaN(left) || Number.isNaN(right))
      return { from: range(i, from.length), to: range(j, to.length) };
    if (takeLeft) {
      left *= next;
      endLeft += 1;
    } else {
      right *= next;
      endRight += 1;
    }
  }
  return { from: range(i, endLeft), to: range(j, endRight) };
}

/**
 * A target shape that says `shape`: sizes that are numbers, 0 for a size copied from the input at the same place, one
 * -1. `undefined` when that does not suffice.
 */
export function targetOf(
  shape: readonly Dim[],
  input: readonly Dim[] | undefined,
  zeroCopies: boolean,
): number[] | undefined {
  let open = false;
  const target: number[] = [];
  for (const [axis, dim] of shape.entries()) {
    if (typeof dim === 'number') target.push(dim);
    else if (zeroCopies && dim !== null && input?.[axis] === dim) target.push(0);
    else if (open) return undefined;
    else {
      open = true;
      target.push(-1);
    }
  }
  return target;
}
