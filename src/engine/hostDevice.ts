import type { Analysis } from '../analysis/report.ts';
import type { Probe } from '../devices/calibrate.ts';
import { calibrate } from '../devices/calibrate.ts';
import type { DeviceProfile } from '../devices/profile.ts';
import { workOf } from '../devices/work.ts';
import { KerfError } from '../ir/errors.ts';
import type { Model } from '../ir/model.ts';
import type { LatencyStats } from '../runtime/reports.ts';

/** The latest measurement of each model on this machine, oldest first. */
const probes = new Map<Model, Probe>();
const mostProbes = 16;

/** Remembers a benchmark, for estimates of other models on this machine. */
export function rememberProbe(model: Model, analysis: Analysis, { median, p90 }: LatencyStats): void {
  probes.delete(model);
  probes.set(model, { works: workOf(model, analysis), medianMs: median, p90Ms: p90 });
  const [oldest] = probes.keys();
  if (probes.size > mostProbes && oldest !== undefined) probes.delete(oldest);
}

/** This machine's profile, scaled to what was measured in this process; as it was while nothing usable was measured. */
export function calibratedHost(profile: DeviceProfile): DeviceProfile {
  if (profile.class !== 'host' || probes.size === 0) return profile;
  try {
    return calibrate(profile, [...probes.values()]);
  } catch (error) {
    // Only noisy runs so far: the estimate stays unknown rather than wrong.
    if (KerfError.is(error, 'bad-option')) return profile;
    throw error;
  }
}
