import { stringAttribute } from '../../../../ir/attribute.ts';
import type { Placed } from '../builder.ts';
import type { Emission } from '../emission.ts';

/** The two-dimensional window of a convolution or a pooling: height, then width. */
export interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** top, left, bottom, right */
  readonly pads: readonly number[];
}

const both = [0, 1] as const;

/** A one-dimensional window gets a height of 1. `input` and `output` are the spatial sizes, height and width. */
export function windowOf(
  emission: Emission,
  kernel: readonly number[],
  input: readonly number[],
  output: readonly number[],
): Window {
  const flat = kernel.length === 1;
  const wide = (list: readonly number[] | undefined, one: number) =>
    list === undefined ? [one, one] : flat ? [one, ...list] : list;
  const given = emission.ints('pads');
  const size = {
    kernel: flat ? [1, ...kernel] : kernel,
    strides: wide(emission.ints('strides'), 1),
    dilations: wide(emission.ints('dilations'), 1),
  };
  const explicit = given === undefined ? [0, 0, 0, 0] : flat ? [0, given[0] ?? 0, 0, given[1] ?? 0] : given;
  const auto = stringAttribute(emission.node, 'auto_pad', 'NOTSET');
  const pads = auto === 'NOTSET' || auto === 'VALID' ? explicit : autoPads(auto, input, size);
  return { ...size, pads: withCeiling(pads, input, output, size) };
}

type Size = Omit<Window, 'pads'>;

const reachOf = ({ kernel, dilations }: Size, axis: number) =>
  ((kernel[axis] as number) - 1) * (dilations[axis] as number) + 1;

/** Total padding of TFLite's SAME along one axis. */
function samePadding(size: Size, input: readonly number[], axis: number): number {
  const stride = size.strides[axis] as number;
  const length = input[axis] as number;
  return Math.max(0, (Math.ceil(length / stride) - 1) * stride + reachOf(size, axis) - length);
}

function autoPads(auto: string, input: readonly number[], size: Size): readonly number[] {
  const totals = both.map((axis) => samePadding(size, input, axis));
  const small = totals.map((total) => Math.floor(total / 2));
  const large = totals.map((total, axis) => total - (small[axis] as number));
  return auto === 'SAME_LOWER' ? [...large, ...small] : [...small, ...large];
}

/** With ceil_mode the last window reaches beyond the input: padding that nobody wrote down. */
function withCeiling(
  pads: readonly number[],
  input: readonly number[],
  output: readonly number[],
  size: Size,
) {
  const after = both.map((axis) => {
    const reached = ((output[axis] as number) - 1) * (size.strides[axis] as number) + reachOf(size, axis);
    return Math.max(pads[axis + 2] as number, reached - (input[axis] as number) - (pads[axis] as number));
  });
  return [pads[0] as number, pads[1] as number, ...after];
}

/** True when TFLite's SAME pads exactly as this window does (SAME puts the odd one behind). */
export function isSame(window: Window, input: readonly number[]): boolean {
  return both.every((axis) => {
    const total = samePadding(window, input, axis);
    const small = Math.floor(total / 2);
    return window.pads[axis] === small && window.pads[axis + 2] === total - small;
  });
}

/** An NHWC map with explicit padding; `fill` is 0 when absent. */
export function padded(emission: Emission, value: Placed, pads: readonly number[], fill?: number): Placed {
  const [top, left, bottom, right] = pads as [number, number, number, number];
  const [n, h, w, c] = value.shape as [number, number, number, number];
  const amounts = emission.builder.integers([0, 0, top, bottom, left, right, 0, 0], [4, 2]);
  const shape = [n, h + top + bottom, w + left + right, c];
  return fill === undefined
    ? emission.step('PAD', [value, amounts], shape)
    : emission.step('PADV2', [value, amounts, emission.builder.scalar(fill)], shape);
}
