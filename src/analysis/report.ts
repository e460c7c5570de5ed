import type { Graph, NodeId, ValueId } from '../ir/model.ts';
import type { ValueType } from '../ir/types.ts';
import type { OpFamily } from '../ops/operator.ts';

/** Cost of one layer for one inference; `undefined` is unknown, never 0. Bytes and counts. */
export interface LayerCost {
  readonly id: NodeId;
  readonly name: string;
  readonly op: string;
  readonly family: OpFamily;
  /** Elements of the weights this layer reads; shared weights count at their first reader. */
  readonly params: number;
  readonly weightBytes: number;
  readonly macs: number | undefined;
  /** 2 x MACs + elementwise and reduction work. */
  readonly flops: number | undefined;
  /** Bytes of the layer's outputs. */
  readonly activationBytes: number | undefined;
  /** Bytes of activations read. */
  readonly inputBytes: number | undefined;
  /** Printed shapes of the outputs: "1×32×16×16". */
  readonly outputShapes: readonly string[];
  readonly outputTypes: readonly string[];
  readonly formula: string;
}

export interface Unresolved {
  readonly layer: NodeId;
  readonly op: string;
  readonly value: ValueId;
  readonly reason: string;
}

/** One activation in the arena. `first` and `last` are step numbers, inclusive. */
export interface ArenaBlock {
  readonly value: ValueId;
  readonly offset: number;
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

/** Offsets for the activations of the main graph in its execution order. */
export interface MemoryPlan {
  /** Size of the arena the planner found. */
  readonly peakBytes: number;
  /** Largest sum of live bytes over the steps: no arena can be smaller. */
  readonly lowerBoundBytes: number;
  readonly blocks: readonly ArenaBlock[];
  /** Live bytes at each step. */
  readonly live: Float64Array;
}

/**
 * Memory of TensorFlow Lite Micro on a 32-bit core, whose planner differs from the best one: every tensor has a block of
 * its own at a multiple of 16 bytes, placed greedily. Beside the tensors stand structures that live for good; their size,
 * and with it the whole arena, is an estimate. Scratch buffers of kernels are not known: they depend on the library.
 */
export interface MicroPlan {
  /** The head of the arena: activations, as the greedy planner places them. */
  readonly tensorBytes: number;
  /** The tail, estimated: tensor and node structures, per-channel multipliers, the interpreter's own. */
  readonly persistentBytes: number;
  readonly arenaBytes: number;
  readonly alignment: number;
}

/** Costs inside a body of If, Loop, Scan or WHILE, or inside a called function or subgraph, for one run of it. */
export interface BodyReport {
  /** The layer that runs it; the first one when several do. */
  readonly layer: NodeId;
  readonly graph: string;
  readonly layers: readonly LayerCost[];
}

interface Totals {
  readonly params: number;
  readonly weightBytes: number;
  /** `undefined` as soon as one layer is unknown; see `unresolved`. */
  readonly macs: number | undefined;
  readonly flops: number | undefined;
  readonly peakActivationBytes: number | undefined;
}

/** Everything known of a model without looking at weight bytes. */
export interface Analysis {
  /** Inferred types per graph, nested bodies included. */
  readonly types: ReadonlyMap<Graph, ReadonlyMap<ValueId, ValueType>>;
  readonly layers: readonly LayerCost[];
  readonly totals: Totals;
  readonly unresolved: readonly Unresolved[];
  /** Absent when some activation size is unknown. */
  readonly memory: MemoryPlan | undefined;
  /** TFLite models whose activation sizes are all known. */
  readonly micro: MicroPlan | undefined;
  /** Bodies and called functions that inference reached, outer before inner. */
  readonly bodies: readonly BodyReport[];
  /** Names of free dimensions that were left unbound. */
  readonly freeDimensions: readonly string[];
}
