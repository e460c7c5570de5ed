import { intsAttribute } from '../../ir/attribute.ts';
import type { Model, Node, ValueId } from '../../ir/model.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { Dim, Shape } from '../../ir/types.ts';

/** One axis of a value. */
export interface AxisOfValue {
  readonly id: ValueId;
  readonly axis: number;
}

/** What is known of one node's operands. */
export interface Operands {
  readonly node: Node;
  readonly model: Model;
  /** ONNX: the imported version of the default domain. TFLite: the operator's version. */
  readonly version: number;
  shape(id: ValueId): Shape | undefined;
  /** Numbers of a small integer tensor, row-major, when all are known. */
  numbers(id: ValueId | null | undefined): readonly number[] | undefined;
}

/**
 * What a flow rule says of one node. Two indices that are tied stand for one channel: removed from one axis, they go
 * from the other. What is held stays. Axes of inputs and outputs that a rule does not mention are held.
 */
export interface FlowContext extends Operands {
  /** Like `numbers`; elements that are not known are symbols or `null`. */
  content(id: ValueId | null | undefined): readonly Dim[] | undefined;
  isConstant(id: ValueId | null | undefined): boolean;
  /** Index by index; holds both when the sizes differ or are not numbers. */
  tie(a: AxisOfValue, b: AxisOfValue): void;
  tieAt(a: AxisOfValue, i: number, b: AxisOfValue, j: number): void;
  /** Without a place, the whole axis. */
  hold(axis: AxisOfValue, index?: number): void;
  holdAll(id: ValueId): void;
  /** The axis stands on its own: nothing here depends on which of its indices are left. */
  free(axis: AxisOfValue): void;
  /** `flat` is the row-major product of `parts`: removing an index of one part takes all its combinations. */
  product(flat: AxisOfValue, parts: readonly AxisOfValue[]): void;
}

/** What a node needs to know when indices are gone from its operands, which `shape` and `numbers` give as they were before. */
export interface RefitContext extends Operands {
  /** The indices that are left of an axis; `undefined` when all are. */
  kept(axis: AxisOfValue): readonly number[] | undefined;
  /** The shape afterwards. */
  keptShape(id: ValueId): Shape | undefined;
  /** Stores a parameter for this node alone. */
  constant(base: string, tensor: Tensor): ValueId;
}

/** How channels flow through an operator. Constants that hold channels need no `refit`: they are cut like any value. */
export interface ChannelFlow {
  flow(context: FlowContext): void;
  /** The node with attributes and parameters that fit what is left. Called when something of its operands went. */
  refit?(context: RefitContext): Node;
}

export type FlowTable = Readonly<Record<string, ChannelFlow>>;

/** The operators of a list, names apart by spaces, that pass channels on in the same way. */
export function alike(names: string, flow: ChannelFlow): FlowTable {
  return Object.fromEntries(names.split(' ').map((name) => [name, flow]));
}

/** The present inputs. */
export function inputsOf(node: Node): readonly ValueId[] {
  return node.inputs.filter((id): id is ValueId => id !== null && id !== '');
}

export function outputsOf(node: Node): readonly ValueId[] {
  return node.outputs.filter((id): id is ValueId => id !== null && id !== '');
}

export function at(id: ValueId, axis: number): AxisOfValue {
  return { id, axis };
}

/** An input that may be left out. */
export function optional(node: Node, index: number): ValueId | undefined {
  const id = node.inputs[index];
  return id === null || id === undefined || id === '' ? undefined : id;
}

/** `axis` counted from the front for a value of this rank. */
export function positive(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}

/** All axes of two values of one rank, except those in `held`, which stay on both sides. */
export function tieAll(context: FlowContext, a: ValueId, b: ValueId, held: ReadonlySet<number> = new Set()) {
  const left = context.shape(a);
  const right = context.shape(b);
  if (left === undefined || right === undefined || left.length !== right.length) {
    context.holdAll(a);
    context.holdAll(b);
    return;
  }
  for (let axis = 0; axis < left.length; axis += 1) {
    if (!held.has(axis)) context.tie(at(a, axis), at(b, axis));
    else {
      context.hold(at(a, axis));
      context.hold(at(b, axis));
    }
  }
}

/** NumPy broadcasting of an operand into the result, aligned at the last axis; an axis of size 1 serves every index. */
export function tieBroadcast(context: FlowContext, operand: ValueId, result: ValueId): void {
  const from = context.shape(operand);
  const to = context.shape(result);
  if (from === undefined || to === undefined || from.length > to.length) {
    context.holdAll(operand);
    context.holdAll(result);
    return;
  }
  const shift = to.length - from.length;
  from.forEach((dim, axis) => {
    if (dim === 1) context.hold(at(operand, axis));
    else context.tie(at(operand, axis), at(result, axis + shift));
  });
  for (let axis = 0; axis < to.length; axis += 1) context.free(at(result, axis));
}

/** Holds everything that the node touches. */
export function holdNode(context: FlowContext): void {
  for (const id of [...inputsOf(context.node), ...outputsOf(context.node)]) context.holdAll(id);
}

/** The first output follows the first input axis by axis; other operands are parameters without channels. */
export function unary(
  held: (context: FlowContext, rank: number) => ReadonlySet<number> = () => new Set(),
): ChannelFlow {
  return {
    flow(context) {
      const [x] = inputsOf(context.node);
      const [y] = outputsOf(context.node);
      if (x === undefined || y === undefined) return;
      tieAll(context, x, y, held(context, context.shape(x)?.length ?? 0));
    },
  };
}

/** Every input is broadcast into the only output. */
export const elementwise: ChannelFlow = {
  flow(context) {
    const [y] = outputsOf(context.node);
    if (y !== undefined) for (const x of inputsOf(context.node)) tieBroadcast(context, x, y);
  },
};

/** A list that newer versions give as input `index` and older ones as an attribute. */
export function listOf(context: Operands, name: string, index: number): readonly number[] | undefined {
  const id = optional(context.node, index);
  return id === undefined ? intsAttribute(context.node, name) : context.numbers(id);
}
