import type { TargetRules } from '../../devices/targets/target.ts';
import type { Graph, Model, ValueId } from '../../ir/model.ts';
import type { Facts } from '../support/facts.ts';

/** What the planners of both dialects work with. */
export interface Planning<M extends Model> {
  readonly rules: TargetRules;
  readonly model: M;
  readonly graph: Graph;
  readonly facts: Facts;
  /** Whether a value's range is known or may be asked for. */
  readonly encodable: (id: ValueId) => boolean;
}

/** A plan of the main graph. */
export function planning<M extends Model>(
  model: M,
  facts: Facts,
  rules: TargetRules,
  encodable: (id: ValueId) => boolean,
): Planning<M> {
  return { rules, model, graph: model.graphs[0], facts, encodable };
}
