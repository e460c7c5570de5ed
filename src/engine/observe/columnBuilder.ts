import type { Attribute, ValueId } from '../../ir/model.ts';
import type { GraphEditor } from '../../ir/edit.ts';
import type { DenseLayer } from '../../passes/support/denseLayer.ts';

/** How many positions of a layer's feature map are looked at, at most. */
export type Density = (layer: DenseLayer) => number;

export interface Builder {
  readonly density: Density;
  readonly editor: GraphEditor;
  readonly inputs: ValueId[];
  add(op: string, inputs: readonly ValueId[], attributes?: Readonly<Record<string, Attribute>>): ValueId;
  /** A float input of the model with this name. */
  input(name: string): ValueId;
  /** The sum over the vectors. */
  total(columns: ValueId): ValueId;
  finish(): void;
}
