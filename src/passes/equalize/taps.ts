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
  readonly order: TapOrder;
}

/**
 * How the values follow each other: `around` times, over `outer` outputs (inputs where `swapped`), `times`, over `inner`
 * inputs (outputs where `swapped`), in runs of `length`.
 */
interface TapOrder {
  readonly around: number;
  readonly outer: number;
  readonly times: number;
  readonly inner: number;
  readonly length: number;
  readonly swapped: boolean;
}

export function tapsOf({ role, weight, from }: ChannelLayer): Taps {
  const outputs = weight.dims[role.outputAxis] as number;
  const single = role.inputAxis === undefined || role.kind === 'depthwise';
  const inputAxis = single ? undefined : role.inputAxis;
  const inputs = inputAxis === undefined ? 1 : (weight.dims[inputAxis] as number);
  const perGroup = outputs / (from.count / inputs);
  const order = orderOf(weight.dims, role.outputAxis, inputAxis);
  return {
    values: readFloats(weight),
    outputs,
    inputs,
    offsetOf: (output) => Math.floor(output / perGroup) * inputs,
    forEachRun: (visit) => forEachRun(order, visit),
    order,
  };
}

function orderOf(dims: readonly number[], outputAxis: number, inputAxis: number | undefined): TapOrder {
  const size = (from: number, to: number) => dims.slice(from, to).reduce((product, dim) => product * dim, 1);
  const [first = 0, second = dims.length] =
    inputAxis === undefined ? [outputAxis] : [outputAxis, inputAxis].sort((a, b) => a - b);
  const between = size(first + 1, second);
  // Without an input axis, all that lies behind the output axis is one run.
  const [times, length] = inputAxis === undefined ? [1, between] : [between, size(second + 1, dims.length)];
  return {
    around: size(0, first),
    outer: dims[first] as number,
    times,
    inner: inputAxis === undefined ? 1 : (dims[second] as number),
    length,
    swapped: inputAxis !== undefined && inputAxis < outputAxis,
  };
}

function forEachRun(
  { around, outer, times, inner, length, swapped }: TapOrder,
  visit: (from: number, to: number, output: number, input: number) => void,
): void {
  let at = 0;
  for (let n = 0; n < around; n += 1)
    for (let a = 0; a < outer; a += 1)
      for (let m = 0; m < times; m += 1)
        for (let b = 0; b < inner; b += 1, at += length) {
          if (swapped) visit(at, at + length, b, a);
          else visit(at, at + length, a, b);
        }
}

/** What is to be known of the weights between each output and each input it reads, `outputs` x `inputs`. */
export interface TapSizes extends Pick<Taps, 'outputs' | 'inputs' | 'offsetOf'> {
  /** Weights of the layer. */
  readonly count: number;
  /** The largest magnitude. */
  readonly largest: Float32Array;
  /** Sum of squares. */
  readonly squares: Float64Array;
}

export function tapSizesOf(layer: ChannelLayer): TapSizes {
  const { values, outputs, inputs, offsetOf, order } = tapsOf(layer);
  const { around, outer, times, inner, length, swapped } = order;
  const largest = new Float32Array(outputs * inputs);
  const squares = new Float64Array(outputs * inputs);
  const sizes = { outputs, inputs, offsetOf, count: values.length, largest, squares };
  if (!swapped && values.length === largest.length) {
    for (let i = 0; i < values.length; i += 1) {
      const value = values[i] as number;
      largest[i] = Math.abs(value);
      squares[i] = value * value;
    }
    return sizes;
  }
  const [perOuter, perInner] = swapped ? [1, inputs] : [inputs, 1];
  let at = 0;
  for (let n = 0; n < around; n += 1)
    for (let a = 0; a < outer; a += 1)
      for (let m = 0; m < times; m += 1)
        for (let b = 0, place = a * perOuter; b < inner; b += 1, place += perInner) {
          let most = largest[place] as number;
          let sum = squares[place] as number;
          for (const end = at + length; at < end; at += 1) {
            const value = values[at] as number;
            most = Math.max(most, Math.abs(value));
            sum += value * value;
          }
          largest[place] = most;
          squares[place] = sum;
        }
  return sizes;
}

/** The values times a factor for each input and over a divisor for each output, in their order. */
export function scaledTaps(
  { values, offsetOf, order }: Taps,
  times: Float64Array,
  over: Float64Array,
): Float32Array {
  const { around, outer, times: runs, inner, length, swapped } = order;
  const scaled = new Float32Array(values.length);
  let at = 0;
  for (let n = 0; n < around; n += 1)
    for (let a = 0; a < outer; a += 1) {
      const offset = swapped ? 0 : offsetOf(a);
      for (let m = 0; m < runs; m += 1)
        for (let b = 0; b < inner; b += 1) {
          const factor = times[swapped ? offsetOf(b) + a : offset + b] as number;
          const divisor = over[swapped ? b : a] as number;
          for (const end = at + length; at < end; at += 1)
            scaled[at] = ((values[at] as number) * factor) / divisor;
        }
    }
  return scaled;
}
