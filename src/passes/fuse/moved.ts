import { intAttribute, intsAttribute } from '../../ir/attribute.ts';
import type { Graph, Node, ValueId } from '../../ir/model.ts';
import { readIntegers } from '../../ir/numbers.ts';
import { indexOf } from '../../ir/walk.ts';
import { readableConstant, stridesOf } from '../support/constants.ts';
import type { Facts } from '../support/facts.ts';
import { isOnnxOp } from '../support/graph.ts';

/** A value whose elements are elements of another one, moved about. */
export interface Moved {
  readonly source: ValueId;
  /** Of the source, row-major. */
  readonly from: Int32Array;
  readonly dims: readonly number[];
}

/** Dimensions with a small number in the place of each free one: data movement that holds for it holds for all. */
export type DimsOf = (id: ValueId | null | undefined) => readonly number[] | undefined;

/** Numbers that free dimensions take, distinct so that they are not mixed up. */
const standIns = [2, 3, 5];
/** Values beyond this are not followed. */
const mostElements = 4e6;

/** Gives dimensions of values by their types; `undefined` where one is unknown, or too many are free. */
export function dimsWithStandIns(facts: Facts): DimsOf {
  const names = new Map<string, number>();
  return (id) => {
    const shape = facts.typeOf(id)?.shape;
    if (shape === undefined) return undefined;
    const dims: number[] = [];
    for (const dim of shape) {
      if (dim === null) return undefined;
      if (typeof dim === 'string' && !names.has(dim)) {
        const next = standIns[names.size];
        if (next === undefined) return undefined;
        names.set(dim, next);
      }
      dims.push(typeof dim === 'string' ? (names.get(dim) as number) : dim);
    }
    return dims.reduce((product, dim) => product * dim, 1) <= mostElements ? dims : undefined;
  };
}

/** Where the elements of a value come from, through everything that only moves them. */
export function movedFrom(graph: Graph, dimsOf: DimsOf, id: ValueId): Moved | undefined {
  const chain: { readonly node: Node; readonly output: ValueId }[] = [];
  const { producer } = indexOf(graph);
  let source = id;
  for (let node = producer.get(source); node !== undefined && isMovement(node); node = producer.get(source)) {
    chain.unshift({ node, output: source });
    source = node.inputs[0] as ValueId;
  }
  const dims = dimsOf(source);
  if (dims === undefined) return undefined;
  let moved: Moved = { source, from: Int32Array.from({ length: countOf(dims) }, (_, i) => i), dims };
  for (const { node, output } of chain) {
    const next = movedBy(graph, dimsOf, node, output, moved);
    if (next === undefined) return undefined;
    moved = next;
  }
  return moved;
}

export function countOf(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

const reshapes = ['Reshape', 'Squeeze', 'Unsqueeze', 'Flatten', 'Identity'] as const;

function isMovement(node: Node): boolean {
  return node.inputs[0] != null && isOnnxOp(node, ...reshapes, 'Transpose', 'Slice', 'Split', 'Gather');
}

/** One step of data movement; `undefined` when it is none, or cannot be told. */
export function movedBy(
  graph: Graph,
  dimsOf: DimsOf,
  node: Node,
  output: ValueId,
  { source, from, dims }: Moved,
): Moved | undefined {
  const after = dimsOf(output);
  if (after === undefined) return undefined;
  if (isOnnxOp(node, ...reshapes))
    return countOf(after) === from.length ? { source, from, dims: after } : undefined;
  if (isOnnxOp(node, 'Transpose')) {
    const perm = intsAttribute(node, 'perm') ?? dims.map((_, axis) => dims.length - 1 - axis);
    const strides = stridesOf(dims);
    return picked(
      source,
      from,
      after,
      0,
      perm.map((axis) => strides[axis] as number),
    );
  }
  const part = partOf(graph, dimsOf, node, output, dims);
  if (part === undefined) return undefined;
  const strides = stridesOf(dims);
  const kept = isOnnxOp(node, 'Gather') ? strides.filter((_, axis) => axis !== part.axis) : strides;
  return picked(source, from, after, part.start * (strides[part.axis] as number), kept);
}

function picked(
  source: ValueId,
  from: Int32Array,
  dims: readonly number[],
  start: number,
  steps: readonly number[],
): Moved | undefined {
  if (steps.length !== dims.length) return undefined;
  const out = new Int32Array(countOf(dims));
  const at = dims.map(() => 0);
  let place = start;
  for (let i = 0; i < out.length; i += 1) {
    const value = from[place];
    if (value === undefined) return undefined;
    out[i] = value;
    for (let axis = dims.length - 1; axis >= 0; axis -= 1) {
      place += steps[axis] as number;
      at[axis] = (at[axis] as number) + 1;
      if (at[axis] !== dims[axis]) break;
      place -= (steps[axis] as number) * (dims[axis] as number);
      at[axis] = 0;
    }
  }
  return { source, from: out, dims };
}

/** The run of indices along one axis that a Slice, Split or Gather takes. */
function partOf(
  graph: Graph,
  dimsOf: DimsOf,
  node: Node,
  output: ValueId,
  dims: readonly number[],
): { readonly axis: number; readonly start: number } | undefined {
  const known = (index: number) => {
    const tensor = readableConstant(graph, node.inputs[index]);
    return tensor && readIntegers(tensor);
  };
  const positive = (axis: number) => (axis < 0 ? axis + dims.length : axis);
  if (isOnnxOp(node, 'Gather')) {
    const tensor = readableConstant(graph, node.inputs[1]);
    const [index] = known(1) ?? [];
    const axis = positive(intAttribute(node, 'axis', 0));
    if (index === undefined || tensor?.dims.length !== 0) return undefined;
    return { axis, start: index < 0 ? index + (dims[axis] as number) : index };
  }
  if (isOnnxOp(node, 'Split')) {
    const axis = positive(intAttribute(node, 'axis', 0));
    let start = 0;
    for (const id of node.outputs) {
      if (id === output) return { axis, start };
      const size = dimsOf(id)?.[axis];
      if (size === undefined) return undefined;
      start += size;
    }
    return undefined;
  }
  const [starts, axes, steps] = [known(1), known(3), known(4)];
  if (starts?.length !== 1 || axes?.length !== 1 || (steps !== undefined && steps[0] !== 1)) return undefined;
  const axis = positive(axes[0] as number);
  const [start] = starts as [number];
  return { axis, start: start < 0 ? start + (dims[axis] as number) : start };
}
