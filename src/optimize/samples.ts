/** Multiply-accumulates that the evaluation of one candidate may take. */
const workPerCandidate = 2e10;
/** One disagreement in a hundred is one point, the drop that is allowed by default. */
const leastSamples = 100;
const mostSamples = 512;

/** How many made-up samples tell the agreement of a model of this size; the same number on every machine. */
export function randomSamplesFor(macs: number | undefined): number {
  if (macs === undefined || macs <= 0) return leastSamples;
  return Math.round(Math.min(mostSamples, Math.max(leastSamples, workPerCandidate / macs)));
}
