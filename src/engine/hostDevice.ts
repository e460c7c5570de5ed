import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { availableParallelism, cpus, homedir } from 'node:os';
import path from 'node:path';
import type { Analysis } from '../analysis/report.ts';
import type { Probe } from '../devices/calibrate.ts';
import { calibrate } from '../devices/calibrate.ts';
import type { DeviceProfile } from '../devices/profile.ts';
import { workOf } from '../devices/work.ts';
import { readJson } from '../formats/io/files.ts';
import { writeParts } from '../formats/io/writeParts.ts';
import { memoryBytes } from '../ir/bytes.ts';
import { KerfError } from '../ir/errors.ts';
import type { Model } from '../ir/model.ts';
import type { LatencyStats } from '../runtime/measure/reports.ts';
import { hostTargets } from './hostTargets.ts';

/** The latest measurement of each model on this machine, oldest first, by a digest of its work. */
const probes = new Map<string, Probe>();
const mostProbes = 16;
/** Where they outlive the process; nowhere unless `keepProbesIn` says so. */
let file: string | undefined;

/** The folder for what a program keeps between runs (XDG base directory specification; LOCALAPPDATA on Windows). */
export function stateFolder(): string {
  const { XDG_STATE_HOME: state, LOCALAPPDATA: local } = process.env;
  if (process.platform === 'win32' && local !== undefined) return path.join(local, 'kerf');
  return path.join(state ?? path.join(homedir(), '.local/state'), 'kerf');
}

/** Keeps measurements of this machine in a folder, and takes up those that are there. */
export function keepProbesIn(folder: string): void {
  file = path.join(folder, 'host-probes.json');
  probes.clear();
  for (const [key, probe] of storedProbes(file)) probes.set(key, probe);
}

/** Remembers a benchmark, for estimates of other models on this machine. */
export async function rememberProbe(
  model: Model,
  analysis: Analysis,
  { median, p90 }: LatencyStats,
): Promise<void> {
  // The names of layers are nobody's business beyond the model.
  const works = workOf(model, analysis).map((work) => ({ ...work, id: '' }));
  const key = createHash('sha256').update(JSON.stringify(works)).digest('hex').slice(0, 16);
  probes.delete(key);
  probes.set(key, { works, medianMs: median, p90Ms: p90 });
  const [oldest] = probes.keys();
  if (probes.size > mostProbes && oldest !== undefined) probes.delete(oldest);
  if (file === undefined) return;
  const text = JSON.stringify({ machine: machineName(), probes: [...probes] });
  try {
    mkdirSync(path.dirname(file), { recursive: true });
    await writeParts(file, [memoryBytes(new TextEncoder().encode(text))]);
  } catch {
    // A home that cannot be written to takes the memory, not the benchmark.
    file = undefined;
  }
}

/**
 * This machine's profile with the rules of its runtimes, scaled to what was measured on it; its times are as they were while
 * nothing usable was measured.
 */
export function calibratedHost(profile: DeviceProfile): DeviceProfile {
  if (profile.class !== 'host') return profile;
  const host = { ...profile, targets: profile.targets ?? hostTargets() };
  if (probes.size === 0) return host;
  try {
    return calibrate(host, [...probes.values()]);
  } catch (error) {
    // Only noisy runs so far: the estimate stays unknown rather than wrong.
    if (KerfError.is(error, 'bad-option')) return host;
    throw error;
  }
}

/** Measurements made on other machines, as homes on a network have them, say nothing here. */
function machineName(): string {
  return `${cpus()[0]?.model ?? 'unknown'} x ${availableParallelism()}`;
}

function storedProbes(from: string): readonly (readonly [string, Probe])[] {
  let stored: unknown;
  try {
    stored = readJson(from);
  } catch (error) {
    if (KerfError.is(error)) return [];
    throw error;
  }
  if (typeof stored !== 'object' || stored === null) return [];
  const { machine, probes: list } = stored as { machine?: unknown; probes?: unknown };
  return machine === machineName() && Array.isArray(list) ? list.filter(isStored) : [];
}

function isStored(each: unknown): each is readonly [string, Probe] {
  if (!Array.isArray(each) || typeof each[0] !== 'string') return false;
  const probe = each[1] as Partial<Probe> | undefined;
  return Array.isArray(probe?.works) && typeof probe.medianMs === 'number';
}
