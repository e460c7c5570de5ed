import { floatAttribute } from '../../ir/attribute.ts';
import type { Node, ValueId } from '../../ir/model.ts';
import { floatTensor, intTensor } from '../../ir/numbers.ts';
import type { Encoding } from '../support/quantization.ts';
import { activationEncoding, quantizeConstant, rangeOf } from '../support/quantization.ts';
import type { Emitter } from './emitter.ts';
import { qdq, storeEncoding } from './emitter.ts';
import { foldedInput } from './foldEmit.ts';
import type { Folding, OnCodes } from './kernelForms.ts';
import type { NodePlan } from './onnxPlan.ts';

/** Replaces one of `inputs` by what an operator makes of its codes; gives the nodes that do it. */
export function changedCodes(
  { editor, graph, codes, parameters, plan }: Emitter,
  { node }: NodePlan,
  { input, op, to }: OnCodes,
  inputs: (ValueId | null)[],
): readonly Node[] {
  const id = node.inputs[input] as ValueId;
  const source = codes.get(id) as ValueId;
  const [scale, zeroPoint] = parameters.get(plan.values.get(id)?.root ?? id) as readonly [ValueId, ValueId];
  const changed = editor.freshValue(`${source}_${op.toLowerCase()}`);
  const rank = op === 'Tile' ? 4 : (graph.values.get(node.inputs[1] ?? '')?.constant?.dims.length ?? 4);
  const channels = graph.values.get(node.inputs[1] ?? '')?.constant?.dims[1] ?? to;
  const numbers =
    op === 'Tile'
      ? [1, 1, 1, to]
      : Array.from({ length: 2 * rank }, (_, i) => (i === rank + 1 ? to - channels : 0));
  const amounts = editor.addConstant(`${changed}_by`, intTensor('int64', [numbers.length], numbers));
  const result = editor.freshValue(`${changed}_dq`);
  inputs[input] = result;
  return [
    qdq(editor, op, op === 'Tile' ? [source, amounts] : [source, amounts, zeroPoint], changed, changed),
    qdq(editor, 'DequantizeLinear', [changed, scale, zeroPoint], result, changed),
  ];
}

/** Replaces the input of a convolution by its codes with folded columns; gives the nodes that do it. */
export function foldedCodes(
  { editor, codes, parameters, plan, current }: Emitter,
  { node }: NodePlan,
  folding: Folding,
  inputs: (ValueId | null)[],
): readonly Node[] {
  const id = node.inputs[0] as ValueId;
  const source = codes.get(id) as ValueId;
  const encoding = parameters.get(plan.values.get(id)?.root ?? id) as readonly [ValueId, ValueId];
  const folded = editor.freshValue(`${source}_fold`);
  const result = editor.freshValue(`${folded}_dq`);
  inputs[0] = result;
  const [made] = (current.get(node.id) ?? node).outputs as readonly [ValueId];
  // Its shape is another one now.
  editor.setValue({ id: made, name: made });
  return [
    ...foldedInput(editor, folding, source, folded),
    qdq(editor, 'DequantizeLinear', [folded, ...encoding], result, folded),
  ];
}

/**
 * Clip(alpha x + beta, 0, 1) as an addition whose result saturates: alpha goes into a scale under which the same codes
 * are read again. Gives the node and what goes before it.
 */
export function hardSigmoid(emitter: Emitter, node: Node): readonly [Node, readonly Node[]] {
  const { editor, codes, encodings, plan } = emitter;
  const id = emitter.graph.nodes.find((each) => each.id === node.id)?.inputs[0] as ValueId;
  const encoding = encodings.get(plan.values.get(id)?.root ?? id) as Encoding;
  const alpha = floatAttribute(node, 'alpha', 0.2);
  const beta = floatTensor([], Float32Array.of(floatAttribute(node, 'beta', 0.5)));
  const base = `${codes.get(id)}_scaled`;
  const scaled = storeEncoding(editor, base, { ...encoding, scale: encoding.scale * alpha });
  const offset = activationEncoding(rangeOf(beta), encoding.dtype);
  const offsetIds = storeEncoding(editor, `${base}_offset`, offset);
  const offsetCodes = editor.addConstant(`${base}_offset`, quantizeConstant(beta, offset));
  const [left, right] = [editor.freshValue(`${base}_dq`), editor.freshValue(`${base}_offset_dq`)];
  const sum: Node = { ...node, op: 'Add', inputs: [left, right], attributes: new Map() };
  return [
    sum,
    [
      qdq(editor, 'DequantizeLinear', [codes.get(id) as ValueId, ...scaled], left, base),
      qdq(editor, 'DequantizeLinear', [offsetCodes, ...offsetIds], right, `${base}_offset`),
    ],
  ];
}
