import type { DeviceProfile } from '../devices/profile.ts';
import { passById } from '../passes/registry.ts';
import type { Candidate } from './report.ts';

interface Choice {
  readonly chosen: number | null;
  readonly reason: string;
}

/**
 * The candidate to use: among those that fit the device and lose at most `maxDrop` percentage points, the one with the
 * smallest product of size and latency relative to the original; of those nearly equal, the most accurate. None when nothing is better than the original.
 */
export function choose(
  baseline: Candidate,
  candidates: readonly Candidate[],
  device: DeviceProfile,
  maxDrop: number,
): Choice {
  const refusals = candidates.map((candidate) => refusal(candidate, baseline, device, maxDrop));
  const reference = [baseline, ...candidates]
    .map((each) => latencyOf(each, device))
    .find((ms) => ms !== null);
  const ranked = candidates
    .map((candidate, index) => ({
      index,
      candidate,
      cost: relativeCost(candidate, baseline, latencyOf(candidate, device), reference ?? null),
    }))
    .filter(({ index, cost }) => refusals[index] === undefined && cost !== undefined);
  const originalRuns = refusal(baseline, baseline, device, maxDrop) === undefined;
  const better = originalRuns ? ranked.filter(({ cost }) => (cost ?? 1) < 1) : ranked;
  const least = Math.min(...better.map((each) => each.cost ?? Number.POSITIVE_INFINITY));
  const best = better
    .filter(({ cost }) => (cost ?? 0) <= least * toleranceOn(device))
    .sort((a, b) => (b.candidate.score ?? 0) - (a.candidate.score ?? 0) || (a.cost ?? 0) - (b.cost ?? 0))[0];
  const rejected = candidates.flatMap((candidate, index) =>
    refusals[index] === undefined ? [] : [`${candidate.title}: ${refusals[index]}`],
  );
  const because = rejected.length === 0 ? '' : ` ${rejected.join('. ')}.`;
  if (best === undefined) {
    const none =
      ranked.length === 0
        ? 'No candidate qualifies.'
        : 'Nothing that qualifies is smaller or faster than the original.';
    return { chosen: null, reason: `${none}${because}` };
  }
  return { chosen: best.index, reason: praise(best.candidate, baseline, device) };
}

/** Costs this close are the same cost, and the more accurate candidate wins: short measurements scatter, estimates do not. */
function toleranceOn(device: DeviceProfile): number {
  return device.class === 'host' ? 1.25 : 1.02;
}

/** Why a candidate may not be used; `undefined` when it may. */
function refusal(
  candidate: Candidate,
  baseline: Candidate,
  device: DeviceProfile,
  maxDrop: number,
): string | undefined {
  if (candidate.failure !== undefined) return candidate.failure;
  if (candidate.refused !== undefined) return candidate.refused;
  if (candidate.fits.flash === 'does not fit') return `does not fit the flash of ${device.name}`;
  if (candidate.fits.ram === 'does not fit') return `does not fit the RAM of ${device.name}`;
  // Passes that change results by rounding only need no evaluation.
  if (candidate.recipe.every((step) => passById(step.pass)?.exact === true)) return undefined;
  if (candidate.score === null || baseline.score === null) return 'its accuracy could not be measured';
  const drop = (baseline.score - candidate.score) * 100;
  return drop > maxDrop + 1e-9 ? `loses ${drop.toFixed(2)} points, ${maxDrop} are allowed` : undefined;
}

/**
 * Size times latency over those of the original; size alone when no latency is known. Where the device refuses the
 * original, the first candidate it takes is the reference.
 */
function relativeCost(
  candidate: Candidate,
  baseline: Candidate,
  latency: number | null,
  reference: number | null,
): number | undefined {
  if (candidate.fileBytes === null || baseline.fileBytes === null) return undefined;
  const size = candidate.fileBytes / baseline.fileBytes;
  return latency === null || reference === null ? size : size * (latency / reference);
}

/** On this machine what was measured, elsewhere what is estimated. */
function latencyOf(candidate: Candidate, device: DeviceProfile): number | null {
  return device.class === 'host' ? candidate.measuredMs : candidate.latencyMs;
}

function praise(candidate: Candidate, baseline: Candidate, device: DeviceProfile): string {
  const parts = [`${candidate.title} is the best that qualifies`];
  if (candidate.fileBytes !== null && baseline.fileBytes !== null)
    parts.push(`${(baseline.fileBytes / candidate.fileBytes).toFixed(2)} times smaller`);
  const [after, before] = [latencyOf(candidate, device), latencyOf(baseline, device)];
  if (after !== null && before !== null && after > 0)
    parts.push(`${(before / after).toFixed(2)} times as fast on ${device.name}`);
  if (candidate.score !== null && baseline.score !== null)
    parts.push(pointsText(candidate.score - baseline.score, candidate.scoreKind));
  return `${parts.join(', ')}.`;
}

function pointsText(difference: number, kind: Candidate['scoreKind']): string {
  const of = kind === 'top1' ? 'accuracy' : kind;
  const points = `${Math.abs(difference * 100).toFixed(2)} points of ${of}`;
  return difference === 0 ? `no loss of ${of}` : `${points} ${difference < 0 ? 'lost' : 'gained'}`;
}

/**
 * Indexes of the candidates that no other beats or equals in size, latency and score at once while beating it in one.
 * Unknown latencies and scores count as the worst.
 */
export function paretoOf(candidates: readonly Candidate[], device: DeviceProfile): readonly number[] {
  const points = candidates.map((candidate) => [
    candidate.fileBytes ?? Number.POSITIVE_INFINITY,
    latencyOf(candidate, device) ?? candidate.measuredMs ?? Number.POSITIVE_INFINITY,
    -(candidate.score ?? Number.NEGATIVE_INFINITY),
  ]);
  const dominates = (a: readonly number[], b: readonly number[]) =>
    a.every((value, axis) => value <= (b[axis] ?? 0)) && a.some((value, axis) => value < (b[axis] ?? 0));
  return candidates.flatMap((candidate, index) => {
    const point = points[index];
    if (candidate.failure !== undefined || candidate.refused !== undefined || point === undefined) return [];
    return points.some((other) => dominates(other, point)) ? [] : [index];
  });
}
