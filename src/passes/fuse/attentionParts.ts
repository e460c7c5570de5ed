import type { Graph, Node, ValueId } from '../../ir/model.ts';
import { readFloats, readIntegers, sizeOf } from '../../ir/numbers.ts';
import { indexOf } from '../../ir/walk.ts';
import { constantOf, readableConstant } from '../support/constants.ts';
import { isOnnxOp, soleReader } from '../support/graph.ts';
import type { DimsOf, Moved } from './moved.ts';
import { countOf, movedBy, movedFrom } from './moved.ts';

/** Batch, sequence, heads, and width of a head. */
export interface Sizes {
  readonly b: number;
  readonly s: number;
  readonly h: number;
  readonly d: number;
}

/** One of query, key and value: columns of a dense layer's outputs, head by head. */
export interface Projection {
  readonly x: ValueId;
  readonly weight: ValueId;
  readonly bias: ValueId | undefined;
  readonly columns: Int32Array;
  /** Whether the sequence comes before the batch. */
  readonly sequenceFirst: boolean;
}

export interface Scores {
  readonly left: ValueId;
  readonly right: ValueId;
  readonly scale: number;
  readonly mask: ValueId | undefined;
}

/** What is multiplied before the softmax: factors by themselves, and a constant that is added behind them. */
export function scoresOf(graph: Graph, id: ValueId): Scores | undefined {
  const { producer } = indexOf(graph);
  let scale = 1;
  let mask: ValueId | undefined;
  for (let at: ValueId = id; ; ) {
    const node = producer.get(at);
    if (node === undefined || soleReader(graph, at) === undefined) return undefined;
    if (isOnnxOp(node, 'MatMul')) {
      const [left, right] = node.inputs.map((input) => unscaled(graph, input as ValueId));
      if (left === undefined || right === undefined) return undefined;
      return { left: left.id, right: right.id, scale: scale * left.scale * right.scale, mask };
    }
    const sum =
      isOnnxOp(node, 'Add') && mask === undefined && scale === 1 ? besideConstant(graph, node) : undefined;
    const product = sum === undefined ? scaledBy(graph, node) : undefined;
    if (sum !== undefined) [at, mask] = sum;
    else if (product !== undefined) {
      at = product.id;
      scale *= product.scale;
    } else return undefined;
  }
}

function besideConstant(graph: Graph, node: Node): readonly [ValueId, ValueId] | undefined {
  const at = node.inputs.findIndex((id) => constantOf(graph, id) !== undefined);
  const [constant, other] = [node.inputs[at], node.inputs[1 - at]];
  return constant == null || other == null ? undefined : [other, constant];
}

interface Scaled {
  readonly id: ValueId;
  readonly scale: number;
}

/** Mul or Div by one number. */
function scaledBy(graph: Graph, node: Node): Scaled | undefined {
  if (!isOnnxOp(node, 'Mul', 'Div')) return undefined;
  const sides = isOnnxOp(node, 'Mul') ? [0, 1] : [1];
  for (const side of sides) {
    const tensor = readableConstant(graph, node.inputs[side]);
    const other = node.inputs[1 - side];
    if (tensor?.dtype !== 'float32' || sizeOf(tensor) !== 1 || other == null) continue;
    const factor = readFloats(tensor)[0] as number;
    return { id: other, scale: isOnnxOp(node, 'Mul') ? factor : 1 / factor };
  }
  return undefined;
}

function unscaled(graph: Graph, id: ValueId): Scaled | undefined {
  const node = indexOf(graph).producer.get(id);
  const scaled = node && soleReader(graph, id) ? scaledBy(graph, node) : undefined;
  return scaled ?? { id, scale: 1 };
}

export function sizesOf(
  graph: Graph,
  dimsOf: DimsOf,
  probabilities: ValueId,
  context: Node,
): Sizes | undefined {
  const weights = dimsOf(probabilities);
  const values = dimsOf(context.outputs[0]);
  const s = weights?.at(-1);
  const d = values?.at(-1);
  if (weights === undefined || values === undefined || s === undefined || d === undefined) return undefined;
  if (weights.at(-2) !== s) return undefined;
  // Heads and batch may be one axis: the projection's width tells the heads.
  const moved = movedFrom(graph, dimsOf, context.inputs[1] as ValueId);
  const layers = countOf(weights) / (s * s);
  const rows = moved && countOf(dimsOf(moved.source) ?? []) / (dimsOf(moved.source)?.at(-1) ?? 0);
  const b = rows === undefined ? 0 : rows / s;
  const h = layers / b;
  return Number.isInteger(b) && Number.isInteger(h) && b > 0 ? { b, s, h, d } : undefined;
}

