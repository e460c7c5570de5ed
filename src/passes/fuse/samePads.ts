import type { Attribute, Graph, Node } from '../../ir/model.ts';
import { intAttribute } from '../../ir/attribute.ts';
import type { GraphEditor } from '../../ir/edit.ts';
import { readIntegers } from '../../ir/numbers.ts';
import { indexOf } from '../../ir/walk.ts';
import { readableConstant } from '../support/constants.ts';
import type { Facts } from '../support/facts.ts';
import { soleReader } from '../support/graph.ts';

const layers = new Set(['CONV_2D', 'DEPTHWISE_CONV_2D']);
const padding = { same: 0, valid: 1 } as const;

/**
 * Takes a PAD with zeros away in front of a convolution without padding, where SAME padding is just that (TFLite): always
 * at stride 1 with half a window on either side, at larger strides where the input's size makes it so. An encoded PAD
 * fills with the zero point, as convolutions do. Gives how many.
 */
export function foldSamePads(
  graph: Graph,
  facts: Facts,
  editor: GraphEditor,
  allowed: (node: Node) => boolean,
): number {
  const { producer } = indexOf(graph);
  let folded = 0;
  for (const conv of graph.nodes) {
    if (!layers.has(conv.op) || conv.domain !== '' || !allowed(conv) || editor.changed.has(conv.id)) continue;
    if (intAttribute(conv, 'padding', padding.same) !== padding.valid) continue;
    const pad = producer.get(conv.inputs[0] ?? '');
    if (pad?.op !== 'PAD' || pad.domain !== '' || !allowed(pad) || pad.inputs[0] == null) continue;
    if (soleReader(graph, pad.outputs[0]) !== conv || !isSame(graph, facts, pad, conv)) continue;
    const same: Attribute = { kind: 'enum', value: padding.same, name: 'SAME' };
    const attributes = new Map(conv.attributes).set('padding', same);
    editor.replaceNode(conv.id, [{ ...conv, inputs: [pad.inputs[0], ...conv.inputs.slice(1)], attributes }]);
    editor.removeNode(pad.id);
    folded += 1;
  }
  return folded;
}

/** Whether SAME padding of what the PAD reads adds what the PAD adds. */
function isSame(graph: Graph, facts: Facts, pad: Node, conv: Node): boolean {
  const tensor = readableConstant(graph, pad.inputs[1]);
  const added = tensor && readIntegers(tensor);
  const input = facts.dimsOf(pad.inputs[0]);
  const window = facts.dimsOf(conv.inputs[1]);
  if (added?.length !== 8 || input?.length !== 4 || window?.length !== 4) return false;
  if (added[0] !== 0 || added[1] !== 0 || added[6] !== 0 || added[7] !== 0) return false;
  return (['h', 'w'] as const).every((side, i) => {
    const size = input[1 + i] as number;
    const stride = intAttribute(conv, `stride_${side}`, 1);
    const dilation = intAttribute(conv, `dilation_${side}_factor`, 1);
    const reach = ((window[1 + i] as number) - 1) * dilation + 1;
    const total = Math.max(0, (Math.ceil(size / stride) - 1) * stride + reach - size);
    const before = Math.floor(total / 2);
    return added[2 + 2 * i] === before && added[3 + 2 * i] === total - before;
  });
}
