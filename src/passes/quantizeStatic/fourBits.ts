import type { TargetRules } from '../../devices/targets/target.ts';
import { GraphEditor } from '../../ir/edit.ts';
import type { Graph, Node, NodeId, OnnxModel } from '../../ir/model.ts';
import { numberTensor, readIntegers } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { indexOf } from '../../ir/walk.ts';
import { readableConstant } from '../support/constants.ts';

/** Whether a target reads the weights of a layer in four bits beside integer activations. */
export function readsFourBits({ weights }: TargetRules, { op }: Node): boolean {
  return weights.fourBits?.includes(op) === true;
}

/** Why weights that should be packed are not; nothing where some are. */
export function unpackedNotes({ name, weights }: TargetRules, bits: number): readonly string[] {
  if (bits === 8) return ['packed is for weights of fewer than 8 bits, which these are not'];
  if (weights.fourBits !== undefined) return [];
  return [`${name} reads no 4-bit weights beside integer activations: they are stored as int8, not packed`];
}

/** Stores the codes of these layers' weights as int4, and their zero points with them, where all of them fit. */
export function inFourBits(model: OnnxModel, graph: Graph, layers: ReadonlySet<NodeId>): Graph {
  const editor = new GraphEditor(graph, model);
  const { producer } = indexOf(graph);
  for (const node of graph.nodes) {
    const decode = layers.has(node.id) ? producer.get(node.inputs[1] ?? '') : undefined;
    if (decode?.op !== 'DequantizeLinear') continue;
    const parts = [decode.inputs[0], decode.inputs[2]].map((id) => graph.values.get(id ?? ''));
    const codes = readableConstant(graph, decode.inputs[0]);
    if (codes?.dtype !== 'int8' || !readIntegers(codes).every((code) => code >= -8 && code <= 7)) continue;
    for (const value of parts)
      if (value?.constant !== undefined) editor.setValue({ ...value, constant: narrowed(value.constant) });
  }
  return editor.finish();
}

function narrowed(tensor: Tensor): Tensor {
  return numberTensor('int4', tensor.dims, readIntegers(tensor));
}
