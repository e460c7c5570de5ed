import type { Tensor } from '../../ir/tensor.ts';
import { eachPiece } from '../support/pieces.ts';

/** Bits of a float32's significand, the leading one included. */
const wholeBits = 24;
const infinity = 0x7f800000;

/**
 * Rounds each number to so many significant bits, to the nearest and halves to even; infinities and NaNs stay. The
 * exponent keeps its range, so nothing overflows but what rounds up beyond float32, which is cut off instead.
 */
export function shorten(floats: Float32Array, bits: number): void {
  const codes = new Uint32Array(floats.buffer, floats.byteOffset, floats.length);
  const dropped = wholeBits - bits;
  if (dropped <= 0) return;
  const half = 2 ** (dropped - 1);
  const mask = ~(2 ** dropped - 1);
  for (let i = 0; i < codes.length; i += 1) {
    const code = codes[i] as number;
    if ((code & infinity) === infinity) continue;
    const odd = (code >>> dropped) & 1;
    const up = ((code + half - 1 + odd) & mask) >>> 0;
    codes[i] = (up & infinity) === infinity ? (code & mask) >>> 0 : up;
  }
}

/** Whether no number of a float32 tensor has more significant bits. */
export function isShort(tensor: Tensor, bits: number): boolean {
  const rest = 2 ** Math.max(0, wholeBits - bits) - 1;
  let short = true;
  eachPiece(tensor, (floats) => {
    const codes = new Uint32Array(floats.buffer, floats.byteOffset, floats.length);
    for (let i = 0; i < codes.length && short; i += 1) {
      const code = codes[i] as number;
      short = (code & rest) === 0 || (code & infinity) === infinity;
    }
  });
  return short;
}
