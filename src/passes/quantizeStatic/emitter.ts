import type { TargetRules } from '../../devices/targets/target.ts';
import type { GraphEditor } from '../../ir/edit.ts';
import type { Attribute, Graph, Node, NodeId, ValueId } from '../../ir/model.ts';
import { floatTensor, intTensor } from '../../ir/numbers.ts';
import type { Encoding } from '../support/quantization.ts';
import type { Folding } from './kernelForms.ts';
import type { OnnxPlan } from './onnxPlan.ts';

/** What is being written. */
export interface Emitter {
  /** The codes of encoded values. */
  readonly codes: Map<ValueId, ValueId>;
  readonly graph: Graph;
  readonly editor: GraphEditor;
  readonly plan: OnnxPlan;
  readonly encodings: ReadonlyMap<ValueId, Encoding>;
  readonly rules: TargetRules;
  readonly perChannel: boolean;
  /** Results that are made several columns at once. */
  readonly foldings: ReadonlyMap<ValueId, Folding>;
  /** Scales of weights that were rounded to them, by layer. */
  readonly scales: ReadonlyMap<NodeId, Float32Array>;
  /** The state of nodes that were replaced so far. */
  readonly current: Map<NodeId, Node>;
  readonly parameters: Map<ValueId, readonly [ValueId, ValueId]>;
  readonly weights: Map<string, StoredWeight>;
}

/** A weight as codes, with its scales and zero points. */
export interface StoredWeight {
  readonly ids: readonly [ValueId, ValueId, ValueId];
  readonly scales: Float32Array;
}

/** Replaces a node by its next state, with others before it. */
export function update(emitter: Emitter, node: Node, before: readonly Node[] = []): void {
  emitter.current.set(node.id, node);
  emitter.editor.replaceNode(node.id, [...before, node]);
}

/** A new node without a domain, named after what it works on. */
export function qdq(
  editor: GraphEditor,
  op: string,
  inputs: readonly ValueId[],
  output: ValueId,
  base: string,
  attributes: ReadonlyMap<string, Attribute> = new Map(),
): Node {
  const id = editor.freshNode(`${base}/${op}`);
  return { id, name: id, op, domain: '', inputs, outputs: [output], attributes };
}

/** Adds scale and zero point as constants. */
export function storeEncoding(
  editor: GraphEditor,
  base: ValueId,
  encoding: Encoding,
): readonly [ValueId, ValueId] {
  return [
    editor.addConstant(`${base}_scale`, floatTensor([], Float32Array.of(encoding.scale))),
    editor.addConstant(`${base}_zero`, intTensor(encoding.dtype, [], [encoding.zeroPoint])),
  ];
}
