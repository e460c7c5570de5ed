import { bodiesOf } from '../../ir/attribute.ts';
import type { Model, Node, ValueId } from '../../ir/model.ts';
import { feedsOf } from '../../ir/model.ts';
import { capturesOf } from '../../ir/walk.ts';
import type { AxisOfValue, FlowContext } from '../../ops/flow/flow.ts';
import { inputsOf, outputsOf } from '../../ops/flow/flow.ts';
import { operatorOf } from '../../ops/registry.ts';
import { constantOf } from '../support/constants.ts';
import { factsOf } from '../support/facts.ts';
import { operandsOf } from './operands.ts';

/** Which indices of which axes stand for one channel, all over the main graph. */
export interface Channels {
  /** The class of every index of an axis; `undefined` when the axis has no known size. */
  classesOf(axis: AxisOfValue): Int32Array | undefined;
  /** Why the channels of a class have to stay; `undefined` when they may go. */
  heldBy(of: number): string | undefined;
  /** Every axis with a known size. */
  readonly axes: readonly AxisOfValue[];
}

/** Longer axes are not followed: no weight has so many channels. */
const longestAxis = 1 << 17;

interface Product {
  readonly flat: AxisOfValue;
  readonly parts: readonly AxisOfValue[];
  readonly why: string;
}

/**
 * Follows channels through the main graph by the operators' flow rules: two indices are in one class when neither can go
 * without the other. Operators that say nothing, and axes that a rule does not mention, keep all of their indices.
 */
export function channelsOf(model: Model): Channels {
  const [graph] = model.graphs;
  const facts = factsOf(model);
  const table = new ElementTable((id) => facts.typeOf(id)?.shape);
  for (const { id } of feedsOf(graph)) table.holdAll(id, 'an input of the model');
  for (const id of graph.outputs) table.holdAll(id, 'an output of the model');
  const products: Product[] = [];
  for (const node of graph.nodes) visit(model, node, table, products);
  settle(table, products);
  return {
    axes: table.axes,
    classesOf: (axis) => table.classesOf(axis),
    heldBy: (of) => table.reasons.get(of),
  };

  function visit(of: Model, node: Node, into: ElementTable, found: Product[]): void {
    const why = `${node.op} ${node.name || node.id}`;
    const rule = bodiesOf(node).length > 0 ? undefined : operatorOf(of, node)?.channels;
    for (const body of bodiesOf(node)) for (const id of capturesOf(body)) into.holdAll(id, why);
    into.mentioned.clear();
    rule?.flow(contextOf(of, node, into, found, why));
    for (const id of [...inputsOf(node), ...outputsOf(node)]) into.holdOthers(id, why);
  }
}

function contextOf(
  model: Model,
  node: Node,
  table: ElementTable,
  products: Product[],
  why: string,
): FlowContext {
  const facts = factsOf(model);
  const [graph] = model.graphs;
  return {
    ...operandsOf(model, node),
    content: (id) => facts.contentOf(id),
    isConstant: (id) => id != null && constantOf(graph, id) !== undefined,
    tie: (a, b) => table.tie(a, b, why),
    tieAt: (a, i, b, j) => table.tieAt(a, i, b, j, why),
    hold: (axis, index) => table.hold(axis, index, why),
    holdAll: (id) => table.holdAll(id, why),
    free: (axis) => table.mention(axis),
    product(flat, parts) {
      for (const axis of [flat, ...parts]) table.mention(axis);
      products.push({ flat, parts, why });
    },
  };
}

/**
 * A reshape that splits or joins axes lets the indices of one of the smaller axes go; the others are then held. Where
 * only one is left to choose, it is chosen at once; otherwise the outermost, which are the heads of an attention.
 */
function settle(table: ElementTable, products: readonly Product[]): void {
  let open = [...products];
  while (open.length > 0) {
    const decided = open.filter(({ flat, parts }) => choicesFor(table, flat, parts).length < 2);
    const now = decided.length > 0 ? decided : open.slice(0, 1);
    for (const { flat, parts, why } of now) {
      const [chosen] = choicesFor(table, flat, parts);
      for (const part of parts) if (part !== chosen) table.hold(part, undefined, why);
      if (chosen === undefined) table.hold(flat, undefined, why);
      else tieToPart(table, flat, parts, chosen, why);
    }
    open = open.filter((product) => !now.includes(product));
  }
}

function choicesFor(
  table: ElementTable,
  flat: AxisOfValue,
  parts: readonly AxisOfValue[],
): readonly AxisOfValue[] {
  return table.isHeld(flat) ? [] : parts.filter((part) => !table.isHeld(part));
}

function tieToPart(
  table: ElementTable,
  flat: AxisOfValue,
  parts: readonly AxisOfValue[],
  chosen: AxisOfValue,
  why: string,
): void {
  const sizes = parts.map((part) => table.sizeOf(part) ?? 1);
  const at = parts.indexOf(chosen);
  const inner = sizes.slice(at + 1).reduce((product, size) => product * size, 1);
  const size = sizes[at] as number;
  if (sizes.reduce((product, each) => product * each, 1) !== table.sizeOf(flat)) {
    for (const axis of [flat, chosen]) table.hold(axis, undefined, why);
    return;
  }
  const count = table.sizeOf(flat) ?? 0;
  for (let i = 0; i < count; i += 1) table.tieAt(flat, i, chosen, Math.floor(i / inner) % size, why);
}

