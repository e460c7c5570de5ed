import { KerfError } from '../../../ir/errors.ts';
import type { Graph, Node, ValueId } from '../../../ir/model.ts';
import { readFloats, readIntegers } from '../../../ir/numbers.ts';
import type { Tensor } from '../../../ir/tensor.ts';
import type { Placed, TfliteBuilder } from './builder.ts';

/** What the rules of single operators see: the ONNX node, its inputs as placed, and the graph being built. */
export interface Emission {
  readonly node: Node;
  readonly builder: TfliteBuilder;
  /** Opset version of the default domain. */
  readonly version: number;
  /** Static shape of an ONNX value, in ONNX layout. */
  shape(id: ValueId | null | undefined): readonly number[];
  /** The placed form of the node's input. Throws when it is a constant or absent. */
  input(index: number): Placed;
  /** A constant input, or `undefined`. */
  constant(index: number): Tensor | undefined;
  has(index: number): boolean;
  /** Name for the output: the ONNX value's. */
  readonly name: string;
  /** Shape of the first output in ONNX layout. */
  readonly output: readonly number[];
}

/** Builds the TFLite form of one node; gives the placed output. */
export type EmitRule = (emission: Emission) => Placed;

export function refuse(emission: Pick<Emission, 'node'>, why: string): never {
  throw new KerfError('unsupported', `${emission.node.op} cannot be converted: ${why}`, {
    place: `layer '${emission.node.id}'`,
  });
}

export function constantFloats(emission: Emission, index: number): Float32Array {
  const tensor = emission.constant(index);
  return tensor === undefined ? refuse(emission, `input ${index} must be a constant`) : readFloats(tensor);
}

export function constantIntegers(emission: Emission, index: number): number[] {
  const tensor = emission.constant(index);
  return tensor === undefined ? refuse(emission, `input ${index} must be a constant`) : readIntegers(tensor);
}

/** Constants of the graph that a node reads, with Constant nodes already turned into initializers. */
export function constantOf(graph: Graph, id: ValueId | null | undefined): Tensor | undefined {
  return id == null ? undefined : graph.values.get(id)?.constant;
}
