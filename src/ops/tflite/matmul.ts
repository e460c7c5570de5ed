import { intAttribute } from '../../ir/attribute.ts';
import type { Model, Node } from '../../ir/model.ts';
import type { Dim, Shape } from '../../ir/types.ts';
import { broadcast, quotientOf } from '../dims.ts';
import type { CostContext, OpContext, OpCost, Operator, WeightRole } from '../operator.ts';
import { macsCost, outputCount, shaped, storedShape, tflite, unknownCost } from './kit.ts';

/** Rows are all leading dimensions together, or kept apart with `keep_num_dims`. */
function fullyConnectedShape(context: OpContext): Shape | undefined {
  const x = context.shape(0);
  const w = context.shape(1);
  if (x === undefined || w === undefined) return undefined;
  const units = w[0] ?? null;
  if (intAttribute(context.node, 'keep_num_dims', 0) !== 0) return [...x.slice(0, -1), units];
  return [quotientOf(x, [w[1] ?? null]), units];
}

function fullyConnectedCost(context: CostContext): OpCost {
  const outputs = outputCount(context);
  const depth = context.shape(1)?.[1];
  if (outputs === undefined || typeof depth !== 'number') return unknownCost;
  return macsCost(context, outputs * depth, `${outputs} outputs × ${depth} inputs`);
}

const adjoint = (node: Node, side: 'x' | 'y') => intAttribute(node, `adj_${side}`, 0) !== 0;

/** The last two dimensions, swapped for an adjoint operand. */
function matrix(shape: Shape, transposed: boolean): readonly [Dim, Dim] {
  const [rows = 1, columns = 1] = shape.slice(-2);
  return transposed ? [columns, rows] : [rows, columns];
}

function batchMatMulShape(context: OpContext): Shape | undefined {
  const x = context.shape(0);
  const y = context.shape(1);
  if (x === undefined || y === undefined) return undefined;
  const [rows] = matrix(x, adjoint(context.node, 'x'));
  const [, columns] = matrix(y, adjoint(context.node, 'y'));
  return [...broadcast([x.slice(0, -2), y.slice(0, -2)]), rows, columns];
}

function batchMatMulCost(context: CostContext): OpCost {
  const outputs = outputCount(context);
  const x = context.shape(0);
  const depth = x && matrix(x, adjoint(context.node, 'x'))[1];
  if (outputs === undefined || typeof depth !== 'number') return unknownCost;
  return macsCost(context, outputs * depth, `${outputs} outputs × ${depth} inputs`);
}

/** A constant operand is a weight; the product of two activations has none. */
function batchMatMulWeights(node: Node, model: Model): readonly WeightRole[] {
  const y = storedShape(node, 1, model);
  if (y?.constant === true) {
    const rank = y.shape.length;
    const [outputAxis, inputAxis] = adjoint(node, 'y') ? [rank - 2, rank - 1] : [rank - 1, rank - 2];
    return [{ input: 1, kind: 'matmul', outputAxis, inputAxis, activation: 0 }];
  }
  const x = storedShape(node, 0, model);
  if (x?.constant !== true) return [];
  const rank = x.shape.length;
  const [outputAxis, inputAxis] = adjoint(node, 'x') ? [rank - 1, rank - 2] : [rank - 2, rank - 1];
  return [{ input: 0, kind: 'matmul', outputAxis, inputAxis, activation: 1 }];
}

/** Weights of FULLY_CONNECTED are `[units, depth]`. */
const fullyConnectedWeights: readonly WeightRole[] = [
  { input: 1, kind: 'matmul', outputAxis: 0, inputAxis: 1, bias: 2, activation: 0 },
];

export const matmulOperators: readonly Operator[] = [
  tflite('FULLY_CONNECTED', 'matmul', shaped(fullyConnectedShape), {
    cost: fullyConnectedCost,
    weights: () => fullyConnectedWeights,
  }),
  tflite('BATCH_MATMUL', 'matmul', shaped(batchMatMulShape), {
    cost: batchMatMulCost,
    weights: batchMatMulWeights,
  }),
];
