import type { TensorInfo } from '../runner.ts';

/**
 * Samples that one inference takes: the first dimension of the inputs when all agree on it. Inputs that a sample fills
 * as a whole (a state, a scalar) leave no room for a batch, and neither do free dimensions behind the first one.
 */
export function batchOf(inputs: readonly TensorInfo[], whole: readonly boolean[]): number | 'free' {
  if (whole.some(Boolean)) return 1;
  const [first = 1] = inputs[0]?.dims ?? [];
  if (!inputs.every((input) => input.dims[0] === first)) return 1;
  if (first > 0) return first;
  return inputs.every((input) => input.dims.slice(1).every((dim) => dim >= 0)) ? 'free' : 1;
}
