import type { DType } from '../../ir/dtype.ts';
import { known } from '../known.ts';
import type { CostContext, Known, OpContext, OpCost, Operator } from '../operator.ts';
import { contribDomain, dtypeAt, has, onnx, outputCount, unknownCost, outputsText } from './kit.ts';
import { dtypeAttribute } from './shape.ts';

/** Scaling and shifting: two operations per element; the range search of the dynamic form adds two comparisons. */
function conversionCost(operations: number): (context: CostContext) => OpCost {
  return (context) => {
    const count = outputCount(context);
    if (count === undefined) return unknownCost;
    return { macs: 0, otherOps: count * operations, formula: `${outputsText(context)} × ${operations}` };
  };
}

/** The zero point gives the type, else `output_dtype`, else uint8. */
function inferQuantize(context: OpContext): readonly Known[] {
  const fromPoint = has(context.node, 2) ? dtypeAt(context, 2) : undefined;
  return [known(fromPoint ?? dtypeAttribute(context, 'output_dtype', 'uint8'), context.shape(0))];
}

/** The result has the scale's type unless `output_dtype` (version 23) says otherwise. */
function inferDequantize(context: OpContext): readonly Known[] {
  const dtype: DType | undefined = dtypeAttribute(context, 'output_dtype', dtypeAt(context, 1) ?? 'float32');
  return [known(dtype, context.shape(0))];
}

const inferDynamic = (context: OpContext): readonly Known[] => [
  known('uint8', context.shape(0)),
  known('float32', []),
  known('uint8', []),
];

const domains = ['', contribDomain];

export const quantizationOperators: readonly Operator[] = [
  ...domains.flatMap((domain) => [
    onnx('QuantizeLinear', 'quantization', inferQuantize, {
      domain,
      cost: conversionCost(2),
      settings: [1, 2],
    }),
    onnx('DequantizeLinear', 'quantization', inferDequantize, {
      domain,
      cost: conversionCost(2),
      settings: [1, 2],
    }),
  ]),
  onnx('DynamicQuantizeLinear', 'quantization', inferDynamic, { cost: conversionCost(4) }),
];
