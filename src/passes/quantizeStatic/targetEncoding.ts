import type { TargetRules } from '../../devices/targets/target.ts';
import type { ObservedRange } from '../pass.ts';
import type { Encoding } from '../support/quantization.ts';
import { activationEncoding } from '../support/quantization.ts';
import { activationType } from './onnxPlan.ts';

/**
 * The encoding of an activation in the type and symmetry that the target wants; `cap` as in `activationEncoding`. Symmetric
 * codes leave out the lowest one, as the weights' do.
 */
export function targetEncoding(range: ObservedRange, rules: TargetRules, cap?: number): Encoding {
  const dtype = activationType(rules);
  const least = rules.leastRange ?? 0;
  const wide = range.max - range.min < least ? { min: range.min, max: range.min + least } : range;
  if (rules.activations.symmetric !== true || dtype === 'uint16') return activationEncoding(wide, dtype, cap);
  const size = Math.max(-wide.min, wide.max, 0);
  return { scale: size > 1e-30 ? Math.fround(size / 127) : 1, zeroPoint: dtype === 'int8' ? 0 : 128, dtype };
}
