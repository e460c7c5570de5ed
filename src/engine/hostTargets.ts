import { readText } from '../formats/io/files.ts';
import { KerfError } from '../ir/errors.ts';

/** What a processor calls its features, such as `amx_int8`. */
type Features = ReadonlySet<string>;

/** Rules of the runtimes on this machine, at most one per model format. */
export function hostTargets(): readonly string[] {
  kept ??= ['xnnpack', onnxTarget(process.arch, hostFeatures())];
  return kept;
}
let kept: readonly string[] | undefined;

/**
 * The rules of ONNX Runtime on a processor: its fastest integer products are those of AMX, then of VNNI; without either, sums
 * of full 8-bit products overflow. Features that nobody knows are taken for those of the default target.
 */
export function onnxTarget(arch: string, features: Features | undefined): string {
  if (arch === 'arm64' || arch === 'arm') return 'ort-arm';
  const has = (...names: readonly string[]) => names.some((name) => features?.has(name) === true);
  // The runtime only takes AMX beside the vectors of AVX-512.
  if (has('amx_int8') && has('avx512_vnni')) return 'ort-x86-amx';
  return features === undefined || has('avx512_vnni', 'avx_vnni') ? 'ort-x86-vnni' : 'ort-x86';
}

/** Linux tells them in a file; elsewhere they are unknown. */
function hostFeatures(): Features | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    return featuresIn(readText('/proc/cpuinfo'));
  } catch (error) {
    if (KerfError.is(error, 'io')) return undefined;
    throw error;
  }
}

/** The features of the first processor that `/proc/cpuinfo` describes. */
export function featuresIn(cpuinfo: string): Features | undefined {
  const [, flags] = /^flags\s*:(.*)$/m.exec(cpuinfo) ?? [];
  return flags === undefined ? undefined : new Set(flags.trim().split(/\s+/));
}
