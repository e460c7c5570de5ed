export type ChangeClass = 'op' | 'attribute' | 'shape' | 'type' | 'weights' | 'quantization' | 'wiring';

/** Differences between two models, layer by layer of their main graphs. Layer ids, in execution order. */
export interface Comparison {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly { readonly id: string; readonly classes: readonly ChangeClass[] }[];
  readonly unchanged: number;
  /** Layers that were matched although their ids differ: of `a`, of `b`. */
  readonly renamed: readonly (readonly [string, string])[];
  /** The same by groups of layers whose names share a path. */
  readonly groups: readonly GroupDifference[];
  readonly notCovered: readonly string[];
}

/** Layers whose names share a path, on both sides. Amounts are of before and after; null where one is not known. */
export interface GroupDifference {
  readonly name: string;
  readonly added: number;
  readonly removed: number;
  readonly changed: number;
  readonly unchanged: number;
  readonly classes: readonly ChangeClass[];
  readonly params: readonly [number, number];
  readonly weightBytes: readonly [number, number];
  readonly macs: readonly [number | null, number | null];
}
