import type { Model, NodeId } from '../../ir/model.ts';

/** What one repair did; `undefined` when there was nothing to do. */
export interface Repaired {
  readonly model: Model;
  readonly changed: readonly NodeId[];
  readonly notes: readonly string[];
}
