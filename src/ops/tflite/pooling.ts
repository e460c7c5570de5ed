import { intAttribute } from '../../ir/attribute.ts';
import type { Shape } from '../../ir/types.ts';
import type { CostContext, OpContext, OpCost, Operator } from '../operator.ts';
import { slidingDim } from './convolution.ts';
import { outputCount, shaped, tflite, unknownDims, work } from './kit.ts';

function poolShape(context: OpContext): Shape | undefined {
  const x = context.shape(0);
  if (x === undefined) return unknownDims(4);
  const height = intAttribute(context.node, 'filter_height', 1);
  const width = intAttribute(context.node, 'filter_width', 1);
  const rows = slidingDim(context, x[1] ?? null, height, 'h');
  const columns = slidingDim(context, x[2] ?? null, width, 'w');
  return [x[0] ?? null, rows, columns, x[3] ?? null];
}

/** `perTap` operations for every element under the window. */
function poolCost(perTap: number): (context: CostContext) => OpCost {
  return (context) => {
    const height = intAttribute(context.node, 'filter_height', 1);
    const width = intAttribute(context.node, 'filter_width', 1);
    return work(context, outputCount(context), height * width * perTap, 'outputs', `${height}·${width} taps`);
  };
}

const pool = (name: string, perTap: number): Operator =>
  tflite(name, 'pooling', shaped(poolShape), { cost: poolCost(perTap) });

export const poolingOperators: readonly Operator[] = [
  pool('AVERAGE_POOL_2D', 1),
  pool('MAX_POOL_2D', 1),
  pool('L2_POOL_2D', 2),
];
