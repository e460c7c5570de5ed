import type { Spectrum } from './spectrum.ts';
import { lossOf } from './spectrum.ts';

/** A layer with the rank it is to have. */
export interface Choice {
  readonly spectrum: Spectrum;
  readonly rank: number;
}

/** Multiply-accumulates of the two factors over those of the layer: below 1 the factorization pays. */
export function costShare({ layer: { outputs, inputs } }: Spectrum, rank: number): number {
  return (rank * (outputs + inputs)) / (outputs * inputs);
}

/** Ranks that pay, ascending multiples of `multiple`. */
function ranksOf(spectrum: Spectrum, multiple: number): number[] {
  const ranks: number[] = [];
  for (let rank = multiple; costShare(spectrum, rank) < 1; rank += multiple) ranks.push(rank);
  return ranks;
}

/** Per layer the least rank that keeps this share of the outputs' variance; layers where none pays are absent. */
export function ranksByEnergy(spectra: readonly Spectrum[], energy: number, multiple: number): Choice[] {
  return spectra.flatMap((spectrum) => {
    const rank = ranksOf(spectrum, multiple).find((each) => lossOf(spectrum, each) <= 1 - energy);
    return rank === undefined ? [] : [{ spectrum, rank }];
  });
}

interface Step {
  readonly spectrum: Spectrum;
  readonly rank: number;
  readonly saved: number;
  /** Lost share of variance per multiply-accumulate saved. */
  readonly slope: number;
}

/**
 * Ranks that save `wanted` multiply-accumulates with the least sum of lost shares of variance. Each layer's options are
 * reduced to the lower convex hull of loss over cost; then the step with the smallest slope comes first, wherever it is.
 */
export function ranksByMacs(
  spectra: readonly Spectrum[],
  macsOf: (spectrum: Spectrum) => number,
  wanted: number,
  multiple: number,
): Choice[] {
  const steps = spectra.flatMap((spectrum) => hullOf(spectrum, macsOf(spectrum), multiple));
  steps.sort((a, b) => a.slope - b.slope);
  const chosen = new Map<Spectrum, number>();
  let saved = 0;
  for (const { spectrum, rank, saved: more } of steps) {
    if (saved >= wanted) break;
    saved += more;
    // The step that meets the budget may go further than it must.
    const spare = (saved - wanted) / macsOf(spectrum);
    const enough = ranksOf(spectrum, multiple).findLast(
      (each) => costShare(spectrum, each) - costShare(spectrum, rank) <= spare,
    );
    chosen.set(spectrum, Math.max(rank, enough ?? rank));
  }
  return [...chosen].map(([spectrum, rank]) => ({ spectrum, rank }));
}

/** From the whole layer downwards, steps of growing slope. */
function hullOf(spectrum: Spectrum, macs: number, multiple: number): Step[] {
  const options = ranksOf(spectrum, multiple).map((rank) => ({
    rank,
    cost: macs * costShare(spectrum, rank),
    loss: lossOf(spectrum, rank),
  }));
  const steps: Step[] = [];
  let at = { cost: macs, loss: 0 };
  for (let left = options; left.length > 0; ) {
    const from = at;
    const slopeTo = (option: { cost: number; loss: number }) =>
      (option.loss - from.loss) / (from.cost - option.cost);
    const best = left.reduce((one, other) => (slopeTo(other) < slopeTo(one) ? other : one));
    steps.push({ spectrum, rank: best.rank, saved: from.cost - best.cost, slope: slopeTo(best) });
    at = best;
    left = left.filter((option) => option.rank < best.rank);
  }
  return steps;
}
