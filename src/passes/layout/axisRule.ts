import type { GraphEditor } from '../../ir/edit.ts';
import type { Model, Node, ValueId } from '../../ir/model.ts';
import { isInteger } from '../../ir/dtype.ts';
import { readIntegers } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { readableConstant } from '../support/constants.ts';
import type { Facts } from '../support/facts.ts';
import type { Order } from './order.ts';

/** An operator that works the same whatever the order of the axes, once what names axes follows. */
export interface Indifferent {
  /** Values whose axes change place together. */
  readonly values: readonly ValueId[];
  /** Orders that it cannot follow, when there are any. */
  refuses?(order: Order): boolean;
  /** The node for values whose axes are in this order; constants that it needs go into the editor. */
  reordered(order: Order, editor: GraphEditor): Node;
}

export interface Surroundings {
  readonly model: Model;
  readonly facts: Facts;
}

export type Rule = (around: Surroundings, node: Node) => Indifferent | undefined;

export function rankOf({ facts }: Surroundings, id: ValueId | null | undefined): number | undefined {
  return facts.typeOf(id)?.shape?.length;
}

export function constant({ model }: Surroundings, node: Node, index: number): Tensor | undefined {
  return readableConstant(model.graphs[0], node.inputs[index]);
}

/** A constant list of integers; damaged files have other types in such places. */
export function integers(around: Surroundings, node: Node, index: number): readonly number[] | undefined {
  const tensor = constant(around, node, index);
  return tensor !== undefined && isInteger(tensor.dtype) ? readIntegers(tensor) : undefined;
}

export function made(node: Node): readonly ValueId[] {
  return node.outputs.filter((id) => id !== null);
}
