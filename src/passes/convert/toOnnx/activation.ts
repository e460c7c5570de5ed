import { stringAttribute } from '../../../ir/attribute.ts';
import type { ValueId } from '../../../ir/model.ts';
import { intTensor } from '../../../ir/numbers.ts';
import type { Emission } from './emission.ts';
import { codesOf } from './values.ts';
import type { Storage } from './storage.ts';

/** Real numbers that a fused activation lets through. */
const bounds: Readonly<Record<string, readonly [number, number]>> = {
  RELU: [0, Number.POSITIVE_INFINITY],
  RELU6: [0, 6],
  RELU_N1_TO_1: [-1, 1],
};

function kindOf({ node }: Emission): string {
  // Inside of recurrent operators it belongs to the cell.
  return node.op.endsWith('LSTM') ? 'NONE' : stringAttribute(node, 'fused_activation_function', 'NONE');
}

/** The fused activation of a layer that gives floats. */
export function activated(emission: Emission, value: ValueId): ValueId {
  const kind = kindOf(emission);
  if (kind === 'NONE') return value;
  if (kind === 'RELU') return emission.emit('Relu', [value]);
  if (kind === 'TANH') return emission.emit('Tanh', [value]);
  const [low, high] = bounds[kind] ?? emission.refuse(`fused activation ${kind} is not covered`);
  return emission.emit('Clip', [value, emission.scalar(low), emission.scalar(high)]);
}

/**
 * The fused activation of a layer that gives codes: TFLite bounds the codes (LiteRT, kernel_util.cc), behind the
 * rounding. A bound that the type enforces needs no operator, and the rounding stays beside its layer, where ONNX Runtime
 * makes one integer kernel of both.
 */
export function activatedCodes(
  emission: Emission,
  codes: ValueId,
  { dtype, quantization }: Storage,
): ValueId {
  const kind = kindOf(emission);
  if (kind === 'NONE') return codes;
  const between = bounds[kind] ?? emission.refuse(`fused activation ${kind} is not covered`);
  const range = codesOf(dtype) ?? emission.refuse(`fused activations of ${dtype} are not covered`);
  const zero = quantization.zeroPoint[0] ?? 0;
  const ends = between.map((bound) =>
    Math.min(
      range[1],
      Math.max(range[0], zero + roundedAway(bound / Math.fround(quantization.scale[0] as number))),
    ),
  );
  const bound = (place: 0 | 1) =>
    ends[place] === range[place]
      ? null
      : emission.builder.constant(`${emission.name}_bound`, intTensor(dtype, [], [ends[place] as number]));
  const inputs = [codes, bound(0), bound(1)];
  while (inputs.at(-1) === null) inputs.pop();
  return inputs.length === 1 ? codes : emission.emit('Clip', inputs);
}

/** Halves go away from zero. */
function roundedAway(value: number): number {
  return Math.sign(value) * Math.floor(Math.abs(value) + 0.5);
}
