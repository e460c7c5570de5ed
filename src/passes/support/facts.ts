import type { Bound } from '../../analysis/bind.ts';
import { boundTo } from '../../analysis/bind.ts';
import { inferTypes } from '../../analysis/types.ts';
import type { DType } from '../../ir/dtype.ts';
import type { Graph, Model, ValueId } from '../../ir/model.ts';
import { feedsOf } from '../../ir/model.ts';
import type { Dim, Shape, TensorType } from '../../ir/types.ts';
import { isStatic } from '../../ir/types.ts';
import { soundDim } from '../../ops/dims.ts';

/** What is known of the values of a model's main graph. */
export interface Facts {
  typeOf(id: ValueId | null | undefined): TensorType | undefined;
  dtypeOf(id: ValueId | null | undefined): DType | undefined;
  /** The dimensions when all of them are numbers. */
  dimsOf(id: ValueId | null | undefined): readonly number[] | undefined;
  /** Elements of a small tensor as inference found them; symbols and `null` where they are not numbers. */
  contentOf(id: ValueId | null | undefined): readonly Dim[] | undefined;
}

const kept = new WeakMap<Model, Facts>();

/** Types and small contents of the main graph's values: inferred where inference got there, declared otherwise. */
export function factsOf(model: Model): Facts {
  let facts = kept.get(model);
  if (facts === undefined) {
    facts = findFacts(model);
    kept.set(model, facts);
  }
  return facts;
}

function findFacts(model: Model): Facts {
  const graph: Graph = model.graphs[0];
  const found = inferTypes(model, unbound(graph), new Map()).main.known;
  const typeOf = (id: ValueId | null | undefined): TensorType | undefined => {
    if (id === null || id === undefined) return undefined;
    const value = graph.values.get(id);
    if (value?.constant !== undefined) {
      return { kind: 'tensor', dtype: value.constant.dtype, shape: value.constant.dims };
    }
    const type = found.get(id)?.type ?? value?.type;
    return type?.kind === 'tensor' ? type : undefined;
  };
  return {
    typeOf,
    dtypeOf: (id) => typeOf(id)?.dtype,
    dimsOf: (id) => {
      const shape = typeOf(id)?.shape;
      return isStatic(shape) ? shape : undefined;
    },
    contentOf: (id) => (id === null || id === undefined ? undefined : found.get(id)?.content),
  };
}

/**
 * All free dimensions stay symbols, the batch too: what a pass derives from a shape must hold for every size. Symbols
 * that no input has are taken as unknown, because files use them carelessly.
 */
function unbound(graph: Graph): Bound {
  const inputs = new Map<string, Shape>();
  const free = new Set<string>();
  for (const feed of feedsOf(graph)) {
    if (feed.type?.kind !== 'tensor' || feed.type.shape === undefined) continue;
    const shape = feed.type.shape.map((dim, axis) => soundDim(dim) ?? `${feed.id}[${axis}]`);
    for (const dim of shape) if (typeof dim === 'string') free.add(dim);
    inputs.set(feed.id, shape);
  }
  return boundTo(inputs, free, new Map());
}
