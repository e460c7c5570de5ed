import type { CumulativePoint, LayerSensitivity } from '../report.ts';

/**
 * What changing the least sensitive layers together costs, one point per layer, if their errors at the outputs add up
 * like independent noise. `layers` come most sensitive first.
 */
export function cumulativeCurve(layers: readonly LayerSensitivity[]): readonly CumulativePoint[] {
  let noise = 0;
  return [...layers].reverse().map(({ sqnrDb }, index) => {
    noise += noiseOf(sqnrDb);
    return { layers: index + 1, predictedSqnrDb: noise === 0 ? null : -10 * Math.log10(noise) };
  });
}

/** Noise power over signal power; 0 for no noise at all. */
export function noiseOf(sqnrDb: number | null): number {
  return sqnrDb === null ? 0 : 10 ** (-sqnrDb / 10);
}

/** Most sensitive first; what has no effect comes last. */
export function bySensitivity<T extends { readonly sqnrDb: number | null }>(
  layers: readonly T[],
): readonly T[] {
  return [...layers].sort(
    (a, b) => (a.sqnrDb ?? Number.POSITIVE_INFINITY) - (b.sqnrDb ?? Number.POSITIVE_INFINITY),
  );
}
