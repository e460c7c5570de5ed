/** Noise per sample; undefined where a change was not measured on the sample. */
export type SampleNoise = readonly (number | undefined)[];

export interface Completed {
  /** Noise over all samples that any change was measured on. */
  readonly total: number;
  /**
   * Standard error of the total relative to it, as an estimate of the noise over `samples` samples, without what is common
   * to all changes; 0 when the change was measured on all of them.
   */
  readonly error: number;
}

/** Rounds of the fit; further ones change nothing that matters. */
const rounds = 10;
/** Samples that the spread of all changes counts for beside a change's own. */
const commonWeight = 4;

/**
 * The noise of every change over all samples that any was measured on. The same samples are hard for all changes, so the
 * noise is taken for a level of the change times a hardness of the sample, fitted by ratios in turns; it fills in samples
 * that a change was not measured on, and what it leaves over is the error (Cochran, Sampling Techniques, 1977, 6.4: ratio
 * estimates). A spread seen on few samples is moderated by that of all changes (Smyth 2004). `samples` is the number
 * of samples that the total is to stand for.
 */
export function completeNoise(rows: readonly SampleNoise[], samples: number): readonly Completed[] {
  const hardness = hardnessOf(rows);
  const fits = rows.map((row) => fitOf(row, hardness));
  const spreads = fits.flatMap(({ spread, measured }) =>
    measured > 1 && spread > 0 ? [spread / (measured - 1)] : [],
  );
  const common = spreads.reduce((sum, each) => sum + each, 0) / Math.max(1, spreads.length);
  return fits.map(({ total, level, spread, measured }) => {
    if (level === 0 || measured >= samples) return { total, error: 0 };
    const variance = (spread + commonWeight * common) / (measured - 1 + commonWeight);
    return { total, error: Math.sqrt(variance * (1 / measured - 1 / samples)) };
  });
}

function levelOf(row: SampleNoise, hardness: Float64Array): number {
  let seen = 0;
  let weight = 0;
  for (const [sample, noise] of row.entries()) {
    if (noise === undefined) continue;
    seen += noise;
    weight += hardness[sample] as number;
  }
  return weight > 0 ? seen / weight : 0;
}

/** How much more noise than on average a sample brings to the changes measured on it; 0 where none was. */
function hardnessOf(rows: readonly SampleNoise[]): Float64Array {
  const count = rows[0]?.length ?? 0;
  let hardness = new Float64Array(count).fill(1);
  for (let round = 0; round < rounds; round += 1) {
    const sums = new Float64Array(count);
    const seen = new Float64Array(count);
    for (const row of rows) {
      const level = levelOf(row, hardness);
      for (const [sample, noise] of row.entries()) {
        if (noise === undefined) continue;
        const ratio = noise / level;
        // A change without any noise, or with an overflow, says nothing of a sample, but that it was measured.
        sums[sample] = (sums[sample] as number) + (Number.isFinite(ratio) ? ratio : 1);
        seen[sample] = (seen[sample] as number) + 1;
      }
    }
    hardness = sums.map((sum, sample) => (seen[sample] === 0 ? 0 : sum / (seen[sample] as number)));
  }
  return hardness;
}

/** Total of a row, and the sum of its squared relative differences from the model. */
function fitOf(row: SampleNoise, hardness: Float64Array) {
  const level = levelOf(row, hardness);
  let total = 0;
  let squares = 0;
  let weight = 0;
  let measured = 0;
  for (const [sample, noise] of row.entries()) {
    const expected = level * (hardness[sample] as number);
    total += noise ?? expected;
    if (noise === undefined) continue;
    measured += 1;
    weight += expected;
    squares += (noise - expected) ** 2;
  }
  const spread = weight === 0 ? 0 : squares / (weight / measured) ** 2;
  return { total, level, spread, measured };
}
