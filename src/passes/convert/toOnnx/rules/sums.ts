import type { Rule } from '../emission.ts';
import { tieSafeScales } from '../tieSafe.ts';

/** ADD and SUB. Of codes with scales that floats cannot round to another code than LiteRT's. */
function sum(op: 'Add' | 'Sub'): Rule {
  return (emission) => {
    const operands = [emission.operand(0), emission.operand(1)];
    const [a, b, out] = [emission.codes(0), emission.codes(1), emission.storage()];
    if (a === undefined || b === undefined || out === undefined) return emission.emit(op, operands);
    if ([a.storage, b.storage, out].some(({ dtype }) => dtype !== 'uint8'))
      return emission.emit(op, operands);
    const scales = tieSafeScales({ a: a.storage, b: b.storage, out, sign: op === 'Add' ? 1 : -1 });
    if (scales === undefined) return emission.emit(op, operands);
    const terms = [a, b].map(({ id, storage }, place) => {
      const quantization = { ...storage.quantization, scale: Float32Array.of(scales[place] as number) };
      return emission.builder.dequantize(id, `${emission.name}_term`, 'uint8', quantization);
    });
    return emission.emit(op, terms);
  };
}

export const sumRules: Readonly<Record<string, Rule>> = { ADD: sum('Add'), SUB: sum('Sub') };
