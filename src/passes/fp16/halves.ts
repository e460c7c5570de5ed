import { memoryBytes } from '../../ir/bytes.ts';
import { readFloats, toHalf } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';

/** Largest finite float16. */
const largest = 65504;

export interface Halved {
  readonly tensor: Tensor;
  /** Elements beyond the range of float16, which were clamped to its end. */
  readonly clamped: number;
}

/** A float32 constant in float16, rounded to nearest even; finite values stay finite. */
export function halved(tensor: Tensor): Halved {
  const floats = readFloats(tensor);
  const halves = new Uint16Array(floats.length);
  let clamped = 0;
  for (let i = 0; i < floats.length; i += 1) {
    const value = floats[i] as number;
    const outside = Number.isFinite(value) && Math.abs(value) > largest;
    if (outside) clamped += 1;
    halves[i] = toHalf(outside ? Math.sign(value) * largest : value);
  }
  const data = memoryBytes(new Uint8Array(halves.buffer));
  return { tensor: { dtype: 'float16', dims: tensor.dims, data }, clamped };
}
