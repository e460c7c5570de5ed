import type { Model, NodeId } from '../../ir/model.ts';

/** A changed model to compare with the original: one layer under a scheme, or a part of that change. */
export interface Change {
  readonly key: string;
  /** What of the layer changes: all, its weights or its activations. */
  readonly kind: string;
  readonly model: Model;
}

export interface LayerChanges {
  readonly id: NodeId;
  /** Made when its turn comes. Throws `KerfError` when the layer cannot be changed so. */
  make(): Promise<readonly Change[]>;
}

/** Some samples that run at once. */
export interface Batch {
  readonly tag: string;
  readonly first: number;
  readonly rows: number;
}
