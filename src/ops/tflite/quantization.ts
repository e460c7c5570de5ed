import { isFloat } from '../../ir/dtype.ts';
import { dtypeOf } from '../known.ts';
import type { OpContext, Operator, Known } from '../operator.ts';
import { contentAt, out, perOutput, sameAsFirst, tflite } from './kit.ts';

/** Casting to an integer type truncates; content flows through for shape arithmetic. */
function inferCast(context: OpContext): readonly Known[] {
  const plain = out(context, context.shape(0));
  const dtype = dtypeOf(plain);
  const float = dtype === undefined || isFloat(dtype);
  const content = contentAt(context, 0)?.map((value) =>
    typeof value === 'number' && !float ? Math.trunc(value) : value,
  );
  return [content === undefined ? plain : { ...plain, content }];
}

export const quantizationOperators: readonly Operator[] = [
  tflite('QUANTIZE', 'quantization', sameAsFirst, { cost: perOutput(2, 'scale and round') }),
  tflite('DEQUANTIZE', 'quantization', sameAsFirst, { cost: perOutput(2, 'shift and scale') }),
  tflite('FAKE_QUANT', 'quantization', sameAsFirst, { cost: perOutput(4), inPlace: true }),
  tflite('CAST', 'movement', inferCast),
  tflite('DENSIFY', 'quantization', sameAsFirst),
];