/** The dense layer that makes a [b, h, s, d] value, and which of its outputs become which element of a head. */
export function projectionOf(
  graph: Graph,
  dimsOf: DimsOf,
  id: ValueId,
  { b, s, h, d }: Sizes,
  order: 'bhsd' | 'bhds',
): Projection | undefined {
  const moved = movedFrom(graph, dimsOf, id);
  const made = moved && denseOf(graph, moved.source);
  const rows = made && dimsOf(made.x);
  const width = made && dimsOf(moved.source)?.at(-1);
  if (moved === undefined || made === undefined || width === undefined || rows?.length !== 3)
    return undefined;
  if (moved.from.length !== b * h * s * d) return undefined;
  const orders = [
    rows[0] === b && rows[1] === s ? [false] : [],
    rows[0] === s && rows[1] === b ? [true] : [],
  ];
  for (const sequenceFirst of orders.flat()) {
    const columns = columnsOf(moved, { b, s, h, d }, width, order, sequenceFirst);
    if (columns !== undefined) return { ...made, columns, sequenceFirst };
  }
  return undefined;
}

function columnsOf(
  { from }: Moved,
  { b, s, h, d }: Sizes,
  width: number,
  order: 'bhsd' | 'bhds',
  sequenceFirst: boolean,
): Int32Array | undefined {
  const columns = new Int32Array(h * d);
  const place = (i: number, k: number, j: number, e: number) =>
    order === 'bhsd' ? ((i * h + k) * s + j) * d + e : ((i * h + k) * d + e) * s + j;
  for (let k = 0; k < h; k += 1)
    for (let e = 0; e < d; e += 1) {
      const column = (from[place(0, k, 0, e)] as number) % width;
      columns[k * d + e] = column;
      for (let i = 0; i < b; i += 1)
        for (let j = 0; j < s; j += 1) {
          const row = sequenceFirst ? j * b + i : i * s + j;
          if (from[place(i, k, j, e)] !== row * width + column) return undefined;
        }
    }
  return columns;
}

/** MatMul with a constant matrix, and the constant vector added to it. */
function denseOf(graph: Graph, id: ValueId): Pick<Projection, 'x' | 'weight' | 'bias'> | undefined {
  const { producer } = indexOf(graph);
  const last = producer.get(id);
  const sum = last !== undefined && isOnnxOp(last, 'Add') ? besideConstant(graph, last) : undefined;
  const product = sum === undefined ? last : producer.get(sum[0]);
  if (product === undefined || !isOnnxOp(product, 'MatMul')) return undefined;
  const [x, weight] = product.inputs;
  if (x == null || weight == null || constantOf(graph, weight)?.dims.length !== 2) return undefined;
  if (sum !== undefined && constantOf(graph, sum[1])?.dims.length !== 1) return undefined;
  return { x, weight, bias: sum?.[1] };
}

export interface End {
  readonly id: ValueId;
  /** The operator that makes it now. */
  readonly node: Node;
  readonly sequenceFirst: boolean;
  /** A Reshape from three axes that has to stay. */
  readonly reshape: boolean;
}

/** Where the heads stand side by side again. */
export function endOf(graph: Graph, dimsOf: DimsOf, id: ValueId, { b, s, h, d }: Sizes): End | undefined {
  const dims = dimsOf(id);
  if (dims === undefined) return undefined;
  let moved: Moved = { source: id, from: Int32Array.from({ length: countOf(dims) }, (_, i) => i), dims };
  for (let at = id; ; ) {
    const node = soleReader(graph, at);
    const output = node?.outputs[0];
    if (node === undefined || output == null || node.inputs[0] !== at) return undefined;
    if (!isOnnxOp(node, 'Transpose', 'Reshape', 'Squeeze', 'Unsqueeze')) return undefined;
    const next = movedBy(graph, dimsOf, node, output, moved);
    if (next === undefined) return undefined;
    moved = next;
    at = output;
    if (moved.dims.at(-1) !== h * d) continue;
    for (const sequenceFirst of [false, true]) {
      if (!sideBySide(moved, { b, s, h, d }, sequenceFirst)) continue;
      const wanted = sequenceFirst ? [s, b] : [b, s];
      const plain = moved.dims.length === 3 && wanted.every((dim, axis) => moved.dims[axis] === dim);
      if (plain || keepsShape(graph, node)) return { id: at, node, sequenceFirst, reshape: !plain };
    }
    return undefined;
  }
}

function sideBySide({ from }: Moved, { b, s, h, d }: Sizes, sequenceFirst: boolean): boolean {
  for (let i = 0, at = 0; i < (sequenceFirst ? s : b); i += 1)
    for (let j = 0; j < (sequenceFirst ? b : s); j += 1) {
      const [batch, step] = sequenceFirst ? [j, i] : [i, j];
      for (let k = 0; k < h; k += 1)
        for (let e = 0; e < d; e += 1, at += 1)
          if (from[at] !== ((batch * h + k) * s + step) * d + e) return false;
    }
  return true;
}

/** Whether a Reshape gives the same shape from other axes: none of its numbers is taken from the input. */
function keepsShape(graph: Graph, node: Node): boolean {
  const target = readableConstant(graph, node.inputs[1]);
  return isOnnxOp(node, 'Reshape') && target !== undefined && !readIntegers(target).includes(0);
}
