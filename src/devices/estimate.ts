import type { Model, NodeId } from '../ir/model.ts';
import type { Analysis } from '../analysis/report.ts';
import { arenaBytesOf } from './arena.ts';
import type { Basis, DeviceProfile, PrecisionProfile } from './profile.ts';
import { refusalsOf } from './refusal.ts';
import type { Refusal } from './refusal.ts';
import { workOf } from './work.ts';
import type { LayerWork } from './work.ts';
import type { Precision } from './workReader.ts';

/** `tight` means less than 15 % of the memory is left. */
export type Fit = 'fits' | 'tight' | 'does not fit' | 'unknown';

export interface LayerEstimate {
  readonly id: NodeId;
  readonly ms: number | null;
  readonly bound: 'compute' | 'memory' | 'overhead';
  /** The precision the layer runs in on this device; null when the device has no figures for it. */
  readonly precision: Precision | null;
}

/** What a model would cost on a device; numbers that are unknown are null, never 0. */
export interface EstimateReport {
  readonly device: string;
  readonly latencyMs: number | null;
  /** Interval around the latency. */
  readonly latencyRangeMs: readonly [number, number] | null;
  /** How the latency came about; see `Basis`. */
  readonly basis: string;
  readonly energyMj: number | null;
  /** What the power figure behind the energy covers: the chip's rail, the board, the wall. */
  readonly energyScope: string | null;
  /** The model file's size; null when it was not given. */
  readonly flashBytes: number | null;
  readonly ramBytes: number | null;
  readonly fits: { readonly flash: Fit; readonly ram: Fit };
  readonly unsupported: readonly Refusal[];
  readonly layers: readonly LayerEstimate[];
  /** Why a number is null, and what the estimate left out. */
  readonly notes: readonly string[];
}

interface EstimateOptions {
  /** Bytes of the model file; what it takes in flash. */
  readonly fileBytes?: number;
}

/**
 * Latency, energy, flash and RAM of one inference on a device, from shapes and the profile alone. The latency is a sum
 * of compute and memory time per layer, not their maximum: on published measurements the sum halves the error.
 */
export function estimateOn(
  device: DeviceProfile,
  model: Model,
  analysis: Analysis,
  options: EstimateOptions = {},
): EstimateReport {
  const works = workOf(model, analysis);
  const unsupported = refusalsOf(device, model, works);
  const latency = latencyOf(device, works);
  const runs = !unsupported.some((each) => each.fatal);
  const fallbacks = unsupported.filter((each) => each.fallsBack).length;
  const notes = !runs
    ? [`${device.name} refuses parts of this model, so it has no latency there.`]
    : fallbacks > 0
      ? [
          `${fallbacks === 1 ? '1 layer falls' : `${fallbacks} layers fall`} back to a processor whose speed is not known.`,
        ]
      : latency.notes;
  const total = runs && fallbacks === 0 ? latency.ms : null;
  // Weights in a file that is not there take flash all the same.
  const flashBytes =
    options.fileBytes === undefined ? null : Math.max(options.fileBytes, analysis.totals.weightBytes);
  const ramBytes = ramOf(device, model, analysis);
  return {
    device: device.id,
    latencyMs: total,
    latencyRangeMs: total === null ? null : [total / latency.uncertainty, total * latency.uncertainty],
    basis: latency.basis,
    energyMj: total === null || latency.watts === undefined ? null : latency.watts * total,
    energyScope: latency.watts === undefined ? null : (device.powerScope ?? null),
    flashBytes,
    ramBytes,
    fits: { flash: fitOf(flashBytes, device.flashBytes), ram: fitOf(ramBytes, device.ramBytes) },
    unsupported,
    layers: latency.layers,
    notes,
  };
}

/** Whether `used` bytes go into `available`; unknown when either is. */
export function fitOf(used: number | null, available: number | undefined): Fit {
  if (used === null || available === undefined) return 'unknown';
  if (used > available) return 'does not fit';
  return used > available * 0.85 ? 'tight' : 'fits';
}

interface Latency {
  /** Milliseconds of one inference; null when a layer is unknown. */
  readonly ms: number | null;
  readonly uncertainty: number;
  readonly basis: Basis;
  /** Power of the precision that takes most of the time. */
  readonly watts: number | undefined;
  readonly layers: readonly LayerEstimate[];
  readonly notes: readonly string[];
}

/** The latency of a list of layers; separate from models so that profiles can be fitted to published figures. */
export function latencyOf(device: DeviceProfile, works: readonly LayerWork[]): Latency {
  const streamed = streamedShare(device, works);
  const seconds = new Map<PrecisionProfile, number>();
  const layers = works.map((work) => estimateLayer(device, work, streamed, seconds));
  const unknown = works.filter((_, index) => layers[index]?.ms === null);
  const dominant = [...seconds].sort((a, b) => b[1] - a[1])[0]?.[0];
  const used = [...seconds.keys()];
  const invoke = dominant?.invokeOverhead ?? device.invokeOverhead;
  const sum = layers.reduce((total, layer) => total + (layer.ms ?? 0), invoke * 1000);
  const notes = unknownNotes(device, unknown);
  return {
    ms: unknown.length > 0 || device.calibrated === false ? null : sum,
    uncertainty: Math.max(...used.map((each) => each.uncertainty ?? device.uncertainty), 1),
    basis: dominant?.basis ?? 'estimated',
    watts: dominant?.activeWatts ?? device.activeWatts,
    layers,
    notes,
  };
}

