import type { Dim, Shape, TensorType, ValueType } from '../ir/types.ts';
import { soundDim } from '../ops/dims.ts';
import { tensorTypeOf } from '../ops/known.ts';
import type { Known } from '../ops/operator.ts';
import type { Bound } from './bind.ts';

/** Sizes that damage made negative or fractional are unknown. */
export function sane(inferred: Known): Known {
  const type = tensorTypeOf(inferred);
  if (type?.shape === undefined || type.shape.every((dim) => soundDim(dim) === dim)) return inferred;
  return { type: { ...type, shape: type.shape.map(soundDim) } };
}

/** Inference wins over the file's declaration, which edits may have outdated; the declaration fills the gaps. */
export function settle(inferred: Known, declared: ValueType | undefined, bound: Bound): Known {
  if (declared === undefined) return inferred;
  if (inferred.type === undefined) return { type: bound.apply(declared) };
  const type = tensorTypeOf(inferred);
  if (type === undefined || (type.shape !== undefined && complete(type.shape))) return inferred;
  const other = bound.apply(declared);
  if (other.kind !== type.kind) return inferred;
  const shape = fillGaps(type, other as TensorType);
  if (shape === type.shape || shape === undefined) return inferred;
  const filled: ValueType = { ...type, shape };
  return inferred.content === undefined ? { type: filled } : { type: filled, content: inferred.content };
}

function complete(shape: Shape): boolean {
  return shape.every((dim) => typeof dim === 'number');
}

function fillGaps(type: TensorType, declared: TensorType): Shape | undefined {
  if (type.shape === undefined) return declared.shape;
  if (declared.shape?.length !== type.shape.length) return type.shape;
  return type.shape.map((dim, axis): Dim => {
    const other = declared.shape?.[axis] ?? null;
    return dim === null || (typeof dim === 'string' && typeof other === 'number') ? other : dim;
  });
}
