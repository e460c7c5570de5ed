import { KerfError } from '../ir/errors.ts';
import { latencyOf } from './estimate.ts';
import type { DeviceProfile, PrecisionProfile } from './profile.ts';
import type { LayerWork } from './work.ts';

/** One model that was measured on the device. */
export interface Probe {
  readonly works: readonly LayerWork[];
  /** Median of the runs after warm-up, milliseconds. */
  readonly medianMs: number;
  readonly p90Ms?: number;
}

/** A measurement whose slow runs are this much slower than the middle one says more about the machine's other work. */
const noisy = 1.3;

/**
 * Scales a profile to measurements made on the device: compute, memory and overheads by the same factor, the median of
 * measured over predicted. One probe brings the error of a generic profile from about 100 % to about 20 %.
 * Throws `KerfError('bad-option')` when no measurement can be used.
 */
export function calibrate(device: DeviceProfile, probes: readonly Probe[]): DeviceProfile {
  const ready: DeviceProfile = { ...device, calibrated: true };
  const factors = probes
    .filter((probe) => (probe.p90Ms ?? probe.medianMs) <= probe.medianMs * noisy)
    .flatMap((probe) => {
      const predicted = latencyOf(ready, probe.works).ms;
      return predicted === null || predicted <= 0 || probe.medianMs <= 0 ? [] : [probe.medianMs / predicted];
    })
    .sort((a, b) => a - b);
  const factor = factors[Math.floor((factors.length - 1) / 2)];
  if (factor === undefined) {
    throw new KerfError(
      'bad-option',
      `no measurement can calibrate ${device.name}: too noisy, or its cost is unknown`,
    );
  }
  return scaled(ready, factor, factors.length);
}

function scaled(device: DeviceProfile, factor: number, probes: number): DeviceProfile {
  const { float32, float16, int8 } = device.precisions;
  const scale = (profile: PrecisionProfile): PrecisionProfile => ({
    ...profile,
    gmacsPerSecond: profile.gmacsPerSecond / factor,
    ...(profile.bandwidth !== undefined && { bandwidth: profile.bandwidth / factor }),
    ...(profile.opOverhead !== undefined && { opOverhead: profile.opOverhead * factor }),
    ...(profile.invokeOverhead !== undefined && { invokeOverhead: profile.invokeOverhead * factor }),
    uncertainty: 1.5,
    basis: 'calibrated',
    source: `${profile.source}; scaled by ${Number(factor.toPrecision(3))} from ${probes} measured models`,
  });
  return {
    ...device,
    bandwidth: device.bandwidth / factor,
    opOverhead: device.opOverhead * factor,
    invokeOverhead: device.invokeOverhead * factor,
    uncertainty: 1.5,
    precisions: {
      ...(float32 && { float32: scale(float32) }),
      ...(float16 && { float16: scale(float16) }),
      ...(int8 && { int8: scale(int8) }),
    },
  };
}
