import type { Model, Node } from '../../ir/model.ts';
import { readFloats } from '../../ir/numbers.ts';
import { operatorOf } from '../../ops/registry.ts';
import type { InputMoments } from '../pass.ts';
import { choleskyOf, damped, inverseOf } from '../support/cholesky.ts';
import { readableConstant, stridesOf } from '../support/constants.ts';
import type { DenseLayer } from '../support/denseLayer.ts';
import { matrixOf, multiplyLayerOf } from '../support/denseLayer.ts';
import type { Channels } from './channels.ts';
import type { Term } from './eliminate.ts';
import type { Group } from './groups.ts';

/** A layer whose weights sum over channels of some groups. */
export interface Reader {
  readonly layer: DenseLayer;
  /** Class that each column of a group's matrix reads. */
  readonly columnClasses: Int32Array;
}

/** Layers that a repair can refit: every dense layer and grouped convolution with an axis of input channels. */
export function readersOf(model: Model, channels: Channels): readonly Reader[] {
  return model.graphs[0].nodes.flatMap((node) => {
    const layer = multiplyLayerOf(model, node);
    const classes = layer && columnClassesOf(model, node, layer, channels);
    return layer === undefined || classes === undefined ? [] : [{ layer, columnClasses: classes }];
  });
}

function columnClassesOf(
  model: Model,
  node: Node,
  layer: DenseLayer,
  channels: Channels,
): Int32Array | undefined {
  const [role] = operatorOf(model, node)?.weights?.(node, model) ?? [];
  if (role?.inputAxis === undefined) return undefined;
  const classes = channels.classesOf({ id: layer.weightId, axis: role.inputAxis });
  if (classes === undefined) return undefined;
  // Columns are all axes but the outputs', in stored order.
  const dims = layer.weight.dims.filter((_, axis) => axis !== role.outputAxis);
  const axis = role.inputAxis - (role.inputAxis > role.outputAxis ? 1 : 0);
  const stride = stridesOf(dims)[axis] as number;
  return Int32Array.from(
    { length: layer.inputs },
    (_, i) => classes[Math.floor(i / stride) % classes.length] as number,
  );
}

/** Ridge of the least squares, as a share of the mean variance of the inputs. */
export const ridge = 1e-3;

/** One matrix per group of the layer, with what the group of channels has in it; none when nothing is read. */
export function termsOf(reader: Reader, group: Group, moments: InputMoments): readonly Term[] {
  const { layer, columnClasses } = reader;
  const place = new Map(group.classes.map((of, i) => [of, i]));
  const columns: number[][] = group.classes.map(() => []);
  columnClasses.forEach((of, column) => {
    const i = place.get(of);
    if (i !== undefined) columns[i]?.push(column);
  });
  if (columns.every((each) => each.length === 0)) return [];
  const matrix = matrixOf(layer);
  const d = layer.inputs;
  const rows = layer.outputs / layer.groups;
  const own = columns.map((each) => Int32Array.from(each));
  const parts = Array.from({ length: layer.groups }, (_, g) => {
    const covariance = covarianceOf(moments, g);
    const weights = matrix.subarray(g * rows * d, (g + 1) * rows * d);
    return { covariance, weights, variance: varianceOf(weights, covariance, rows, d) };
  });
  const variance = parts.reduce((sum, part) => sum + part.variance, 0);
  return parts.map(({ covariance, weights }) => ({
    outputs: rows,
    inputs: d,
    weights,
    inverse: inverseOf(choleskyOf(damped(covariance, d, ridge), d), d),
    columns: own,
    scale: variance > 0 ? 1 / variance : 0,
  }));
}

/** Cov(x) of one group of a layer. */
function covarianceOf({ size, mean, gram }: InputMoments, g: number): Float64Array {
  const own = mean.subarray(g * size, (g + 1) * size);
  return gram
    .slice(g * size * size, (g + 1) * size * size)
    .map((value, i) => value - (own[Math.floor(i / size)] as number) * (own[i % size] as number));
}

/** tr(W C WT). */
function varianceOf(weights: Float64Array, covariance: Float64Array, rows: number, d: number): number {
  let total = 0;
  for (let o = 0; o < rows; o += 1) {
    const row = weights.subarray(o * d, (o + 1) * d);
    for (let i = 0; i < d; i += 1) {
      const weight = row[i] as number;
      if (weight === 0) continue;
      let sum = 0;
      for (let j = 0; j < d; j += 1) sum += (covariance[i * d + j] as number) * (row[j] as number);
      total += weight * sum;
    }
  }
  return total;
}

/** Squares of the weights along one axis of a constant, one sum per index. */
export function squaresAlong(model: Model, id: string, axis: number): Float64Array {
  const tensor = readableConstant(model.graphs[0], id);
  if (tensor === undefined) return new Float64Array();
  const size = tensor.dims[axis] ?? 1;
  const stride = stridesOf(tensor.dims)[axis] ?? 1;
  const squares = new Float64Array(size);
  readFloats(tensor).forEach((value, i) => {
    const at = Math.floor(i / stride) % size;
    squares[at] = (squares[at] as number) + value * value;
  });
  return squares;
}
