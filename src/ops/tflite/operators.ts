import type { Operator } from '../operator.ts';

/** Every TFLite operator that Kerf understands. */
export const tfliteOperators: readonly Operator[] = [];
