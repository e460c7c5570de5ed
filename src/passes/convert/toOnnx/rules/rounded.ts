import type { ValueId } from '../../../../ir/model.ts';
import type { Emission } from '../emission.ts';
import { codesOf, quantizationOf } from '../values.ts';

/** What is left of a value after it was stored in the codes of the state that input `index` is; itself for floats. */
export function rounded(emission: Emission, value: ValueId, index: number): ValueId {
  const stored = emission.value(index);
  const quantization = quantizationOf(stored);
  const codes = codesOf(emission.dtypeOf(stored));
  if (quantization === undefined || codes === undefined) return value;
  const scale = emission.scalar(quantization.scale[0] as number);
  const zero = quantization.zeroPoint[0] ?? 0;
  const steps = emission.emit('Round', [emission.emit('Div', [value, scale])]);
  const bounded = emission.emit('Clip', [
    steps,
    emission.scalar(codes[0] - zero),
    emission.scalar(codes[1] - zero),
  ]);
  return emission.emit('Mul', [bounded, scale]);
}