function unknownNotes(device: DeviceProfile, unknown: readonly LayerWork[]): string[] {
  const notes: string[] = [];
  if (device.calibrated === false)
    notes.push(
      `${device.name} has not been calibrated: run a benchmark first (kerf bench MODEL, on a quiet machine); its result is kept.`,
    );
  if (unknown.length === 0) return notes;
  const ops = [...new Set(unknown.map((work) => work.op))].slice(0, 5).join(', ');
  notes.push(`${unknown.length} layers have an unknown cost on ${device.name} (${ops}).`);
  return notes;
}

function estimateLayer(
  device: DeviceProfile,
  work: LayerWork,
  streamed: number,
  seconds: Map<PrecisionProfile, number>,
): LayerEstimate {
  if (work.class === 'free') return { id: work.id, ms: 0, bound: 'overhead', precision: work.precision };
  const chosen = chosenFor(device, work);
  if (chosen === undefined || work.macs === undefined || work.activationBytes === undefined)
    return { id: work.id, ms: null, bound: 'compute', precision: chosen?.precision ?? null };
  const { profile } = chosen;
  const compute = work.macs / (profile.gmacsPerSecond * 1e9 * speedOf(profile, work));
  const memory = memorySeconds(device, profile, work, chosen.byteFactor, streamed);
  const overhead = profile.opOverhead ?? device.opOverhead;
  const time = compute + memory + overhead;
  seconds.set(profile, (seconds.get(profile) ?? 0) + time);
  const bound =
    compute >= memory && compute >= overhead ? 'compute' : memory >= overhead ? 'memory' : 'overhead';
  return { id: work.id, ms: time * 1000, bound, precision: chosen.precision };
}

/** The terms of a layer's time, milliseconds: what falls with its arithmetic, with its bytes, and with neither. */
interface Pace {
  readonly compute: number;
  readonly memory: number;
  readonly overhead: number;
}

/** How a layer's estimated time is made up; `undefined` when it is unknown. Weights are taken to stay on the chip. */
export function paceOf(device: DeviceProfile, work: LayerWork): Pace | undefined {
  if (work.class === 'free') return { compute: 0, memory: 0, overhead: 0 };
  const chosen = chosenFor(device, work);
  if (chosen === undefined || work.macs === undefined || work.activationBytes === undefined) return undefined;
  const { profile, byteFactor } = chosen;
  return {
    compute: (1000 * work.macs) / (profile.gmacsPerSecond * 1e9 * speedOf(profile, work)),
    memory: 1000 * memorySeconds(device, profile, work, byteFactor, 0),
    overhead: 1000 * (profile.opOverhead ?? device.opOverhead),
  };
}

function chosenFor(device: DeviceProfile, work: LayerWork): Chosen | undefined {
  return (
    profileFor(device, work.precision) ?? (work.class === 'other' ? anyProfile(device, work) : undefined)
  );
}

function speedOf(profile: PrecisionProfile, work: LayerWork): number {
  if (work.class === 'depthwise') return profile.depthwise;
  if (work.class === 'dense3x3') return profile.dense3x3;
  return work.class === 'fullyConnected' ? profile.fullyConnected : 1;
}

function memorySeconds(
  device: DeviceProfile,
  profile: PrecisionProfile,
  work: LayerWork,
  byteFactor: number,
  streamed: number,
): number {
  const bytes = ((work.activationBytes ?? 0) + work.weightBytes) * byteFactor;
  const stream =
    device.streamBandwidth === undefined ? 0 : (work.weightBytes * streamed) / device.streamBandwidth;
  return bytes / (profile.bandwidth ?? device.bandwidth) + stream;
}

/** Share of the weights that does not stay in the accelerator's memory between inferences. */
function streamedShare(device: DeviceProfile, works: readonly LayerWork[]): number {
  if (device.onChipBytes === undefined) return 0;
  const total = works.reduce((sum, work) => sum + work.weightBytes, 0);
  return total > device.onChipBytes ? (total - device.onChipBytes) / total : 0;
}

interface Chosen {
  readonly precision: Precision;
  readonly profile: PrecisionProfile;
  /** Bytes in the chosen precision for each byte in the model's own. */
  readonly byteFactor: number;
}

/** The figures a layer is computed with: accelerators without float32 run it in float16, CPUs widen float16. */
function profileFor(device: DeviceProfile, precision: Precision): Chosen | undefined {
  const { float32, float16, int8 } = device.precisions;
  if (precision === 'int8') return int8 && { precision, profile: int8, byteFactor: 1 };
  if (precision === 'float32') {
    if (float32) return { precision, profile: float32, byteFactor: 1 };
    return float16 && { precision: 'float16', profile: float16, byteFactor: 0.5 };
  }
  if (float16) return { precision, profile: float16, byteFactor: 1 };
  return float32 && { precision: 'float32', profile: float32, byteFactor: 2 };
}

/** Operators that only move data are limited by the memory, whatever the precision they were measured in. */
function anyProfile({ precisions }: DeviceProfile, { precision }: LayerWork): Chosen | undefined {
  const profile = precisions.int8 ?? precisions.float32 ?? precisions.float16;
  return profile && { precision, profile, byteFactor: 1 };
}

function ramOf(device: DeviceProfile, model: Model, analysis: Analysis): number | null {
  const arena = arenaBytesOf(model, analysis);
  if (arena === undefined) return null;
  const inFlash = device.weightsInFlash ?? device.class === 'mcu';
  return inFlash ? arena : arena + analysis.totals.weightBytes;
}
