import { readFloats } from '../../ir/numbers.ts';
import { stridesOf } from '../support/constants.ts';
import type { ChannelLayer } from './channels.ts';

/** Where an element of a layer's weight stands: the channels it leads from and to. */
export interface Taps {
  readonly values: Float32Array;
  readonly outputs: number;
  /** Input channels that one output reads. */
  readonly inputs: number;
  outputOf(index: number): number;
  /** Counted within what the output reads. */
  inputOf(index: number): number;
  /** The first input channel that an output reads. */
  offsetOf(output: number): number;
}

export function tapsOf({ role, weight, from }: ChannelLayer): Taps {
  const strides = stridesOf(weight.dims);
  const outputs = weight.dims[role.outputAxis] as number;
  const outputStride = strides[role.outputAxis] as number;
  const outputOf = (index: number) => Math.floor(index / outputStride) % outputs;
  const values = readFloats(weight);
  if (role.inputAxis === undefined || role.kind === 'depthwise') {
    const multiplier = outputs / from.count;
    return {
      values,
      outputs,
      inputs: 1,
      outputOf,
      inputOf: () => 0,
      offsetOf: (output) => Math.floor(output / multiplier),
    };
  }
  const inputs = weight.dims[role.inputAxis] as number;
  const inputStride = strides[role.inputAxis] as number;
  const perGroup = outputs / (from.count / inputs);
  return {
    values,
    outputs,
    inputs,
    outputOf,
    inputOf: (index) => Math.floor(index / inputStride) % inputs,
    offsetOf: (output) => Math.floor(output / perGroup) * inputs,
  };
}

/** Largest magnitude of the weights between each output and each input it reads, `outputs` x `inputs`. */
export function largestTaps(taps: Taps): Float32Array {
  const { values, outputs, inputs } = taps;
  const largest = new Float32Array(outputs * inputs);
  for (let i = 0; i < values.length; i += 1) {
    const at = taps.outputOf(i) * inputs + taps.inputOf(i);
    const size = Math.abs(values[i] as number);
    if (size > (largest[at] as number)) largest[at] = size;
  }
  return largest;
}
