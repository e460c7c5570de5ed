import { attr, floatAttribute } from '../../../../ir/attribute.ts';
import type { ValueId } from '../../../../ir/model.ts';
import type { Emission, Rule } from '../emission.ts';
import type { Storage } from '../storage.ts';

/** XNNPACK holds the factor between two scales in whole 256ths here (qs8-vcvt, qs8-vlrelu), and rounds halves up. */
const parts = 256;
/** Less than any code away from a tie is moved by it, and more than floats err. */
const nudge = 2 ** -18;

/** Codes of 8 bits that another scale takes, with what both are stored as. */
function rescaled(
  emission: Emission,
): { id: ValueId; from: Storage; to: Storage; ratio: number } | undefined {
  const [source, to] = [emission.codes(0), emission.storage()];
  if (source === undefined || to?.dtype !== 'uint8') return undefined;
  if (emission.dtypeOf(emission.value(0)) !== emission.dtypeOf(emission.output())) return undefined;
  const { id, storage: from } = source;
  return { id, from, to, ratio: scaleOf(from) / scaleOf(to) };
}

/** To another scale: the factor in 256ths, moved to where it gives the kernel's codes when there is such a place. */
const quantize: Rule = (emission) => {
  const found = rescaled(emission);
  if (found === undefined) return emission.operand(0);
  const { id, from, to, ratio } = found;
  const zero = zeroOf(from);
  const exact = Math.round(ratio * parts) / parts;
  let [low, high] = [exact * (1 - nudge), exact * (1 + nudge)];
  for (let code = -zero; code <= 255 - zero; code += 1) {
    const made = Math.floor(code * exact + 0.5);
    if (code === 0 || made < -zeroOf(to) || made > 255 - zeroOf(to)) continue;
    const ends = [(made - 0.5) / code, (made + 0.5) / code];
    low = Math.max(low, Math.min(...ends));
    high = Math.min(high, Math.max(...ends));
  }
  return read(emission, id, from, (low <= high ? (low + high) / 2 : exact) * scaleOf(to));
};

/** Each side of zero has a factor of its own in 256ths; halves go up on both. */
const leakyRelu: Rule = (emission) => {
  const slope = floatAttribute(emission.node, 'alpha', 0);
  const found = rescaled(emission);
  const leaky = (value: ValueId, alpha: number) =>
    emission.emit('LeakyRelu', [value], { alpha: attr.float(alpha) });
  if (found === undefined) return leaky(emission.operand(0), slope);
  const { id, from, to, ratio } = found;
  const [above, below] = [ratio, ratio * slope].map((factor) => Math.round(factor * parts) / parts) as [
    number,
    number,
  ];
  const value = read(emission, id, from, above * (1 + nudge) * scaleOf(to));
  return leaky(value, (below * (1 - nudge)) / (above * (1 + nudge)));
};

function read(
  { builder, name }: Emission,
  codes: ValueId,
  { dtype, quantization }: Storage,
  scale: number,
): ValueId {
  return builder.dequantize(codes, `${name}_scaled`, dtype, {
    ...quantization,
    scale: Float32Array.of(scale),
  });
}

const scaleOf = ({ quantization }: Storage) => quantization.scale[0] as number;
const zeroOf = ({ quantization }: Storage) => quantization.zeroPoint[0] ?? 0;

export const rescaleRules: Readonly<Record<string, Rule>> = { QUANTIZE: quantize, LEAKY_RELU: leakyRelu };
