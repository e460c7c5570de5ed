import { bitsOf } from '../../ir/dtype.ts';
import { memoryBytes } from '../../ir/bytes.ts';
import { GraphEditor } from '../../ir/edit.ts';
import type { Graph, Model, NodeId, Quantization, Value, ValueId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { decodeNumbers, numberTensor, sizeOf } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { Shape } from '../../ir/types.ts';
import type { AxisOfValue, RefitContext } from '../../ops/flow/flow.ts';
import { inputsOf, outputsOf } from '../../ops/flow/flow.ts';
import { operatorOf } from '../../ops/registry.ts';
import { factsOf } from '../support/facts.ts';
import type { Channels } from './channels.ts';
import { operandsOf } from './operands.ts';

/** Indices that are left of an axis; `undefined` when all are. */
export type Kept = (axis: AxisOfValue) => readonly number[] | undefined;

export function keptWithout(channels: Channels, removed: ReadonlySet<number>): Kept {
  const known = new Map<string, readonly number[] | undefined>();
  return (axis) => {
    const key = `${axis.axis} ${axis.id}`;
    if (!known.has(key)) {
      const classes = channels.classesOf(axis);
      const left =
        classes === undefined ? [] : [...classes.keys()].filter((i) => !removed.has(classes[i] as number));
      known.set(key, classes === undefined || left.length === classes.length ? undefined : left);
    }
    return known.get(key);
  };
}

/**
 * The model without these channels: constants are cut along every axis that lost some, declared shapes follow, and
 * operators whose parameters speak of sizes or positions get new ones. Weights that stay are the same numbers.
 */
export function withoutChannels<M extends Model>(model: M, kept: Kept): M {
  const [graph] = model.graphs;
  const editor = new GraphEditor(graph, model);
  const facts = factsOf(model);
  const shape = (id: ValueId) => facts.typeOf(id)?.shape;
  const keptShape = (id: ValueId): Shape | undefined =>
    shape(id)?.map((dim, axis) => kept({ id, axis })?.length ?? dim);
  const leftOf = (id: ValueId) => (shape(id) ?? []).map((_, axis) => kept({ id, axis }));
  for (const value of graph.values.values()) {
    const axes = leftOf(value.id);
    if (axes.some((each) => each !== undefined)) editor.setValue(cutValue(value, axes));
  }
  const touched = touchedIn(graph, (id) => leftOf(id).some((each) => each !== undefined));
  for (const node of graph.nodes) {
    const refit = operatorOf(model, node)?.channels?.refit;
    if (refit === undefined || !touched.has(node.id)) continue;
    const context: RefitContext = {
      ...operandsOf(model, node),
      kept,
      keptShape,
      constant: (base, tensor) => editor.addConstant(base, tensor),
    };
    const after = refit(context);
    if (after !== node) editor.replaceNode(node.id, [after]);
  }
  return withMainGraph(model, editor.finish()) as M;
}

/** Nodes with an operand that lost something, or with a parameter that is computed from the shape of one that did. */
function touchedIn(graph: Graph, isCut: (id: ValueId) => boolean): ReadonlySet<NodeId> {
  const touched = new Set<NodeId>();
  const derived = new Set<ValueId>();
  for (const node of graph.nodes) {
    const reads = inputsOf(node);
    if ([...reads, ...outputsOf(node)].some((id) => isCut(id) || derived.has(id))) touched.add(node.id);
    const speaksOfSizes = node.op === 'Shape' || node.op === 'SHAPE';
    if (reads.some((id) => derived.has(id) || (speaksOfSizes && isCut(id))))
      for (const id of outputsOf(node)) derived.add(id);
  }
  return touched;
}

function cutValue(value: Value, axes: readonly (readonly number[] | undefined)[]): Value {
  const { type, constant, signature, quantization } = value;
  const size = <T>(dim: T, axis: number): T | number => axes[axis]?.length ?? dim;
  return {
    ...value,
    ...(type?.kind === 'tensor' &&
      type.shape !== undefined && { type: { ...type, shape: type.shape.map(size) } }),
    ...(constant !== undefined && { constant: cutTensor(constant, axes) }),
    ...(signature !== undefined && {
      signature: signature.map((dim, axis) => (dim === -1 ? -1 : size(dim, axis))),
    }),
    ...(quantization !== undefined && { quantization: cutQuantization(quantization, axes) }),
  };
}

function cutQuantization(
  quantization: Quantization,
  axes: readonly (readonly number[] | undefined)[],
): Quantization {
  // Converters of 2020 wrote the filter's axis for the bias as well.
  const left = axes[axes.length === 1 ? 0 : quantization.axis];
  if (quantization.scale.length < 2 || left === undefined) return quantization;
  const pick = (values: Float32Array) => Float32Array.from(left, (i) => values[i] as number);
  const { scale, zeroPoint, min, max } = quantization;
  return {
    ...quantization,
    scale: pick(scale),
    zeroPoint: zeroPoint.length > 1 ? left.map((i) => zeroPoint[i] as number) : zeroPoint,
    ...(min !== undefined && min.length > 1 && { min: pick(min) }),
    ...(max !== undefined && max.length > 1 && { max: pick(max) }),
  };
}

/** The elements at these indices of every axis. */
function cutTensor(tensor: Tensor, axes: readonly (readonly number[] | undefined)[]): Tensor {
  const dims = tensor.dims.map((dim, axis) => axes[axis]?.length ?? dim);
  const order = positionsOf(tensor.dims, axes);
  if (bitsOf(tensor.dtype) < 8) {
    const numbers = decodeNumbers(tensor.dtype, tensor.data.read(), sizeOf(tensor));
    return numberTensor(
      tensor.dtype,
      dims,
      order.map((from) => numbers[from] as number),
    );
  }
  const width = bitsOf(tensor.dtype) / 8;
  const source = tensor.data.read();
  const data = new Uint8Array(order.length * width);
  order.forEach((from, to) => data.set(source.subarray(from * width, (from + 1) * width), to * width));
  return { dtype: tensor.dtype, dims, data: memoryBytes(data) };
}

function positionsOf(
  dims: readonly number[],
  axes: readonly (readonly number[] | undefined)[],
): Float64Array {
  let positions = Float64Array.of(0);
  dims.forEach((dim, axis) => {
    const left = axes[axis] ?? Array.from({ length: dim }, (_, i) => i);
    const next = new Float64Array(positions.length * left.length);
    positions.forEach((position, i) => {
      left.forEach((index, j) => {
        next[i * left.length + j] = position * dim + index;
      });
    });
    positions = next;
  });
  return positions;
}
