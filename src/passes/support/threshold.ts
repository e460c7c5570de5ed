/** Magnitude below which everything goes, and how many of exactly this magnitude go as well. */
interface Threshold {
  readonly magnitude: number;
  ties: number;
}

/**
 * The `share` quantile of the magnitudes of many arrays together, exactly, in two passes over the data and 256 kB: the
 * bits of a non-negative float32 sort like the numbers.
 */
export function thresholdOf(parts: readonly (() => Float32Array)[], share: number): Threshold {
  const high = new Float64Array(1 << 16);
  let total = 0;
  for (const part of parts) {
    const bits = magnitudeBits(part());
    total += bits.length;
    for (const each of bits) high[each >>> 16] = (high[each >>> 16] as number) + 1;
  }
  let rest = Math.round(total * share);
  if (rest <= 0) return { magnitude: 0, ties: 0 };
  const upper = locate(high, rest);
  rest -= upper.before;
  const low = new Float64Array(1 << 16);
  for (const part of parts) {
    for (const each of magnitudeBits(part())) {
      if (each >>> 16 === upper.bin) low[each & 0xffff] = (low[each & 0xffff] as number) + 1;
    }
  }
  const lower = locate(low, rest);
  const bits = new Uint32Array([upper.bin * 65_536 + lower.bin]);
  return { magnitude: new Float32Array(bits.buffer)[0] as number, ties: rest - lower.before };
}

function magnitudeBits(floats: Float32Array): Uint32Array {
  return new Uint32Array(floats.buffer, floats.byteOffset, floats.length).map((bits) => bits & 0x7fffffff);
}

/** The bin in which the `rank`-th element lies (counted from 1), and how many lie before that bin. */
function locate(bins: Float64Array, rank: number): { bin: number; before: number } {
  let before = 0;
  for (let bin = 0; bin < bins.length; bin += 1) {
    const count = bins[bin] as number;
    if (before + count >= rank) return { bin, before };
    before += count;
  }
  return { bin: bins.length - 1, before };
}
