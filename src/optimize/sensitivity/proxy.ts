import type { Model, Node, NodeId } from '../../ir/model.ts';
import { floatTensor } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { indexOf } from '../../ir/walk.ts';
import type { InputMoments } from '../../passes/pass.ts';
import { matrixOf, multiplyLayerOf } from '../../passes/support/denseLayer.ts';
import { effectiveWeight, weightRoleOf } from './effective.ts';

export interface WeightFigures {
  /** Signal to noise of the weights themselves, dB; null when they did not change. */
  readonly weightSqnrDb: number | null;
  /** E[w^4] / E[w^2]^2: 3 for a normal distribution, more with outliers. */
  readonly kurtosis: number;
}

/** What a change does to a layer's weights, without data; undefined where the two cannot be compared. */
function weightFigures(base: Model, changed: Model, id: NodeId): WeightFigures | undefined {
  const pair = weightPair(base, changed, id);
  if (pair === undefined) return undefined;
  const { was, now } = pair;
  let [signal, noise, fourth] = [0, 0, 0];
  for (let i = 0; i < was.length; i += 1) {
    const w = was[i] as number;
    const square = w * w;
    const change = w - (now[i] as number);
    signal += square;
    fourth += square * square;
    noise += change * change;
  }
  const kurtosis = (fourth * was.length) / (signal * signal);
  return { weightSqnrDb: noise === 0 ? null : 10 * Math.log10(signal / noise), kurtosis };
}

/**
 * Which of two equivalent originals a changed layer is to be compared with, and how its weights differ from that one:
 * passes fold normalizations into weights before they change them, so the nearest one is what they started from.
 */
export function nearestOriginal(
  plain: Model,
  folded: Model,
  changed: Model,
  id: NodeId,
): { readonly original: Model; readonly figures: WeightFigures | undefined } {
  const figures = weightFigures(plain, changed, id);
  if (folded === plain || storedWeight(plain, id) === storedWeight(folded, id))
    return { original: plain, figures };
  const other = weightFigures(folded, changed, id);
  return likeness(other) > likeness(figures)
    ? { original: folded, figures: other }
    : { original: plain, figures };
}

function likeness(figures: WeightFigures | undefined): number {
  return figures === undefined
    ? Number.NEGATIVE_INFINITY
    : (figures.weightSqnrDb ?? Number.POSITIVE_INFINITY);
}

function storedWeight(model: Model, id: NodeId): Tensor | undefined {
  const [graph] = model.graphs;
  const node = indexOf(graph).node.get(id);
  const input = node?.inputs[(node && weightRoleOf(model, node)?.input) ?? 1];
  return input == null ? undefined : graph.values.get(input)?.constant;
}

function weightPair(base: Model, changed: Model, id: NodeId) {
  const node = indexOf(base.graphs[0]).node.get(id);
  const other = indexOf(changed.graphs[0]).node.get(id);
  const was = node && effectiveWeight(base, node);
  const now = other && effectiveWeight(changed, other, node && weightRoleOf(base, node)?.outputAxis);
  if (node === undefined || was === undefined || now === undefined) return undefined;
  const same = was.dims.length === now.dims.length && was.dims.every((dim, axis) => now.dims[axis] === dim);
  return same && was.data.length > 0 ? { node, was: was.data, now: now.data } : undefined;
}

/**
 * Signal to noise of a layer's own outputs when its weights change from W to W + D, from the second moments H of its
 * inputs: tr(W H W^T) / tr(D H D^T), in dB; null when nothing changed. Undefined where the two cannot be compared.
 */
export function localSqnr(
  base: Model,
  changed: Model,
  id: NodeId,
  moments: InputMoments,
): number | null | undefined {
  const pair = weightPair(base, changed, id);
  const layer = pair && multiplyLayerOf(base, pair.node as Node);
  if (pair === undefined || layer === undefined) return undefined;
  const was = matrixOf(layer);
  const now = matrixOf({ ...layer, weight: floatTensor(layer.weight.dims, pair.now) });
  const change = was.map((value, at) => value - (now[at] as number));
  const noise = energy(change, layer.outputs, moments);
  return noise <= 0 ? null : 10 * Math.log10(energy(was, layer.outputs, moments) / noise);
}

/** tr(M H M^T), summed over groups; rows of M belong to the groups in order. */
function energy(matrix: Float64Array, rows: number, { groups, size, gram }: InputMoments): number {
  const perGroup = rows / groups;
  let sum = 0;
  for (let row = 0; row < rows; row += 1) {
    const h = Math.floor(row / perGroup) * size * size;
    for (let i = 0; i < size; i += 1) {
      const left = matrix[row * size + i] as number;
      if (left === 0) continue;
      let inner = 0;
      for (let j = 0; j < size; j += 1)
        inner += (gram[h + i * size + j] as number) * (matrix[row * size + j] as number);
      sum += left * inner;
    }
  }
  return sum;
}
