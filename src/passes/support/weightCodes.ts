import { readFloats, numberTensor } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { roundHalfEven } from './quantization.ts';
import { stridesOf } from './constants.ts';

/** Which elements of a weight share a scale. */
export interface Grouping {
  /** The scales' dimensions. */
  readonly dims: readonly number[];
  /** Index of the scale of element `index`. */
  groupOf(index: number): number;
}

/** One scale per index of `axis`. */
export function byChannel(dims: readonly number[], axis: number): Grouping {
  const channels = dims[axis] as number;
  const stride = stridesOf(dims)[axis] as number;
  return { dims: [channels], groupOf: (index) => Math.floor(index / stride) % channels };
}

/** One scale per column and `block` rows of a matrix; the last block of a column may be shorter. */
export function byBlock(dims: readonly [rows: number, columns: number], block: number): Grouping {
  const [rows, columns] = dims;
  return {
    dims: [Math.ceil(rows / block), columns],
    groupOf: (index) => Math.floor(index / columns / block) * columns + (index % columns),
  };
}

export type WeightBits = 4 | 8;

export interface WeightCodes {
  /** int8 in [-127, 127] or int4 in [-7, 7]. */
  readonly codes: Tensor;
  readonly scales: Float32Array;
}

/** Shares of the largest magnitude that the largest code may stand for, when clipping may pay. */
const clippings = [1, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6];

/**
 * Symmetric codes with one scale per group. At 8 bits the largest magnitude of a group is its largest code; at 4 bits
 * each group takes the share of it that leaves the least squared error. A group of zeros gets the scale 1.
 */
export function encodeWeight(tensor: Tensor, grouping: Grouping, bits: WeightBits): WeightCodes {
  const values = readFloats(tensor);
  const top = 2 ** (bits - 1) - 1;
  const groups = grouping.dims.reduce((product, dim) => product * dim, 1);
  const largest = new Float64Array(groups);
  for (let i = 0; i < values.length; i += 1) {
    const group = grouping.groupOf(i);
    const size = Math.abs(values[i] as number);
    if (size > (largest[group] as number)) largest[group] = size;
  }
  const scales = new Float32Array(groups);
  // Below the smallest normal float32 the division would lose its precision.
  for (const [group, size] of largest.entries()) scales[group] = size / top > 1.2e-38 ? size / top : 1;
  if (bits < 8) clip(values, grouping, scales, top);
  const codes = new Int8Array(values.length);
  for (let i = 0; i < values.length; i += 1) {
    codes[i] = codeOf(values[i] as number, scales[grouping.groupOf(i)] as number, top);
  }
  return { codes: numberTensor(bits === 8 ? 'int8' : 'int4', tensor.dims, codes), scales };
}

function codeOf(value: number, scale: number, top: number): number {
  const code = roundHalfEven(value / scale);
  return code > top ? top : code < -top ? -top : code;
}

/** Lowers each scale to the share of itself that leaves the least squared error in its group. */
function clip(values: Float32Array, grouping: Grouping, scales: Float32Array, top: number): void {
  const whole = scales.slice();
  const least = new Float64Array(scales.length).fill(Number.POSITIVE_INFINITY);
  for (const share of clippings) {
    const errors = new Float64Array(scales.length);
    for (let i = 0; i < values.length; i += 1) {
      const group = grouping.groupOf(i);
      const value = values[i] as number;
      const scale = Math.fround((whole[group] as number) * share);
      const error = value - scale * codeOf(value, scale, top);
      errors[group] = (errors[group] as number) + error * error;
    }
    for (const [group, error] of errors.entries()) {
      if (error >= (least[group] as number)) continue;
      least[group] = error;
      scales[group] = (whole[group] as number) * share;
    }
  }
}
