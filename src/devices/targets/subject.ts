import type { DType } from '../../ir/dtype.ts';
import type { Graph, Model, Node, NodeId, ValueId } from '../../ir/model.ts';
import type { TargetRules } from './target.ts';

/** What the checks of both dialects look at. */
export interface Subject {
  readonly rules: TargetRules;
  readonly model: Model;
  readonly graph: Graph;
  dtypeOf(id: ValueId | null | undefined): DType | undefined;
  refuse(node: Node | undefined, kind: TargetRefusal['kind'], reason: string): void;
}

/** Something of a model that a target does not run on integers, or not with these numbers. */
export interface TargetRefusal {
  /** '' for the model as a whole. */
  readonly layer: NodeId;
  /**
   * `float`: computes in float where it stands; `processor`: goes back to the processor; `behind`: does so because of a
   * layer before it; `numbers`: a type, scale or zero point that the kernels do not take; `refused`: does not run;
   * `shape`: an input without a fixed shape; `dialect`: a file format that it does not load.
   */
  readonly kind: 'float' | 'processor' | 'behind' | 'numbers' | 'refused' | 'shape' | 'dialect';
  readonly reason: string;
}
