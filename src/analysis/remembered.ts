import type { Node } from '../ir/model.ts';
import type { Shape, ValueType } from '../ir/types.ts';
import type { Known } from '../ops/operator.ts';
import type { LayerCost } from './report.ts';

/**
 * Models share the nodes that an edit left alone. What was worked out for a node holds as long as everything its rule
 * looked at is the same; then the former result is the new one, the very object, so that whoever reads it finds the same
 * again. Rules that looked at more than their node's surroundings are not remembered.
 */

/** What decides the types of a node's outputs. */
interface InferenceGround {
  readonly opsets: ReadonlyMap<string, number>;
  /** The free dimensions and their numbers, as text. */
  readonly bound: string;
  readonly inputs: readonly Known[];
  /** Declared types of the outputs. */
  readonly declared: readonly (ValueType | undefined)[];
}

/** Per output; `undefined` where nothing is known. */
export type InferredOutputs = readonly (Known | undefined)[];

/** What decides the cost of a node. */
interface CostGround {
  readonly opsets: ReadonlyMap<string, number>;
  readonly inputs: readonly (Known | undefined)[];
  readonly outputs: readonly (Known | undefined)[];
  /** 1 for inputs, then outputs, that follow from constants alone. */
  readonly derived: readonly boolean[];
  readonly params: number;
  readonly weightBytes: number;
}

interface Entry<Ground, Result> {
  readonly ground: Ground;
  readonly result: Result;
}

/** Results per node: passes look at models with their dimensions free, the analysis with a batch of 1. */
const mostPerNode = 3;

class Memory<Ground, Result> {
  readonly #entries = new WeakMap<Node, Entry<Ground, Result>[]>();
  readonly #same: (a: Ground, b: Ground) => boolean;

  constructor(same: (a: Ground, b: Ground) => boolean) {
    this.#same = same;
  }

  find(node: Node, ground: Ground): Result | undefined {
    return this.#entries.get(node)?.find((entry) => this.#same(entry.ground, ground))?.result;
  }

  keep(node: Node, ground: Ground, result: Result): void {
    const entries = this.#entries.get(node);
    if (entries === undefined) this.#entries.set(node, [{ ground, result }]);
    else if (entries.push({ ground, result }) > mostPerNode) entries.shift();
  }
}

export const inferences = new Memory<InferenceGround, InferredOutputs>(
  (a, b) =>
    a.opsets === b.opsets &&
    a.bound === b.bound &&
    alike(a.declared, b.declared, Object.is) &&
    alike(a.inputs, b.inputs, sameKnown),
);

export const costs = new Memory<CostGround, LayerCost>(
  (a, b) =>
    a.opsets === b.opsets &&
    a.params === b.params &&
    a.weightBytes === b.weightBytes &&
    alike(a.inputs, b.inputs, sameKnown) &&
    alike(a.outputs, b.outputs, sameKnown) &&
    alike(a.derived, b.derived, Object.is),
);

function alike<T>(a: readonly T[], b: readonly T[], same: (x: T, y: T) => boolean): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i += 1) if (!same(a[i] as T, b[i] as T)) return false;
  return true;
}

/** Mostly the same object; what a replaced node made may say the same in another object. */
function sameKnown(a: Known | undefined, b: Known | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined) return false;
  if (a.constant !== b.constant || a.elements !== b.elements || !sameType(a.type, b.type)) return false;
  // A constant's content is read when it is asked for.
  return a.constant !== undefined || sameDims(a.content, b.content);
}

function sameType(a: ValueType | undefined, b: ValueType | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined) return false;
  if ((a.kind !== 'tensor' && a.kind !== 'sparse') || a.kind !== b.kind) return false;
  return a.dtype === b.dtype && sameDims(a.shape, b.shape);
}

function sameDims(a: Shape | undefined, b: Shape | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && alike(a, b, Object.is));
}
