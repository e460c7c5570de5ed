/** Bits of a float32's significand, the leading one included. */
const wholeBits = 24;

/**
 * Each number rounded to so many significant bits, to the nearest and halves to even; infinities and NaNs stay. The
 * exponent keeps its range, so nothing overflows but what rounds up beyond float32, which is cut off instead.
 */
export function shortened(floats: Float32Array, bits: number): Float32Array {
  const codes = new Uint32Array(floats.slice().buffer);
  const dropped = wholeBits - bits;
  if (dropped <= 0) return new Float32Array(codes.buffer);
  const half = 2 ** (dropped - 1);
  const mask = ~(2 ** dropped - 1);
  for (let i = 0; i < codes.length; i += 1) {
    const code = codes[i] as number;
    if ((code & 0x7f800000) === 0x7f800000) continue;
    const odd = (code >>> dropped) & 1;
    const up = ((code + half - 1 + odd) & mask) >>> 0;
    codes[i] = (up & 0x7f800000) === 0x7f800000 ? (code & mask) >>> 0 : up;
  }
  return new Float32Array(codes.buffer);
}
