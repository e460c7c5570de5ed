import type { ChannelLayer } from './channels.ts';
import { reachesOf } from './reach.ts';
import type { Site } from './sites.ts';

/** A layer that reads channels which may be divided. */
export interface Reader {
  readonly layer: ChannelLayer;
  /** The largest weight between each output and each input it reads. */
  readonly largest: Float32Array;
  readonly outputs: number;
  readonly inputs: number;
  /** The first input channel that each output reads. */
  readonly offsets: Int32Array;
  /** Per output: output energy per unit of noise energy on all its elements. */
  readonly gain: Float64Array;
  /** Energy of each input channel, times the taps that read it. */
  readonly energy: Float64Array;
  readonly perChannel: boolean;
}

/** What the channels of a value are divided by. */
export type DivisorsOf = (site: Site) => Float64Array;

/** The largest weight of each output after its inputs were divided, for each of several lists of divisors of the input channels. */
export function largestUnder(
  { largest, inputs, outputs, offsets }: Reader,
  trials: readonly Float32Array[],
): readonly Float32Array[] {
  if (offsets.every((offset) => offset === 0)) return reachesOf(largest, inputs, trials);
  return trials.map((divisors) =>
    Float32Array.from({ length: outputs }, (_, output) => {
      const [offset, row] = [offsets[output] as number, output * inputs];
      let most = 0;
      for (let i = 0; i < inputs; i += 1)
        most = Math.max(most, (largest[row + i] as number) * (divisors[offset + i] as number));
      return most;
    }),
  );
}

/** Expected noise energy at the model's outputs from rounding weights to codes up to `top`; `reach` is the largest weight of each output. */
export function weightNoise(
  { layer, outputs, inputs, offsets, gain, energy, perChannel }: Reader,
  divisorsOf: DivisorsOf,
  reach: Float32Array,
  top: number,
): number {
  const [before, behind] = [divisorsOf(layer.from), divisorsOf(layer.to)];
  const seen = new Float64Array(outputs);
  let widest = 0;
  for (let output = 0; output < outputs; output += 1) {
    const offset = offsets[output] as number;
    // Outputs of one group see the same.
    if (output > 0 && offsets[output - 1] === offset) seen[output] = seen[output - 1] as number;
    else
      for (let i = offset; i < offset + inputs; i += 1)
        seen[output] = (seen[output] as number) + (energy[i] as number) / (before[i] as number) ** 2;
    widest = Math.max(widest, (reach[output] as number) / top / (behind[output] as number));
  }
  let noise = 0;
  for (let output = 0; output < outputs; output += 1) {
    const step = perChannel ? (reach[output] as number) / top : widest * (behind[output] as number);
    noise += ((step * step) / 12) * (seen[output] as number) * (gain[output] as number);
  }
  return noise;
}
