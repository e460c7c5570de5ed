import type { DType } from '../../ir/dtype.ts';

/** What the version of an operator depends on. */
export interface Signature {
  readonly inputs: number;
  input(index: number): DType | undefined;
  output(index: number): DType | undefined;
  /** Rank of an input, 0 when unknown. */
  rank(index: number): number;
  perChannel(side: 'input' | 'output', index: number): boolean;
  isQuantized(index: number): boolean;
  /** Scale of an input's or output's per-tensor quantization, 0 without one. */
  scale(side: 'input' | 'output', index: number): number;
  isSparse(index: number): boolean;
  option(name: string): number;
  /** The first two inputs differ in shape and one has more than four dimensions. */
  readonly broadcastsBeyond4: boolean;
  /** The filter has fewer input channels than the input. */
  readonly isGrouped: boolean;
}

type When = (s: Signature) => boolean;
export type Rules = readonly (readonly [version: number, when: When])[];

/** Input `index` has one of these types. */
export const at =
  (index: number, ...types: DType[]): When =>
  (s) =>
    types.includes(s.input(index) as DType);
/** The first input has one of these types. */
export const x = (...types: DType[]) => at(0, ...types);
/** The first output has one of these types. */
export const gives =
  (...types: DType[]): When =>
  (s) =>
    types.includes(s.output(0) as DType);
export const both =
  (...conditions: When[]): When =>
  (s) =>
    conditions.every((each) => each(s));
export const either =
  (...conditions: When[]): When =>
  (s) =>
    conditions.some((each) => each(s));
/** The option is there and not 0. */
export const set =
  (option: string): When =>
  (s) =>
    s.option(option) !== 0;
export const rankAbove =
  (rank: number): When =>
  (s) =>
    s.rank(0) > rank;
export const not =
  (condition: When): When =>
  (s) =>
    !condition(s);

/** Activations of one type, weights of another. */
export const meets = (activation: DType, weight: DType, input = 0, weights = 1): When =>
  both(at(input, activation), at(weights, weight), gives(activation));
export const hybrid = meets('float32', 'int8');
export const perChannelWeights: When = (s) => s.perChannel('input', 1);
export const quantized: When = (s) => s.isQuantized(0);
export const beyond4: When = (s) => s.broadcastsBeyond4;
export const int16: When = both(x('int16'), gives('int16'));

/** The product's rescaling factor is at least 1. */
export function rescales(s: Signature): boolean {
  const [a, b, out] = [s.scale('input', 0), s.scale('input', 1), s.scale('output', 0)];
  return a !== 0 && b !== 0 && out !== 0 && (a * b) / out >= 1;
}

export const int8Only: Rules = [[2, x('int8')]];
export const int8And16: Rules = [
  [3, x('int16')],
  [2, x('int8')],
];
export const pooling: Rules = [
  [3, int16],
  [2, x('int8')],
];
