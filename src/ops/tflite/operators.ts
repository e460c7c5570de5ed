import type { Operator } from '../operator.ts';
import { activationOperators } from './activation.ts';
import { constantOperators, signalOperators } from './constant.ts';
import { controlOperators } from './control.ts';
import { convolutionOperators } from './convolution.ts';
import { customOperators } from './custom.ts';
import { elementwiseOperators } from './elementwise.ts';
import { indexingOperators } from './indexing.ts';
import { matmulOperators } from './matmul.ts';
import { movementOperators } from './movement.ts';
import { poolingOperators } from './pooling.ts';
import { quantizationOperators } from './quantization.ts';
import { recurrentOperators } from './recurrent.ts';
import { reductionOperators } from './reduction.ts';
import { shapeOperators } from './shape.ts';
import { stablehloOperators } from './stablehlo.ts';

/** Every TFLite operator that Kerf understands. */
export const tfliteOperators: readonly Operator[] = [
  ...activationOperators,
  ...constantOperators,
  ...controlOperators,
  ...convolutionOperators,
  ...customOperators,
  ...elementwiseOperators,
  ...indexingOperators,
  ...matmulOperators,
  ...movementOperators,
  ...poolingOperators,
  ...quantizationOperators,
  ...recurrentOperators,
  ...reductionOperators,
  ...shapeOperators,
  ...signalOperators,
  ...stablehloOperators,
];
