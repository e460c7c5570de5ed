import type { TargetRules } from '../../devices/targets/target.ts';
import type { ObservedRange } from '../pass.ts';
import type { Encoding } from '../support/quantization.ts';
import { activationEncoding } from '../support/quantization.ts';

/**
 * The encoding of an activation in the type and symmetry that the target wants; `cap` as in `activationEncoding`. Symmetric
 * codes leave out the lowest one, as the weights' do.
 */
export function targetEncoding(range: ObservedRange, rules: TargetRules, cap?: number): Encoding {
  const dtype = rules.activations.types[0] === 'int8' ? 'int8' : 'uint8';
  const least = rules.leastRange ?? 0;
  const wide = range.max - range.min < least ? { min: range.min, max: range.min + least } : range;
  if (rules.activations.symmetric !== true) return activationEncoding(wide, dtype, cap);
  const size = Math.max(-wide.min, wide.max, 0);
  return { scale: size > 1e-30 ? Math.fround(size / 127) : 1, zeroPoint: dtype === 'int8' ? 0 : 128, dtype };
}
