import { readFloats } from '../../ir/numbers.ts';
import type { ChannelLayer } from './channels.ts';

/** The weight of a layer as weights between channels. */
interface Taps {
  readonly values: Float32Array;
  readonly outputs: number;
  /** Input channels that one output reads. */
  readonly inputs: number;
  /** The first input channel that an output reads. */
  offsetOf(output: number): number;
  /**
   * All values in order, in runs that lie between one output and one input: their places in `values`, the output, and the
   * input counted within what the output reads.
   */
  forEachRun(visit: (from: number, to: number, output: number, input: number) => void): void;
}

export function tapsOf({ role, weight, from }: ChannelLayer): Taps {
  const outputs = weight.dims[role.outputAxis] as number;
  const single = role.inputAxis === undefined || role.kind === 'depthwise';
  const inputAxis = single ? undefined : role.inputAxis;
  const inputs = inputAxis === undefined ? 1 : (weight.dims[inputAxis] as number);
  const perGroup = outputs / (from.count / inputs);
  return {
    values: readFloats(weight),
    outputs,
    inputs,
    offsetOf: (output) => Math.floor(output / perGroup) * inputs,
    forEachRun: (visit) => forEachRun(weight.dims, role.outputAxis, inputAxis, visit),
  };
}

function forEachRun(
  dims: readonly number[],
  outputAxis: number,
  inputAxis: number | undefined,
  visit: (from: number, to: number, output: number, input: number) => void,
): void {
  const size = (from: number, to: number) => dims.slice(from, to).reduce((product, dim) => product * dim, 1);
  const [first, second] =
    inputAxis === undefined ? [outputAxis, dims.length] : [outputAxis, inputAxis].sort((a, b) => a - b);
  const around = size(0, first as number);
  const outer = dims[first as number] as number;
  const between = size((first as number) + 1, second as number);
  const inner = inputAxis === undefined ? 1 : (dims[second as number] as number);
  const run = size((second as number) + 1, dims.length);
  // Without an input axis, all that lies behind the output axis is one run.
  const [times, length] = inputAxis === undefined ? [1, between] : [between, run];
  const swapped = inputAxis !== undefined && inputAxis < outputAxis;
  let at = 0;
  for (let n = 0; n < around; n += 1)
    for (let a = 0; a < outer; a += 1)
      for (let m = 0; m < times; m += 1)
        for (let b = 0; b < inner; b += 1, at += length) {
          if (swapped) visit(at, at + length, b, a);
          else visit(at, at + length, a, b);
        }
}

/** Largest magnitude of the weights between each output and each input it reads, `outputs` x `inputs`. */
export function largestTaps({ values, outputs, inputs, forEachRun: runs }: Taps): Float32Array {
  const largest = new Float32Array(outputs * inputs);
  runs((from, to, output, input) => {
    const place = output * inputs + input;
    let most = largest[place] as number;
    for (let i = from; i < to; i += 1) {
      const size = Math.abs(values[i] as number);
      if (size > most) most = size;
    }
    largest[place] = most;
  });
  return largest;
}
