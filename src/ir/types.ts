import type { DType } from './dtype.ts';

/** A dimension: a number, a symbol's name, or `null` when nothing is known. */
export type Dim = number | string | null;
export type Shape = readonly Dim[];

/** `shape` is absent when even the rank is unknown. */
export interface TensorType {
  readonly kind: 'tensor' | 'sparse';
  readonly dtype: DType;
  readonly shape?: Shape;
}

export type ValueType =
  | TensorType
  | { readonly kind: 'sequence' | 'optional'; readonly element: ValueType }
  | { readonly kind: 'map'; readonly key: DType; readonly value: ValueType }
  | { readonly kind: 'opaque'; readonly domain: string; readonly name: string };

export function tensorType(dtype: DType, shape?: Shape): TensorType {
  return shape === undefined ? { kind: 'tensor', dtype } : { kind: 'tensor', dtype, shape };
}

/** True when every dimension is a number. */
export function isStatic(shape: Shape | undefined): shape is readonly number[] {
  return shape !== undefined && shape.every((dim) => typeof dim === 'number');
}

/** Product of the dimensions, or `undefined` when one is not a number. A scalar has one element. */
export function elementCount(shape: Shape | undefined): number | undefined {
  if (!isStatic(shape)) return undefined;
  return shape.reduce((product, dim) => product * dim, 1);
}

/** `1×3×224×224`; `?` for an unknown dimension, `scalar` for rank 0, `unranked` when the rank is unknown. */
export function formatShape(shape: Shape | undefined): string {
  if (shape === undefined) return 'unranked';
  if (shape.length === 0) return 'scalar';
  return shape.map((dim) => dim ?? '?').join('×');
}

/** `float32[1×3×32×32]`, `sequence(float32[…])`, or `unknown`. */
export function describeType(type: ValueType | undefined): string {
  if (type === undefined) return 'unknown';
  switch (type.kind) {
    case 'tensor':
      return `${type.dtype}[${formatShape(type.shape)}]`;
    case 'sparse':
      return `sparse ${type.dtype}[${formatShape(type.shape)}]`;
    case 'sequence':
    case 'optional':
      return `${type.kind}(${describeType(type.element)})`;
    case 'map':
      return `map(${type.key}, ${describeType(type.value)})`;
    case 'opaque':
      return `${type.domain}.${type.name}`;
  }
}
