import { analyse } from '../../../../../src/analysis/analyse.ts';
import type { OnnxModel } from '../../../../../src/ir/model.ts';
import type { ValueType } from '../../../../../src/ir/types.ts';
import { describeType } from '../../../../../src/ir/types.ts';
import { dataDependent, training } from './data.ts';

/** `wrong`: something else was inferred. `open`: less than everything was, where the operators leave a choice. */
type Verdict = { readonly kind: 'exact' | 'open' } | { readonly kind: 'wrong'; readonly message: string };

/** Inferred types of the main graph's outputs against those that came out of a run. */
export function judge(
  model: OnnxModel,
  outputs: ReadonlyMap<string, ValueType | readonly ValueType[] | undefined>,
): Verdict {
  const types = analyse(model).types.get(model.graphs[0]);
  const mayBeOpen = model.graphs[0].nodes.some((node) => dataDependent.has(node.op) || training.has(node.op));
  let open = false;
  for (const [id, expected] of outputs) {
    if (expected === undefined) continue;
    const inferred = types?.get(id);
    if (Array.isArray(expected)) {
      const element = inferred?.kind === 'sequence' ? inferred.element : undefined;
      const wrong = (expected as readonly ValueType[]).find((each) => element && !isImplied(element, each));
      if (element !== undefined && wrong === undefined) continue;
      return { kind: 'wrong', message: `${id}: ${describeType(inferred)}, elements ${describeType(wrong)}` };
    }
    const type = expected as ValueType;
    if (describeType(inferred) === describeType(type)) continue;
    if (!mayBeOpen || (inferred !== undefined && !isImplied(inferred, type))) {
      return { kind: 'wrong', message: `${id}: ${describeType(inferred)}, in truth ${describeType(type)}` };
    }
    open = true;
  }
  return { kind: open ? 'open' : 'exact' };
}

/** Everything the inferred type says is true of the other. */
export function isImplied(inferred: ValueType, truth: ValueType): boolean {
  if (inferred.kind !== 'tensor' || truth.kind !== 'tensor') return inferred.kind === truth.kind;
  if (inferred.dtype !== truth.dtype) return false;
  if (inferred.shape === undefined) return true;
  if (inferred.shape.length !== truth.shape?.length) return false;
  return inferred.shape.every((dim, axis) => typeof dim !== 'number' || dim === truth.shape?.[axis]);
}
