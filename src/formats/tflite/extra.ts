import type { Bytes } from '../../ir/bytes.ts';
import type { Damage } from '../../ir/errors.ts';
import type { Graph, Node, Quantization, Value, ValueId } from '../../ir/model.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { Row } from './row.ts';
import { cell, row } from './row.ts';

/**
 * What this codec keeps in the IR's `extra` fields: the row as stored and the IR value it was read as, so that the
 * writer can tell what a pass changed and keep the rest exactly.
 */

/** One entry of the file's buffer list; tensors that share a buffer share its slot. */
export interface BufferSlot {
  readonly index: number;
  readonly row: Row;
  /** Absent for a buffer without content, and where it is lost. */
  readonly data?: Bytes;
  /** Why content that the file claims cannot be read. */
  readonly lost?: string;
}

export interface ValueExtra {
  readonly codec: 'tflite.tensor';
  readonly row: Row;
  readonly slot: BufferSlot | undefined;
  /** The value as read. */
  readonly as: Value;
}

export interface NodeExtra {
  readonly codec: 'tflite.operator';
  readonly row: Row;
  readonly code: Row | undefined;
  /** Tag and table of the option table, if there was one. */
  readonly options: 'builtin_options' | 'builtin_options_2' | undefined;
  /** Element types and quantization of inputs and outputs as read: the operator version depends on them. */
  readonly operands: readonly (Value | undefined)[];
  readonly as: Node;
}

export interface GraphExtra {
  readonly codec: 'tflite.subgraph';
  readonly row: Row;
  readonly as: Graph;
}

export interface ModelExtra {
  readonly codec: 'tflite.model';
  readonly row: Row;
  readonly slots: readonly BufferSlot[];
  /** Buffers that nothing refers to. */
  readonly orphans: readonly BufferSlot[];
  /** What follows the flatbuffer (a zip archive of associated files, mostly), and where it stood. */
  readonly tail: { readonly data: Bytes; readonly offset: number } | undefined;
  /** Some tensor says that its rank is known, so an absent `has_rank` means an unknown rank. */
  readonly usesHasRank: boolean;
  /** The first reference that could not be followed: writing this model again would lose it. */
  readonly lost: Damage | undefined;
}

/** Where reading notes what it finds. */
export interface Report {
  damage(severity: Damage['severity'], place: string, message: string): void;
  /** Damage whose place in the model is empty afterwards. */
  lost(place: string, message: string): void;
}

/** Content of a constant that is not stored as its plain elements. */
export interface TensorExtra {
  readonly codec: 'tflite.constant';
  /** The stored bytes of the buffer. */
  readonly stored: Bytes;
  /** The `data` or `strings` that `stored` stands for; a tensor with another content has outgrown this. */
  readonly content: Bytes | readonly Uint8Array[];
  readonly sparsity?: Row;
}

/** Blockwise, multi-axis and custom quantization; tensors are named by id because their indices change. */
export interface QuantizationDetails {
  readonly codec: 'tflite.quantization';
  readonly row: Row;
  readonly tag: number;
  readonly scales?: ValueId;
  readonly zeroPoints?: ValueId;
}

/** One scale per row and so many elements of it, in a float16 constant of [rows, blocks]. */
export function blockwise(scales: ValueId, size: number): Quantization {
  const table = row('BlockwiseQuantization', [
    ['zero_points', cell.scalar(-1)],
    ['block_size', cell.scalar(size)],
  ]);
  const details: QuantizationDetails = { codec: 'tflite.quantization', row: table, tag: 2, scales };
  return { scale: new Float32Array(0), zeroPoint: [], axis: 0, details, tensors: [scales] };
}

type Kept = ValueExtra | NodeExtra | GraphExtra | ModelExtra | TensorExtra | QuantizationDetails;

function kept<K extends Kept['codec']>(
  codec: K,
  extra: object | undefined,
): Extract<Kept, { codec: K }> | undefined {
  return extra !== undefined && (extra as Partial<Kept>).codec === codec
    ? (extra as Extract<Kept, { codec: K }>)
    : undefined;
}

export const valueExtra = (value: Value) => kept('tflite.tensor', value.extra);
export const nodeExtra = (node: Node) => kept('tflite.operator', node.extra);
export const graphExtra = (graph: Graph) => kept('tflite.subgraph', graph.extra);
export const modelExtra = (model: { readonly extra?: object }) => kept('tflite.model', model.extra);
export const tensorExtra = (tensor: Tensor) => kept('tflite.constant', tensor.extra);
export const quantizationDetails = (quantization: Quantization) =>
  kept('tflite.quantization', quantization.details);

/** Slot of each buffer content that was read, whichever tensors now use it. */
export const slotOfData = new WeakMap<Bytes, BufferSlot>();

/** What reading tensors needs of the rest of the model. */
export interface TensorSource {
  readonly slots: readonly BufferSlot[];
  readonly usesHasRank: boolean;
  readonly externalBuffers: ReadonlyMap<number, { readonly length: number; readonly group: string }>;
  readonly report: Report;
}
