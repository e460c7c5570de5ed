import { attr, intsAttribute, stringAttribute } from '../../ir/attribute.ts';
import type { GraphEditor } from '../../ir/edit.ts';
import type { Graph, Node } from '../../ir/model.ts';
import { readFloats, readIntegers } from '../../ir/numbers.ts';
import { indexOf } from '../../ir/walk.ts';
import { readableConstant } from '../support/constants.ts';
import type { Facts } from '../support/facts.ts';
import { isOnnxOp, soleReader } from '../support/graph.ts';

/** Moves zero padding into the convolution that reads it (ONNX). Returns how many pads went away. */
export function foldPads(
  graph: Graph,
  facts: Facts,
  editor: GraphEditor,
  allowed: (node: Node) => boolean,
): number {
  let folded = 0;
  for (const conv of graph.nodes) {
    if (!isOnnxOp(conv, 'Conv') || !allowed(conv) || editor.changed.has(conv.id)) continue;
    const pad = indexOf(graph).producer.get(conv.inputs[0] ?? '');
    if (pad === undefined || !isOnnxOp(pad, 'Pad') || !allowed(pad)) continue;
    if (soleReader(graph, pad.outputs[0]) !== conv || pad.inputs[0] == null) continue;
    const rank = facts.typeOf(pad.inputs[0])?.shape?.length;
    const added = rank === undefined ? undefined : zeroPads(graph, pad, rank);
    if (rank === undefined || added === undefined) continue;
    const pads = joinedPads(conv, added, rank);
    if (pads === undefined) continue;
    const attributes = new Map(conv.attributes).set('pads', attr.ints(pads));
    attributes.delete('auto_pad');
    editor.replaceNode(conv.id, [{ ...conv, inputs: [pad.inputs[0], ...conv.inputs.slice(1)], attributes }]);
    editor.removeNode(pad.id);
    folded += 1;
  }
  return folded;
}

/** The `[begins…, ends…]` of a Pad that adds zeros, for all axes; `undefined` for any other padding. */
function zeroPads(graph: Graph, pad: Node, rank: number): readonly number[] | undefined {
  if (stringAttribute(pad, 'mode', 'constant') !== 'constant') return undefined;
  const attribute = pad.attributes.get('value');
  if (attribute?.kind === 'float' && attribute.value !== 0) return undefined;
  if (pad.inputs[2] != null) {
    const fill = readableConstant(graph, pad.inputs[2]);
    if (fill === undefined || readFloats(fill)[0] !== 0) return undefined;
  }
  const stored = intsAttribute(pad, 'pads') ?? integers(graph, pad.inputs[1]);
  if (stored === undefined) return undefined;
  if (pad.inputs[3] == null) return stored.length === 2 * rank ? stored : undefined;
  const axes = integers(graph, pad.inputs[3]);
  if (axes === undefined || stored.length !== 2 * axes.length) return undefined;
  const pads = Array.from({ length: 2 * rank }, () => 0);
  axes.forEach((axis, i) => {
    const at = axis < 0 ? axis + rank : axis;
    pads[at] = stored[i] as number;
    pads[at + rank] = stored[i + axes.length] as number;
  });
  return pads;
}

function integers(graph: Graph, id: string | null | undefined): readonly number[] | undefined {
  const tensor = readableConstant(graph, id);
  return tensor && readIntegers(tensor);
}

/** Pads of the convolution with the added ones, when those touch spatial axes only and cut nothing off. */
function joinedPads(conv: Node, added: readonly number[], rank: number): readonly number[] | undefined {
  const begins = added.slice(0, rank);
  const ends = added.slice(rank);
  if (begins[0] !== 0 || begins[1] !== 0 || ends[0] !== 0 || ends[1] !== 0) return undefined;
  if (added.some((pad) => pad < 0)) return undefined;
  const mode = stringAttribute(conv, 'auto_pad', 'NOTSET');
  if (mode !== 'NOTSET' && mode !== 'VALID') return undefined;
  const own = mode === 'VALID' ? undefined : intsAttribute(conv, 'pads');
  return [...begins.slice(2), ...ends.slice(2)].map((pad, i) => pad + (own?.[i] ?? 0));
}