/** Union-find over all indices of all axes. */
class ElementTable {
  readonly axes: AxisOfValue[] = [];
  /** By root. */
  readonly reasons = new Map<number, string>();
  /** First elements of the axes that the rule of the present node spoke of. */
  readonly mentioned = new Set<number>();
  readonly #shape: (id: ValueId) => readonly (number | string | null)[] | undefined;
  readonly #first = new Map<ValueId, readonly (number | undefined)[]>();
  readonly #parent: number[] = [];

  constructor(shape: (id: ValueId) => readonly (number | string | null)[] | undefined) {
    this.#shape = shape;
  }

  sizeOf({ id, axis }: AxisOfValue): number | undefined {
    const size = this.#shape(id)?.[axis];
    return typeof size === 'number' && size <= longestAxis ? size : undefined;
  }

  #firstOf({ id, axis }: AxisOfValue): number | undefined {
    let firsts = this.#first.get(id);
    if (firsts === undefined) {
      firsts = (this.#shape(id) ?? []).map((_, each) => this.#grow({ id, axis: each }));
      this.#first.set(id, firsts);
    }
    return firsts[axis];
  }

  #grow(axis: AxisOfValue): number | undefined {
    const size = this.sizeOf(axis);
    if (size === undefined || size === 0) return undefined;
    const first = this.#parent.length;
    for (let i = 0; i < size; i += 1) this.#parent.push(first + i);
    this.axes.push(axis);
    return first;
  }

  find(element: number): number {
    let at = element;
    while (this.#parent[at] !== at) {
      this.#parent[at] = this.#parent[this.#parent[at] as number] as number;
      at = this.#parent[at] as number;
    }
    return at;
  }

  mention(axis: AxisOfValue): void {
    const first = this.#firstOf(axis);
    if (first !== undefined) this.mentioned.add(first);
  }

  #union(a: number, b: number): void {
    const [left, right] = [this.find(a), this.find(b)];
    if (left === right) return;
    this.#parent[right] = left;
    const reason = this.reasons.get(right);
    this.reasons.delete(right);
    if (reason !== undefined && !this.reasons.has(left)) this.reasons.set(left, reason);
  }

  tie(a: AxisOfValue, b: AxisOfValue, why: string): void {
    const size = this.sizeOf(a);
    const [left, right] = [this.#firstOf(a), this.#firstOf(b)];
    this.mention(a);
    this.mention(b);
    if (left === undefined || right === undefined || size !== this.sizeOf(b)) {
      this.hold(a, undefined, why);
      this.hold(b, undefined, why);
    } else for (let i = 0; i < (size ?? 0); i += 1) this.#union(left + i, right + i);
  }

  tieAt(a: AxisOfValue, i: number, b: AxisOfValue, j: number, why: string): void {
    const [left, right] = [this.#firstOf(a), this.#firstOf(b)];
    this.mention(a);
    this.mention(b);
    const inside = i >= 0 && j >= 0 && i < (this.sizeOf(a) ?? 0) && j < (this.sizeOf(b) ?? 0);
    if (left !== undefined && right !== undefined && inside) this.#union(left + i, right + j);
    else {
      this.hold(a, undefined, why);
      this.hold(b, undefined, why);
    }
  }

  hold(axis: AxisOfValue, index: number | undefined, why: string): void {
    const first = this.#firstOf(axis);
    if (first === undefined) return;
    this.mentioned.add(first);
    const mark = (i: number) => {
      const root = this.find(first + i);
      if (!this.reasons.has(root)) this.reasons.set(root, why);
    };
    if (index !== undefined) mark(index);
    else for (let i = 0; i < (this.sizeOf(axis) ?? 0); i += 1) mark(i);
  }

  holdAll(id: ValueId, why: string): void {
    (this.#shape(id) ?? []).forEach((_, axis) => this.hold({ id, axis }, undefined, why));
  }

  /** Holds the axes of a value that the present node's rule did not mention. */
  holdOthers(id: ValueId, why: string): void {
    (this.#shape(id) ?? []).forEach((_, axis) => {
      const first = this.#firstOf({ id, axis });
      if (first !== undefined && !this.mentioned.has(first)) this.hold({ id, axis }, undefined, why);
    });
  }

  isHeld(axis: AxisOfValue): boolean {
    const first = this.#firstOf(axis);
    if (first === undefined) return true;
    for (let i = 0; i < (this.sizeOf(axis) ?? 0); i += 1)
      if (!this.reasons.has(this.find(first + i))) return false;
    return true;
  }

  classesOf(axis: AxisOfValue): Int32Array | undefined {
    const first = this.#firstOf(axis);
    if (first === undefined) return undefined;
    return Int32Array.from({ length: this.sizeOf(axis) ?? 0 }, (_, i) => this.find(first + i));
  }
}
